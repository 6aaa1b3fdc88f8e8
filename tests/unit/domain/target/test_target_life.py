"""Targets: put, changed, removed, and never with a secret in their settings."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from tests.support.endpoint_book import EndpointBook

from regista.domain import events as e
from regista.domain.context import Context
from regista.domain.endpoint import commands as c
from regista.domain.errors import Invalid, NotFound, Refused, RegistaError
from regista.domain.references import endpoint_stream
from regista.domain.secrets import GivenSecret, displaced
from regista.domain.target import EMPTY, TargetState, decide, evolve, fold
from regista.domain.target.commands import Command, PutTarget, RemoveTarget

TOKEN = e.SecretRef("token", "01jd", "sha256:12")
GIVEN = GivenSecret("token", "sha256:12")
KEPT = {"token": TOKEN}


def done(*commands: Command, kept: Mapping[str, e.SecretRef] = KEPT) -> tuple[TargetState, list[e.Event]]:
    state, events = EMPTY, list[e.Event]()
    for command in commands:
        [event] = decide(state, command, Context("because", kept=kept))
        events.append(event)
        state = evolve(state, event)
    return state, events


def refused(command: Command, state: TargetState = EMPTY, context: Context | None = None) -> RegistaError:
    with pytest.raises(RegistaError) as caught:
        decide(state, command, context or Context("because", kept=KEPT))
    assert caught.value.hint
    return caught.value


def test_a_target_is_created_changed_removed_and_created_again() -> None:
    state, events = done(
        PutTarget("Edge", "NGINX", '{"path": "/a"}', (GIVEN,), "The edge."),
        PutTarget("edge", "directory"),
        RemoveTarget("EDGE"),
        PutTarget("edge", "http"),
    )
    assert events == [
        e.TargetCreated("Edge", "nginx", "The edge.", '{"path": "/a"}', (TOKEN,)),
        e.TargetChanged("Edge", "directory", "", "{}", (), "nginx", "The edge.", '{"path": "/a"}', (TOKEN,)),
        e.TargetRemoved("Edge", "directory", "", "{}", ()),
        e.TargetCreated("Edge", "http", "", "{}", ()),
    ]
    assert (state.exists, state.sequence) == (True, 4)
    assert fold(events) == state
    assert not fold(events[:3]).exists


@pytest.mark.parametrize(
    "settings",
    [
        {"password": "x"},
        {"auth": {"api_key": "x"}},
        {"apiToken": "x"},
        {"headers": [{"Authorization": "Bearer x"}]},
        {"url": "https://ann:pass@example.org/hook"},
        {"github-token": "x"},
    ],
    ids=str,
)
def test_a_secret_in_the_settings_is_refused(settings: object) -> None:
    error = refused(PutTarget("edge", "http", json.dumps(settings)))
    assert isinstance(error, Invalid)
    assert error.code == "secret_in_settings"
    assert error.reasons[0].field is not None
    assert error.reasons[0].field.startswith("settings.")


@pytest.mark.parametrize(
    "settings",
    [
        {"token_file": "/run/token"},
        {"tokens": 5},
        {"token": ""},
        {"secret": 3},
        {"url": "https://example.org:8080/a@b"},
    ],
    ids=str,
)
def test_what_is_no_secret_is_let_in(settings: object) -> None:
    done(PutTarget("edge", "http", json.dumps(settings)))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (PutTarget("a/b", "http"), "bad_name"),
        (PutTarget("edge", ""), "bad_name"),
        (PutTarget("edge", "http", "[]"), "bad_settings"),
        (PutTarget("edge", "http", "{"), "bad_settings"),
        (PutTarget("edge", "http", '{"a": NaN}'), "bad_settings"),
        (PutTarget("edge", "http", '{"a": "' + "x" * 65_536 + '"}'), "bad_settings"),
        (PutTarget("edge", "http", '{"a":' * 600 + "1" + "}" * 600), "bad_settings"),
        (PutTarget("edge", "http", secrets=(GivenSecret("a", "x"),)), "bad_secret"),
        (PutTarget("edge", "http", secrets=(GIVEN, GIVEN)), "named_twice"),
        (PutTarget("edge", "http", description="\x1b[31m"), "invalid_text"),
    ],
)
def test_what_does_not_hold_is_refused(command: PutTarget, code: str) -> None:
    assert refused(command).code == code


def test_every_reason_is_told_at_once() -> None:
    error = refused(PutTarget("edge", "http", '{"password": "x", "url": "ftp://a:b@c"}', (GIVEN, GIVEN)))
    assert error.code == "invalid_target"
    assert [reason.code for reason in error.reasons] == ["secret_in_settings", "secret_in_settings", "named_twice"]


def test_only_what_is_there_is_removed_and_with_a_reason() -> None:
    assert isinstance(refused(RemoveTarget("edge")), NotFound)
    state, _ = done(PutTarget("edge", "http"))
    assert refused(RemoveTarget("edge"), state, Context(" ")).code == "reason_required"


def test_a_target_in_use_stays() -> None:
    book = EndpointBook("1.0.0")
    stream = endpoint_stream("prod", "fraud")
    error = refused(RemoveTarget("edge"), book.targets["target/edge"], Context("x", {stream: book.state}))
    assert isinstance(error, Refused)
    assert error.code == "target_in_use"
    assert "Prod/Fraud" in error.detail
    book.do(c.UpdateEndpoint("prod", "fraud", targets=()))
    decide(book.targets["target/edge"], RemoveTarget("edge"), Context("x", {stream: book.state}))


def test_an_event_of_another_kind_is_no_event_of_a_target() -> None:
    with pytest.raises(KeyError):
        evolve(EMPTY, e.ModelRevived("fraud"))


def ref(name: str, content: str, number: int = 1) -> e.SecretRef:
    return e.SecretRef(name, f"{name}{number}", content)


def put(state: TargetState, kept: dict[str, e.SecretRef], kind: str = "http", forget: tuple[str, ...] = ()) -> e.Event:
    given = tuple(GivenSecret(secret.name, secret.fingerprint) for secret in kept.values())
    [event] = decide(state, PutTarget("edge", kind, secrets=given, forget=forget), Context("because", kept=kept))
    return event


def test_a_secret_that_is_not_given_again_stays_and_one_that_is_to_go_goes() -> None:
    first = put(EMPTY, {"b": ref("b", "B"), "a": ref("a", "A")})
    assert isinstance(first, e.TargetCreated)
    assert [secret.name for secret in first.secrets] == ["a", "b"]
    second = put(evolve(EMPTY, first), {"b": ref("b", "other", 2), "c": ref("c", "C")}, forget=("a", "never there"))
    assert isinstance(second, e.TargetChanged)
    assert second.secrets == (ref("b", "other", 2), ref("c", "C"))
    assert second.previous_secrets == first.secrets
    assert displaced(second) == {"a1", "b1"}
    assert displaced(first) == set()


def test_a_secret_given_as_it_is_keeps_its_id() -> None:
    state = evolve(EMPTY, put(EMPTY, {"a": ref("a", "A")}))
    again = put(state, {"a": ref("a", "A", 2)})
    assert isinstance(again, e.TargetChanged)
    assert again.secrets == (ref("a", "A"),)
    assert displaced(again) == set()


def test_what_one_kind_was_trusted_with_is_not_handed_to_another() -> None:
    state = evolve(EMPTY, put(EMPTY, {"a": ref("a", "A")}))
    changed = put(state, {}, kind="github")
    assert isinstance(changed, e.TargetChanged)
    assert changed.secrets == ()
    assert displaced(changed) == {"a1"}


def test_a_removal_displaces_every_secret() -> None:
    state, events = done(PutTarget("edge", "http", secrets=(GIVEN,)), RemoveTarget("edge"))
    assert state.secrets == ()
    assert displaced(events[-1]) == {TOKEN.id}
