"""Subscriptions: created, changed, disabled, rotated, removed, and refused with every reason."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from regista.domain import events as e
from regista.domain.context import Context
from regista.domain.errors import Internal, Invalid, NotFound, Refused, RegistaError, Retired
from regista.domain.secrets import GivenSecret, displaced
from regista.domain.subscription import EMPTY, SubscriptionState, decide, evolve, fold
from regista.domain.subscription.addresses import origin, secret_problems, url_problems
from regista.domain.subscription.commands import (
    Command,
    CreateSubscription,
    RemoveSubscription,
    RotateSubscriptionSecret,
    UpdateSubscription,
)

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
ORIGIN = "https://ci.example.org"
BOTH = (GivenSecret("signing"), GivenSecret("url"))
SIGNING, URL = BOTH


def context(number: int = 1, reason: str | None = "because", now: datetime | None = NOW) -> Context:
    """With secrets of a command's own, told apart by its number."""
    kept = {name: e.SecretRef(name, f"{name}{number}", f"hmac:{name}{number}") for name in ("signing", "url")}
    return Context(reason, kept=kept, now=now)


def create(**changes: Any) -> CreateSubscription:
    return replace(CreateSubscription("Risk", ORIGIN, secrets=BOTH), **changes)


def done(*commands: Command) -> tuple[SubscriptionState, list[e.Event]]:
    state, events = EMPTY, list[e.Event]()
    for number, command in enumerate(commands, 1):
        [event] = decide(state, command, context(number))
        events.append(event)
        state = evolve(state, event)
    assert fold(events) == state
    return state, events


def refused(command: Command, *before: Command, **more: Any) -> RegistaError:
    state, _ = done(*before)
    with pytest.raises(RegistaError) as caught:
        decide(state, command, context(9, **more))
    assert caught.value.hint
    return caught.value


def ids(state: SubscriptionState) -> list[str]:
    return [secret.id for secret in state.secrets]


def test_what_is_asked_for_is_kept_as_events_call_it() -> None:
    state, [event] = done(
        create(
            types=("version.promoted", "regista.endpoint.traffic-changed.v1"),
            models=("Fraud",),
            streams=("endpoint/Prod/fraud",),
            environments=("Prod",),
            actors=("ci/Train",),
            template="Slack",
            description="The risk team.",
        )
    )
    assert isinstance(event, e.SubscriptionCreated)
    assert event.types == ("regista.version.promoted.v1", "regista.endpoint.traffic-changed.v1")
    assert (event.models, event.streams, event.environments) == (("fraud",), ("endpoint/prod/fraud",), ("prod",))
    assert (event.actors, event.template, event.description) == (("ci/Train",), "slack", "The risk team.")
    assert (event.subscription, event.url, event.disabled, event.disabled_reason) == ("Risk", ORIGIN, False, None)
    assert (state.exists, state.name, ids(state)) == (True, "Risk", ["signing1", "url1"])


def test_an_update_changes_what_it_names_and_says_what_was_before() -> None:
    state, [created, event] = done(create(models=("fraud",)), UpdateSubscription("risk", types=(), description="new"))
    assert isinstance(event, e.SubscriptionChanged)
    assert (event.models, event.types, event.description) == (("fraud",), (), "new")
    assert event.previous == evolve(EMPTY, created).now
    assert ids(state) == ["signing1", "url1"]
    assert displaced(event) == set()


def test_another_address_displaces_the_one_before() -> None:
    update = UpdateSubscription("risk", url="https://other.example.org", secrets=(URL,))
    state, events = done(create(), update)
    assert (state.now.url, ids(state)) == ("https://other.example.org", ["signing1", "url2"])
    assert displaced(events[-1]) == {"url1"}


def test_the_same_address_stays_as_it_is_kept() -> None:
    state, _ = done(create())
    [event] = decide(state, UpdateSubscription("risk", url=ORIGIN, secrets=(URL,)), context(1))
    assert displaced(event) == set()


def test_disabling_and_enabling_say_why() -> None:
    off = UpdateSubscription("risk", disabled=True)
    state, _ = done(create(), off)
    assert (state.now.disabled, state.now.disabled_reason, state.exists) == (True, "because", True)
    state, _ = done(create(), off, UpdateSubscription("risk", description="still off"))
    assert state.now.disabled_reason == "because"
    state, _ = done(create(), off, UpdateSubscription("risk", disabled=False))
    assert (state.now.disabled, state.now.disabled_reason) == (False, None)
    for command, before in ((off, [create()]), (UpdateSubscription("risk", disabled=False), [create(), off])):
        assert refused(command, *before, reason=" ").code == "reason_required"


def test_after_a_rotation_the_secret_before_counts_for_a_while() -> None:
    rotate = RotateSubscriptionSecret("risk", 60, (SIGNING,))
    state, events = done(create(), rotate)
    assert ids(state) == ["signing2", "signing1", "url1"]
    assert [secret.expires_at for secret in state.secrets] == [None, NOW + timedelta(seconds=60), None]
    assert displaced(events[-1]) == set()
    state, events = done(create(), rotate, rotate)
    assert ids(state) == ["signing3", "signing2", "url1"]
    assert displaced(events[-1]) == {"signing1"}
    state, events = done(create(), replace(rotate, keep_seconds=0))
    assert ids(state) == ["signing2", "url1"]
    assert displaced(events[-1]) == {"signing1"}


