"""What views were told to pass over: kept on the disk, told apart by log and version, never guessed."""

from pathlib import Path

import pytest

from regista.domain.errors import Damaged
from regista.projections.skips import Skip, Skips

FIRST = Skip("log-1", "aliases", 1, 80, "a defect", "ann", "2026-05-04T12:00:00Z")


def test_what_was_recorded_is_there_for_whoever_opens_the_file(tmp_path: Path) -> None:
    Skips(tmp_path / "skips.json").add([FIRST])
    found = Skips(tmp_path / "skips.json")
    assert found.recorded() == (FIRST,)
    assert found.positions("log-1", "aliases", 1) == {80}
    assert not found.positions("log-1", "aliases", 2) | found.positions("log-2", "aliases", 1)


def test_a_position_keeps_the_reason_that_it_was_first_passed_over_for(tmp_path: Path) -> None:
    skips = Skips(tmp_path / "skips.json")
    skips.add([FIRST])
    skips.add([Skip("log-1", "aliases", 1, 80, "another reason", "bob", "2026-05-05T12:00:00Z")])
    assert skips.recorded() == (FIRST,)


def test_two_who_record_at_different_times_lose_nothing(tmp_path: Path) -> None:
    one, other = Skips(tmp_path / "skips.json"), Skips(tmp_path / "skips.json")
    second = Skip("log-1", "models", 1, 81, "a defect", "bob", "2026-05-05T12:00:00Z")
    one.add([FIRST])
    other.add([second])
    assert Skips(tmp_path / "skips.json").recorded() == (FIRST, second)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2, "skips": []}', '{"format": 1, "skips": [{"view": 1}]}']
)
def test_a_file_that_cannot_be_read_is_reported_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "skips.json").write_text(content)
    with pytest.raises(Damaged) as caught:
        Skips(tmp_path / "skips.json")
    assert caught.value.code == "skips_unreadable"
    assert (tmp_path / "skips.json").read_text() == content
