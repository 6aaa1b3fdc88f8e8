"""The hashes that make tampering evident."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.domain.chain import EMPTY_DIGEST, Head, Row, advance, event_hash, stream_hash

ROW = Row(5, "model/fraud", 1, "regista.model.registered.v1", b"value")


def test_the_first_event_of_a_stream_follows_the_hash_of_the_stream_id() -> None:
    assert stream_hash("model/fraud") == sha256(b"model/fraud").digest()


def test_the_hash_of_an_event_is_pinned_for_ever() -> None:
    """Every log, export and head kept elsewhere depends on it."""
    expected = sha256(b"\x00\x00\x00\x0bmodel/fraud" + (7).to_bytes(8, "big") + b"value").digest()
    assert event_hash("model/fraud", 7, b"value") == expected


def test_the_running_digest_is_pinned_for_ever() -> None:
    hashed = event_hash(ROW.stream, ROW.sequence, ROW.value)
    expected = sha256(bytes(32) + (5).to_bytes(8, "big") + hashed).digest()
    assert advance(Head(), ROW) == Head(5, 1, expected)


triples = st.tuples(st.text(max_size=4), st.integers(1, 300), st.binary(max_size=6))


@given(triples, triples)
def test_different_events_have_different_hashes(one: tuple[str, int, bytes], other: tuple[str, int, bytes]) -> None:
    assert (event_hash(*one) == event_hash(*other)) == (one == other)


@pytest.mark.parametrize(
    "changed",
    [{"position": 6}, {"stream": "model/frau"}, {"sequence": 2}, {"value": b"Value"}],
)
def test_the_running_digest_covers_position_stream_sequence_and_value(changed: dict[str, object]) -> None:
    assert advance(Head(), ROW._replace(**changed)).digest != advance(Head(), ROW).digest  # type: ignore[arg-type]


def test_the_running_digest_covers_the_order() -> None:
    first, second = ROW, ROW._replace(position=6, sequence=2)
    swapped = second._replace(position=5), first._replace(position=6)
    forth, back = Head(), Head()
    for row in (first, second):
        forth = advance(forth, row)
    for row in swapped:
        back = advance(back, row)
    assert forth.count == back.count == 2
    assert forth.digest != back.digest


@pytest.mark.parametrize("position", [0, 4, 5])
def test_positions_only_go_up_and_may_leave_gaps(position: int) -> None:
    head = advance(Head(), ROW)
    with pytest.raises(ValueError, match="does not follow 5"):
        advance(head, ROW._replace(position=position))
    assert advance(head, ROW._replace(position=1_000_005)).count == 2


def test_an_empty_log_has_a_head_of_its_own() -> None:
    assert Head() == Head(0, 0, EMPTY_DIGEST)
    assert str(advance(Head(), ROW)).startswith("5:")
