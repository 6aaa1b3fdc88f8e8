"""Checkpoints come back as they were written."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from regista.bus.relay.checkpoint import Barrier, Checkpoint, parsed
from regista.domain.chain import Head
from regista.domain.errors import Damaged


@dataclass
class Sent:
    value: bytes | None
    key: bytes | None = b""
    headers: tuple[tuple[str, bytes], ...] = ()


@pytest.mark.parametrize(
    "note",
    [
        Checkpoint("log-1", "events"),
        Checkpoint("log-1", "results", Head(2**62, 12, b"\x01" * 32), b"\x02" * 32),
        Barrier("events", "f00"),
    ],
    ids=str,
)
def test_a_note_comes_back_as_it_was_written(note: Checkpoint | Barrier) -> None:
    assert parsed(Sent(note.value)) == note


def test_each_outbox_of_a_log_keeps_a_checkpoint_and_a_barrier_of_its_own() -> None:
    keys = [note(name).key for name in ("events", "results") for note in (lambda n: Checkpoint("log-1", n), barrier)]
    assert len(set(keys)) == len(keys)


def barrier(outbox: str) -> Barrier:
    return Barrier(outbox, "f00")


@pytest.mark.parametrize("value", [None, b"", b"{}", b"[]", b'{"kind":"checkpoint","position":"x"}', b"\xff"])
def test_anything_else_is_told(value: bytes | None) -> None:
    with pytest.raises(Damaged) as damaged:
        parsed(Sent(value))
    assert damaged.value.code == "undecodable_record"
