"""Every request is repeated with the same key, patiently and not for ever."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from tests.support.scripted import Script, answer

from regista.client.calls import Read, Write
from regista.client.errors import Unreachable
from regista.client.exchange import Response, TransportFault
from regista.client.session import Session
from regista.domain.errors import Refused, Unavailable
from regista.wire.resources import Model, Status, VersionWritten

WRITTEN = {
    "stream": "model/fraud", "sequence": 3, "position": 9, "hash": "ab", "command_id": "key-1", "model": "fraud",
    "version": "1.0.0", "ordinal": 1, "stage": "staging", "aliases": [], "artifact": {"digest": "sha256:00"},
}  # fmt: skip
PROMOTE = Write(VersionWritten, "POST", "/v1/models/fraud/versions/1.0.0/promote", {"to": "staging"})
BUSY = {"code": "log_locked", "detail": "somebody holds the log", "reasons": []}


def test_a_write_is_repeated_with_the_same_key_until_it_is_answered(script: Script, session: Session) -> None:
    answers = [TransportFault("ConnectError"), answer(503, BUSY), answer(502), answer(200, WRITTEN)]
    played = script.play(PROMOTE.perform(session), answers)
    assert played.answer.position == 9
    assert {request.headers["Idempotency-Key"] for request in played.requests} == {"key-1"}
    assert {request.body for request in played.requests} == {b'{"to":"staging"}'}


def test_two_writes_have_two_keys(script: Script, session: Session) -> None:
    keys = [
        script.play(PROMOTE.perform(session), [answer(200, WRITTEN)]).requests[0].headers["Idempotency-Key"]
        for _ in range(2)
    ]
    assert keys == ["key-1", "key-2"]


def test_a_refusal_is_final(script: Script, session: Session) -> None:
    with pytest.raises(Refused):
        script.play(PROMOTE.perform(session), [answer(409, {"code": "refused", "detail": "no"})])
    assert len(script.played.requests) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_only_the_moment_refuses_is_tried_again(script: Script, session: Session, status: int) -> None:
    played = script.play(PROMOTE.perform(session), [answer(status), answer(200, WRITTEN)])
    assert len(played.requests) == 2


def test_waiting_grows_and_never_undercuts_retry_after(script: Script, session: Session) -> None:
    answers = [answer(503, BUSY), answer(503, BUSY), answer(503, BUSY, retry_after="3"), answer(200, WRITTEN)]
    assert script.play(PROMOTE.perform(session), answers).sleeps == pytest.approx([0.1, 0.2, 3.4])


def test_retry_after_may_be_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=120)
    seconds = Response(503, {"retry-after": format_datetime(moment, usegmt=True)}).retry_after
    assert seconds is not None
    assert 100 < seconds <= 120


@pytest.mark.parametrize("text", ["", "soon", "-1"])
def test_a_retry_after_that_is_none_is_ignored(text: str) -> None:
    assert Response(503, {"retry-after": text}).retry_after is None


def test_attempts_are_bounded_and_the_last_answer_is_the_error(script: Script, session: Session) -> None:
    with pytest.raises(Unavailable, match="somebody holds the log") as error:
        script.play(PROMOTE.perform(session), [answer(503, BUSY)] * 4)
    assert error.value.code == "log_locked"


def test_a_wait_beyond_the_deadline_is_not_begun(script: Script, session: Session) -> None:
    with pytest.raises(Unavailable) as error:
        script.play(PROMOTE.perform(session), [answer(503, BUSY, retry_after="60")])
    assert error.value.retry_after == 60
    assert script.played.sleeps == []


def test_silence_is_unreachable_and_names_the_key_to_repeat_a_write_with(script: Script, session: Session) -> None:
    with pytest.raises(Unreachable, match="after 4 attempts") as error:
        script.play(PROMOTE.perform(session), [TransportFault("ConnectError: refused")] * 4)
    assert "command_id='key-1'" in (error.value.hint or "")


def test_silence_on_a_read_names_no_key(script: Script, session: Session) -> None:
    with pytest.raises(Unreachable) as error:
        script.play(Read(Status, "/v1/status").perform(session), [TransportFault("ReadTimeout")] * 4)
    assert "command_id" not in (error.value.hint or "")


def test_who_asks_is_in_every_request(script: Script, session: Session) -> None:
    request = script.play(PROMOTE.perform(session), [answer(200, WRITTEN)]).requests[0]
    assert request.headers["Regista-Actor"] == "ci/fraud"
    assert request.headers["Authorization"] == "Bearer s3cret"


def test_a_dry_run_asks_for_the_plan(script: Script, session: Session) -> None:
    event = {"stream": "model/fraud", "sequence": 3, "type": "regista.version.promoted.v1", "data": {}}
    played = script.play(PROMOTE.plan(session), [answer(200, {"dry_run": True, "events": [event]})])
    assert ("dry_run", "true") in played.requests[0].query
    assert played.answer.events[0].sequence == 3


def test_if_match_is_sent_as_an_entity_tag(script: Script, session: Session) -> None:
    call = Write(VersionWritten, "POST", "/v1/x", {}, if_match=12)
    assert script.play(call.perform(session), [answer(200, WRITTEN)]).requests[0].headers["If-Match"] == '"12"'


def test_reads_wait_for_what_the_client_has_seen(script: Script, session: Session) -> None:
    read = Read(Model, "/v1/models/fraud")
    body = json.loads(MODEL)
    assert script.play(read.perform(session), [answer(200, body)]).requests[0].query == ()
    script.play(PROMOTE.perform(session), [answer(200, WRITTEN, regista_position="9")])
    assert script.play(read.perform(session), [answer(200, body)]).requests[0].query == (("min_position", "9"),)


def test_a_client_never_goes_back_in_time(script: Script, session: Session) -> None:
    read = Read(Model, "/v1/models/fraud")
    for position in ("40", "12"):
        script.play(read.perform(session), [answer(200, json.loads(MODEL), regista_position=position)])
    assert session.position == 40


MODEL = """{"model": "fraud", "title": null, "description": "", "owner": null, "tags": {}, "policy": "default",
 "retired": false, "versions": 1, "latest_version": "1.0.0", "stages": {}, "aliases": {}, "sequence": 2,
 "created_at": "2026-05-01T00:00:00Z", "created_by": "ci", "updated_at": "2026-05-01T00:00:00Z"}"""
