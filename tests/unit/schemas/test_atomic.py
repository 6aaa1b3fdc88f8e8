"""The one rule by which the events of a log are cut into atomic sets."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import pytest
from tests.support.histories import History

from regista.domain.events import Meta, ModelRevived
from regista.domain.records import meta_to_record, to_record
from regista.schemas.atomic import Command, atomic_sets, command_of, readable_command
from regista.schemas.codec import encode
from regista.schemas.errors import SchemaError

UNREADABLE = b"\xc3\x01"


@dataclass(frozen=True)
class Stored:
    value: bytes


def stored(actor: str, command_id: str, body: bytes = b"body") -> Stored:
    time = History().now
    digest = sha256(body).digest()
    meta = Meta(time, actor, "asserted", None, command_id, digest, None, None, None, bytes(32))
    return Stored(encode("ModelRevived", {"meta": meta_to_record(meta), **to_record(ModelRevived("fraud"))}))


A, B = stored("ann", "1"), stored("ann", "2")


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        ([], []),
        ([A, A, A], [3]),
        ([A, B, A], [1, 1, 1]),
        ([A, stored("bob", "1")], [1, 1]),
        ([A, stored("ann", "1", b"other")], [1, 1]),
        ([A, Stored(UNREADABLE), A], [1, 1, 1]),
        ([Stored(UNREADABLE), Stored(UNREADABLE)], [1, 1]),
    ],
)
def test_neighbours_of_one_command_are_a_set_and_what_cannot_be_read_stands_alone(
    rows: list[Stored], sizes: list[int]
) -> None:
    sets = list(atomic_sets(rows))
    assert [len(members) for _, members in sets] == sizes
    assert [row for _, members in sets for row in members] == rows
    assert all(readable_command(members[0].value) == command for command, members in sets)


def test_a_command_is_its_actor_its_id_and_the_digest_of_its_body() -> None:
    assert command_of(A.value) == Command("ann", "1", sha256(b"body").digest())


def test_what_cannot_be_read_has_no_command() -> None:
    assert readable_command(UNREADABLE) is None
    with pytest.raises(SchemaError):
        command_of(UNREADABLE)
