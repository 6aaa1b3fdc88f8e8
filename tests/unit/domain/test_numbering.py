"""Which number a new version gets, why, and which numbers are refused."""

from typing import Any

import pytest
from tests.support import domain_book as book
from tests.support.domain_book import Book, signature

from regista.domain.commands import RegisterVersion, RetireModel, ReviveModel
from regista.domain.errors import Invalid, NotFound, Refused
from regista.domain.metadata import Signature, TensorField
from regista.domain.model import KnownArtifact
from regista.domain.numbering import Base, Candidate, required_level
from regista.domain.versions import VersionNumber

S = signature("x", "y")
GROWN = signature("x extra?", "y")
BROKEN = signature("x extra", "y")


def auto(numbers: Book, **changes: Any) -> str:
    return numbers.register("auto", **{"signature": S, **changes}).version


def refused(numbers: Book, code: str, version: str, **changes: Any) -> Refused:
    return numbers.refused(Refused, code, command(version, **changes), known=known())


def command(version: str, **changes: Any) -> RegisterVersion:
    return book.complete(version=version, **changes)


def known(content: str = "other") -> KnownArtifact:
    return KnownArtifact(book.artifact(content))


def test_the_first_version_is_1_0_0_and_says_so() -> None:
    first = Book().register()
    assert first.version == "1.0.0"
    assert first.ordinal == 1
    assert (first.numbering.requested, first.numbering.level, first.numbering.base) == ("auto", "first", None)
    assert first.numbering.explanation


@pytest.mark.parametrize(
    ("changes", "number", "level", "because"),
    [
        ({"signature": S}, "1.2.0", "minor", "retrained"),
        ({"signature": S, "weights": "w1"}, "1.1.1", "patch", "same weights"),
        ({"signature": S, "weights": "w2"}, "1.2.0", "minor", "retrained"),
        ({"signature": S, "change": "configuration"}, "1.1.1", "patch", "configuration was declared"),
        ({"signature": S, "change": "retrained", "weights": "w1"}, "1.2.0", "minor", "retraining was declared"),
        ({"signature": S, "change": "interface"}, "2.0.0", "major", "declared"),
        ({"signature": GROWN}, "1.2.0", "minor", "extra was added with a default"),
        ({"signature": GROWN, "weights": "w1"}, "1.2.0", "minor", "extra was added with a default"),
        ({"signature": BROKEN}, "2.0.0", "major", "extra was added without a default"),
        ({"signature": BROKEN, "change": "configuration"}, "2.0.0", "major", "The interface breaks"),
        ({"signature": None, "weights": "w1"}, "1.2.0", "minor", "has no signature, so a PATCH is never picked"),
        ({"signature": None, "change": "configuration"}, "1.2.0", "minor", "has no signature"),
        ({"signature": None, "change": "interface"}, "2.0.0", "major", "declared"),
    ],
)
def test_auto_picks_the_level_that_the_change_calls_for_and_says_why(
    changes: dict[str, Any], number: str, level: str, because: str
) -> None:
    numbers = Book()
    numbers.register("1.1.0", signature=S, weights="w1")
    event = numbers.register("auto", **changes)
    assert (event.version, event.numbering.level, event.numbering.base) == (number, level, "1.1.0")
    assert because in " ".join(event.numbering.explanation)


def test_a_base_without_signature_never_leads_to_a_patch_and_is_named() -> None:
    numbers = Book()
    numbers.register("1.1.0", signature=None, weights="w")
    event = numbers.register("auto", signature=S, weights="w")
    assert event.version == "1.2.0"
    assert "1.1.0 has no signature" in event.numbering.explanation[0]


def test_the_signature_read_from_the_bytes_counts_where_none_is_given() -> None:
    numbers = Book()
    numbers.register("1.0.0", read=S)
    event = numbers.register("auto", read=BROKEN)
    assert event.signature == BROKEN
    assert event.version == "2.0.0"


def test_auto_compares_with_the_highest_number_not_the_newest_version() -> None:
    numbers = Book()
    numbers.register("2.0.0", signature=BROKEN)
    numbers.register("1.0.1", signature=S)
    event = numbers.register("auto", signature=BROKEN)
    assert (event.version, event.numbering.base) == ("2.1.0", "2.0.0")


def test_base_names_the_version_to_compare_with() -> None:
    numbers = Book()
    numbers.register("1.0.0", signature=S, weights="w1")
    numbers.register("2.0.0", signature=BROKEN)
    event = numbers.register("auto", signature=S, weights="w1", base="1")
    assert (event.version, event.numbering.level, event.numbering.base) == ("1.0.1", "patch", "1.0.0")


def test_auto_goes_behind_all_of_the_line_and_says_so() -> None:
    numbers = Book()
    numbers.register("1.0.0", signature=S)
    for minor in range(1, 40):
        numbers.register(f"1.{minor}.0", signature=S)
    event = numbers.register("auto", signature=S, base="1.0.0")
    assert event.version == "1.40.0"
    assert event.numbering.explanation[-1] == "1.39.0 is there already: 1.40.0 follows it."
    one = numbers.register("auto", signature=S, base="1.39.0")
    assert one.version == "1.41.0"
    assert one.numbering.explanation[-1] == "1.40.0 is there already: 1.41.0 follows it."


