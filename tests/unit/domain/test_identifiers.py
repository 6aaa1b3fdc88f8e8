"""New ids are UUIDs of version 7: unique, and sorted by the time at which they were made."""

from __future__ import annotations

import uuid

from regista.domain.identifiers import new_id
from regista.registrar.request import check_command_id

RFC_EXAMPLE = 1_645_557_742_000_000_000
"""RFC 9562, A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00."""


def test_it_is_a_uuid_of_version_7_with_the_milliseconds_in_front() -> None:
    parsed = uuid.UUID(new_id(RFC_EXAMPLE))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert str(parsed).startswith("017f22e2-79b0-7000-")


def test_ids_sort_as_text_by_time_within_a_millisecond_too() -> None:
    times = [RFC_EXAMPLE + step for step in (0, 250, 500, 999_750, 1_000_000, 60_000_000_000, 10**18)]
    ids = [new_id(time) for time in times]
    assert sorted(ids) == ids


def test_a_later_id_sorts_behind_an_earlier_one() -> None:
    before = new_id()
    while (after := new_id())[:18] == before[:18]:  # until the clock has moved on
        pass
    assert before < after


def test_ids_of_one_moment_differ() -> None:
    assert len({new_id(RFC_EXAMPLE) for _ in range(1000)}) == 1000


def test_it_can_be_an_idempotency_key() -> None:
    key = new_id()
    assert check_command_id(key) == key
