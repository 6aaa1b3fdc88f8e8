"""Following the log: in order, none missed, none twice, through broken connections."""

import json

import pytest
from tests.support.scripted import Script, opened

from regista.client.errors import Unreachable
from regista.client.exchange import TransportFault
from regista.client.follow import follow
from regista.client.session import Session
from regista.client.sse import Message, Parser


def event(position: int) -> bytes:
    body = {
        "position": position, "stream": "model/fraud", "sequence": position, "type": "t", "actor": "ci",
        "time": "2026-05-01T00:00:00Z", "identity": "asserted", "reason": None, "command_id": "c", "cause": None,
        "previous_hash": "00", "hash": "00", "data": {},
    }  # fmt: skip
    return f"id: {position}\nevent: t\ndata: {json.dumps(body)}\n\n".encode()


def test_a_new_connection_goes_on_behind_the_last_event(script: Script, session: Session) -> None:
    answers = [
        opened(), b": hello\n\n" + event(1), event(2)[:-3], TransportFault("ReadError"),
        opened(), event(2) + event(3), None,
        *[TransportFault("ConnectError")] * 4,
    ]  # fmt: skip
    with pytest.raises(Unreachable):
        script.play(follow(session, 0, {"model": "fraud"}), answers)
    assert [e.position for e in script.played.emitted] == [1, 2, 3]
    asked = [(request.headers.get("Last-Event-ID"), dict(request.query)["after"]) for request in script.played.requests]
    assert asked[:3] == [(None, "0"), ("1", "1"), ("3", "3")]
    assert session.position == 3


def test_an_event_that_comes_again_is_not_emitted_again(script: Script, session: Session) -> None:
    answers = [opened(), event(5) + event(5) + event(4) + event(6), None, *[TransportFault("gone")] * 4]
    with pytest.raises(Unreachable):
        script.play(follow(session, 4, {}), answers)
    assert [e.position for e in script.played.emitted] == [5, 6]


def test_a_server_that_hangs_up_without_a_word_is_not_hammered(script: Script, session: Session) -> None:
    answers = [*[opened(), None] * 5, *[TransportFault("gone")] * 4]
    with pytest.raises(Unreachable):
        script.play(follow(session, 0, {}), answers)
    assert script.played.sleeps[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])


TEXT = b": note\r\nid: 7\r\nevent: a\r\ndata: one\r\ndata: two\r\n\r\ndata:\xc3\xa9\n\nid: 8\n\rdata: unfinished"


@pytest.mark.parametrize("size", [1, 2, 3, 5, len(TEXT)])
def test_pieces_of_any_size_give_the_same_messages(size: int) -> None:
    parser = Parser()
    pieces = (TEXT[i : i + size] for i in range(0, len(TEXT), size))
    assert [message for piece in pieces for message in parser.feed(piece)] == [
        Message("7", "a", "one\ntwo"),
        Message("7", "message", "é"),
    ]
