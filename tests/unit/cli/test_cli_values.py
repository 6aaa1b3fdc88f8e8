"""What can be written on the command line, and what is a usage error."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer

from regista.artifacts.digests import digest_file
from regista.cli import parse


def test_pairs_are_read_by_their_kind() -> None:
    assert parse.pairs(["auc=0.9", "f1=1"], parse.number, "--metric") == {"auc": 0.9, "f1": 1.0}
    assert parse.pairs(["a=1", "b=1.5", "c=true", "d=null", "e=1.2.3", "f=", "g=[1]"], parse.scalar, "--param") == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": "1.2.3", "f": "", "g": "[1]",
    }  # fmt: skip
    assert parse.pairs(["k=a=b"], str, "--tag") == {"k": "a=b"}
    assert parse.pairs(None, str, "--tag") == {}


@pytest.mark.parametrize("texts", [["auc"], ["=1"], ["auc=high"], ["auc=1", "auc=2"]])
def test_pairs_that_cannot_be_read_are_usage_errors(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        parse.pairs(texts, parse.number, "--metric")


def test_tags_are_set_and_removed_in_one_go() -> None:
    assert parse.tag_changes(["a=1"], ["b"]) == {"a": "1", "b": None}
    assert parse.tag_changes(None, None) is None


def test_data_sets_are_named_by_version_digest_or_contents(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"1,2")
    assert parse.dataset("tx@2026-05") == {"name": "tx", "version": "2026-05"}
    assert parse.dataset("a@b@3") == {"name": "a@b", "version": "3"}
    assert parse.dataset("tx@sha256:00") == {"name": "tx", "digest": "sha256:00"}
    assert parse.dataset(f"tx={tmp_path / 'x.csv'}") == {"name": "tx", "digest": digest_file(tmp_path / "x.csv")}
    for text in ("tx", "@1", "tx@"):
        with pytest.raises(typer.BadParameter):
            parse.dataset(text)


def test_parents_are_named_by_model_version_and_relation() -> None:
    assert parse.parent("base@1.0.0") == {"model": "base", "version": "1.0.0"}
    assert parse.parent("base@1.0.0:fine-tuned") == {"model": "base", "version": "1.0.0", "relation": "fine-tuned"}
    with pytest.raises(typer.BadParameter):
        parse.parent("base")


def test_moments_are_positions_or_times_with_their_zone() -> None:
    assert parse.moment("17") == 17
    assert parse.moment("2026-05-04T12:00:00Z") == datetime(2026, 5, 4, 12, tzinfo=UTC)
    local = parse.moment("2026-05-04")
    assert isinstance(local, datetime)
    assert local.utcoffset() == datetime(2026, 5, 4).astimezone().utcoffset()
    assert parse.moment(None) is None
    with pytest.raises(typer.BadParameter):
        parse.moment("yesterday")


def test_now_is_a_time_and_a_position_is_not() -> None:
    now = parse.time("now", "--trained-at")
    assert now is not None
    assert datetime.now(UTC) - now < timedelta(minutes=1)
    with pytest.raises(typer.BadParameter):
        parse.time("17", "--trained-at")


def test_nobody_is_an_expectation_and_silence_is_none() -> None:
    assert parse.expectation(None) == {}
    assert parse.expectation("none") == {"expect_current": None}
    assert parse.expectation("1.0.0") == {"expect_current": "1.0.0"}