def test_an_unknown_base_is_not_found() -> None:
    Book().refused(NotFound, "unknown_version", command("auto", base="1.0.0"), known=known())
    Book("1.0.0").refused(Invalid, "bad_reference", command("auto", base="newest"), known=known())


def test_while_major_is_0_a_break_raises_minor() -> None:
    numbers = Book()
    numbers.register("0.3.1", signature=S)
    refused(numbers, "number_contradicts_signature", "0.3.2", signature=BROKEN)
    event = numbers.register("auto", signature=BROKEN)
    assert (event.version, event.numbering.level) == ("0.4.0", "minor")


def test_a_named_number_is_kept_as_named() -> None:
    event = Book().register("v3.1.4-rc.1")
    assert event.version == "3.1.4-rc.1"
    assert (event.numbering.requested, event.numbering.level) == ("v3.1.4-rc.1", "named")


def test_numbers_may_go_back_to_maintain_an_older_line() -> None:
    numbers = Book("1.0.0", "2.0.0")
    assert numbers.register("1.0.1").numbering.base == "1.0.0"
    assert numbers.register("0.9.0").numbering.base is None


@pytest.mark.parametrize(
    ("version", "interface", "least"),
    [
        ("1.2.0", BROKEN, "2.0.0"),
        ("1.1.1", BROKEN, "2.0.0"),
        ("1.1.1", GROWN, "1.2.0"),
        ("1.2.0-rc.1", BROKEN, "2.0.0"),
    ],
)
def test_a_named_number_that_contradicts_the_signature_is_refused_with_the_least_that_fits(
    version: str, interface: Signature, least: str
) -> None:
    numbers = Book()
    numbers.register("1.1.0", signature=S)
    error = refused(numbers, "number_contradicts_signature", version, signature=interface)
    assert least in error.detail
    assert "extra was added" in error.detail


@pytest.mark.parametrize("version", ["2.0.0", "2.0.0-rc.1", "2.4.0", "3.0.0"])
def test_a_break_under_a_new_major_number_is_no_contradiction(version: str) -> None:
    numbers = Book()
    numbers.register("1.1.0", signature=S)
    assert numbers.register(version, signature=BROKEN).version == version


def test_a_named_number_is_compared_with_the_highest_below_it_or_with_base() -> None:
    numbers = Book()
    numbers.register("1.0.0", signature=S)
    numbers.register("2.0.0", signature=BROKEN)
    refused(numbers, "number_contradicts_signature", "1.1.0", signature=BROKEN)
    assert numbers.register("1.1.0", signature=S).numbering.base == "1.0.0"
    refused(numbers, "number_contradicts_signature", "2.0.1", signature=S)


def test_a_named_number_may_bump_more_than_the_signature_calls_for() -> None:
    numbers = Book()
    numbers.register("1.0.0", signature=S)
    assert numbers.register("5.0.0", signature=S).version == "5.0.0"


def test_a_release_follows_its_prereleases() -> None:
    numbers = Book()
    numbers.register("1.0.0", signature=S)
    numbers.register("2.0.0-rc.1", signature=BROKEN)
    assert auto(numbers, signature=BROKEN) == "2.0.0"
    assert auto(numbers, signature=BROKEN) == "2.1.0"


def test_a_taken_number_is_refused_however_it_is_written() -> None:
    numbers = Book("1.0.0")
    for version in ("1.0.0", "v1.0.0"):
        refused(numbers, "version_taken", version)


def test_numbers_stay_taken_after_archiving_and_retirement() -> None:
    numbers = Book("1.0.0", "1.1.0")
    numbers.archive("1.1.0")
    refused(numbers, "version_taken", "1.1.0")
    numbers.do(RetireModel("fraud"))
    numbers.do(ReviveModel("fraud"))
    refused(numbers, "version_taken", "1.0.0")
    assert numbers.register("auto").version == "1.2.0"
    assert numbers.register("auto").ordinal == 4


@pytest.mark.parametrize("version", ["", "latest", "AUTO", "1.2", "1.2.0+cpu"])
def test_what_is_no_number_is_refused(version: str) -> None:
    Book().refused(Invalid, "bad_version", command(version), known=known())


def test_of_many_changes_the_first_five_are_named_and_the_rest_counted() -> None:
    wide = Signature(tuple(TensorField(f"x{n}", "float64") for n in range(20)), ())
    base = Base(VersionNumber(1, 0, 0), wide, None)
    level, [sentence] = required_level(Candidate(Signature((), ()), None, None), base)
    assert level == "major"
    assert sentence.count("was removed") == 5
    assert "and 15 more" in sentence


def test_auto_goes_behind_a_gap_of_its_line_and_leaves_other_lines_alone() -> None:
    numbers = Book()
    for number in ("1.0.0", "1.0.4", "1.1.0", "1.7.2", "2.3.0", "3.0.0-rc.1"):
        numbers.register(number, signature=S, weights="w")
    assert auto(numbers, base="1.0.0", weights="w") == "1.0.5"
    assert auto(numbers, base="1.0.0") == "1.8.0"
    assert auto(numbers, base="2.3.0") == "2.4.0"
    assert auto(numbers, base="1.0.0", signature=BROKEN) == "3.0.0"
    assert auto(numbers, base="1.0.0", signature=BROKEN) == "4.0.0"