def test_what_has_expired_is_not_named_any_more() -> None:
    state, _ = done(create(), RotateSubscriptionSecret("risk", 60, (SIGNING,)))
    later = replace(context(3), now=NOW + timedelta(seconds=60))
    [event] = decide(state, UpdateSubscription("risk", description="later"), later)
    assert displaced(event) == {"signing1"}


def test_a_rotation_to_a_secret_that_is_in_use_is_none() -> None:
    state, _ = done(create(), RotateSubscriptionSecret("risk", 60, (SIGNING,)))
    for number in (1, 2):
        with pytest.raises(Refused) as caught:
            decide(state, RotateSubscriptionSecret("risk", 60, (SIGNING,)), context(number))
        assert caught.value.code == "same_secret"


def test_what_is_removed_stays_removed_and_its_id_taken() -> None:
    state, events = done(create(), RemoveSubscription("RISK"))
    assert (state.exists, state.secrets, state.name) == (False, (), "Risk")
    assert displaced(events[-1]) == {"signing1", "url1"}
    removed = (create(), RemoveSubscription("risk"))
    assert refused(create(), *removed).code == "name_taken"
    for command in (UpdateSubscription("risk", description="x"), RemoveSubscription("risk")):
        assert isinstance(refused(command, *removed), Retired)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (create(subscription="a/b"), "bad_name"),
        (create(types=("version.promotd",)), "unknown_type"),
        (create(types=("regista.version.moved.v1",)), "unknown_type"),
        (create(models=("a b",)), "bad_name"),
        (create(environments=("",)), "bad_name"),
        (create(streams=("fraud",)), "bad_stream"),
        (create(streams=("model/fraud/",)), "bad_stream"),
        (create(actors=("Ann Example",)), "bad_actor"),
        (create(actors=tuple(f"a{n}" for n in range(1_001))), "too_many_names"),
        (create(template="teams"), "unknown_template"),
        (create(description="\x1b[31m"), "invalid_text"),
        (create(secrets=(GivenSecret("other"),)), "bad_secret"),
    ],
)
def test_what_does_not_hold_is_refused(command: Command, code: str) -> None:
    error = refused(command)
    assert isinstance(error, Invalid)
    assert error.code == code


def test_a_star_stands_for_any_characters() -> None:
    state, _ = done(
        create(
            types=("endpoint.*", "regista.*.v1", "*"),
            models=("Fraud-*",),
            streams=("endpoint/Prod/*", "*/fraud"),
            environments=("*",),
            actors=("ci/*",),
        )
    )
    assert (state.now.types, state.now.models) == (("endpoint.*", "regista.*.v1", "*"), ("fraud-*",))
    assert (state.now.streams, state.now.actors) == (("endpoint/prod/*", "*/fraud"), ("ci/*",))
    assert refused(create(types=("endpint.*",))).code == "unknown_type"


def test_every_reason_is_told_at_once() -> None:
    error = refused(create(types=("x", "y"), models=("a b",), streams=("z",), actors=("A B",), template="teams"))
    assert error.code == "invalid_subscription"
    fields = ["types[0]", "types[1]", "models[0]", "streams[0]", "actors[0]", "template"]
    assert [reason.field for reason in error.reasons] == fields


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (UpdateSubscription("risk"), "nothing_to_change"),
        (UpdateSubscription("risk", types=("x",)), "unknown_type"),
        (RotateSubscriptionSecret("risk", -1, (SIGNING,)), "bad_keep_seconds"),
        (RotateSubscriptionSecret("risk", 31 * 86_400, (SIGNING,)), "bad_keep_seconds"),
        (create(), "name_taken"),
    ],
)
def test_a_change_that_does_not_hold_is_refused(command: Command, code: str) -> None:
    assert refused(command, create()).code == code


def test_only_what_is_there_is_changed_and_removed_with_a_reason() -> None:
    assert isinstance(refused(UpdateSubscription("risk", description="x")), NotFound)
    assert refused(RemoveSubscription("risk"), create(), reason=None).code == "reason_required"


def test_a_decision_that_needs_the_time_says_so() -> None:
    state, _ = done(create())
    with pytest.raises(Internal):
        decide(state, RotateSubscriptionSecret("risk", 60, (SIGNING,)), context(2, now=None))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/s3cr3t", "https://hooks.slack.com"),
        ("HTTP://CI.example.org:8080/x?token=s3cr3t", "http://ci.example.org:8080"),
        ("http://[::1]:80/", "http://[::1]:80"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_of_an_address_only_its_origin_is_told(url: str, shown: str) -> None:
    assert list(url_problems(url)) == []
    assert origin(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ci.example.org/hook",
        "ftp://example.org",
        "https://",
        "https:///hook",
        "https://ann:s3cr3t@example.org/",
        "https://ann@example.org/",
        "https://@example.org/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://[::1/",
        "https://example.org/#s3cr3t",
        "https://bücher.example/",
        "https://example.org/a b",
        "https://example.org/\n",
        "https://example.org/" + "s3cr3t" * 400,
    ],
)
def test_what_cannot_be_called_is_refused_and_not_quoted(url: str) -> None:
    [reason] = url_problems(url)
    assert (reason.code, reason.field) == ("bad_url", "url")
    assert "s3cr3t" not in str(reason)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_secret_of_the_right_length_is_one(length: int) -> None:
    assert list(secret_problems("whsec_" + b64encode(bytes(length)).decode())) == []


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "s3cr3t", "whsec_*", *("whsec_" + b64encode(bytes(n)).decode() for n in (23, 65))]
)
def test_what_is_no_secret_to_sign_with_is_refused(secret: str) -> None:
    [reason] = secret_problems(secret)
    assert reason.code == "bad_secret"
