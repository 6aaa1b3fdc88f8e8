"""The status says what a part has in hand, where it counts that."""

from __future__ import annotations

from regista.cli.commands.reads import in_hand


def test_a_part_says_what_waits_and_what_failed_and_nothing_of_what_is_none() -> None:
    part = {"state": "following", "position": 9, "pending": 0, "overdue": 1, "failed": 3, "reports_refused": 2}
    assert in_hand(part) == "1 overdue, 3 failed, 2 reports refused"
    assert in_hand({"state": "following", "pending": 0}) is None
