"""The newest change of an endpoint: kept on disk, never older again, and cheap to replace."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from regista.deployer.targets import files
from regista.deployer.targets.base import TargetFailed, Wanted
from regista.deployer.targets.guard import Guard

LOG = "0b5c"


def wanted(change: int, log: str = LOG) -> Wanted:
    return Wanted(
        "prod", "Fraud", "fraud", change, 10 + change, f"{log}:{10 + change}:edge", (), "ann", None, datetime.now(UTC)
    )


def place(folder: Path) -> Path:
    return folder / "prod" / "fraud.json"


def test_an_older_change_is_refused_and_the_same_one_let_in_again(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.admit(wanted(7))
    guard.admit(wanted(7))
    with pytest.raises(TargetFailed, match="older than change 7"):
        Guard(tmp_path).admit(wanted(6))
    guard.admit(wanted(1, "another"))
    with pytest.raises(TargetFailed):
        guard.admit(wanted(0, "another"))


def test_a_change_is_written_over_the_one_before_within_a_sector(tmp_path: Path) -> None:
    guard = Guard(tmp_path)
    guard.admit(wanted(999_999_999))
    before = place(tmp_path).stat()
    guard.admit(wanted(1, "another"))
    after = place(tmp_path).stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, files.SECTOR)
    assert json.loads(place(tmp_path).read_bytes())["change"] == 1


def test_a_file_of_another_length_is_replaced_as_a_whole(tmp_path: Path) -> None:
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).write_text(json.dumps({"log": LOG, "change": 3, "position": 13}))
    with pytest.raises(TargetFailed):
        Guard(tmp_path).admit(wanted(2))
    Guard(tmp_path).admit(wanted(4))
    assert place(tmp_path).stat().st_size == files.SECTOR
    assert json.loads(place(tmp_path).read_bytes())["change"] == 4


def test_what_is_longer_than_a_sector_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sector"):
        files.overwrite(tmp_path / "long", b"x" * (files.SECTOR + 1), tmp_path)


def test_what_cannot_be_read_is_told_and_stays(tmp_path: Path) -> None:
    place(tmp_path).parent.mkdir(parents=True)
    place(tmp_path).write_bytes(b"{")
    with pytest.raises(TargetFailed) as refused:
        Guard(tmp_path).admit(wanted(4))
    assert refused.value.code == "guard_damaged"
    assert not refused.value.retryable
