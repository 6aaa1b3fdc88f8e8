"""Environments: defined as a whole, what was before said each time."""

from __future__ import annotations

from typing import TypeVar

import pytest

from regista.domain import events as e
from regista.domain.context import Context
from regista.domain.environment import EMPTY, EnvironmentState, decide, evolve, fold
from regista.domain.environment.commands import DefineEnvironment
from regista.domain.errors import Invalid, RegistaError

E = TypeVar("E", bound=RegistaError)


def defined(*commands: DefineEnvironment) -> tuple[EnvironmentState, list[e.Event]]:
    state, events = EMPTY, list[e.Event]()
    for command in commands:
        [event] = decide(state, command, Context())
        events.append(event)
        state = evolve(state, event)
    return state, events


def refused(command: DefineEnvironment) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decide(EMPTY, command, Context())
    assert caught.value.hint
    return caught.value


def test_a_first_definition_had_nothing_before() -> None:
    state, [event] = defined(DefineEnvironment("Prod", ("Staging", "@production"), ("EU", "us"), "Live."))
    assert event == e.EnvironmentDefined("Prod", "Live.", ("staging", "production"), ("eu", "us"), None, (), ())
    assert (state.exists, state.name, state.places) == (True, "Prod", ("eu", "us"))


def test_a_definition_says_what_held_before_and_keeps_the_spelling() -> None:
    state, events = defined(
        DefineEnvironment("Prod", ("staging",), ("eu",), "Old."), DefineEnvironment("prod", ("production",))
    )
    assert events[1] == e.EnvironmentDefined("Prod", "", ("production",), (), "Old.", ("staging",), ("eu",))
    assert state.places == (None,)
    assert fold(events) == state


def test_saying_again_what_holds_is_recorded() -> None:
    command = DefineEnvironment("prod", ("production",))
    assert len(defined(command, command)[1]) == 2


def test_every_reason_is_told_at_once() -> None:
    error = refused(DefineEnvironment("prod", ("archived", "prodution", "staging", "STAGING"), ("eu", "a/b", "EU")))
    assert error.code == "invalid_environment"
    assert [(reason.code, reason.field) for reason in error.reasons] == [
        ("stage_not_served", "stages[0]"),
        ("unknown_stage", "stages[1]"),
        ("named_twice", "stages[3]"),
        ("bad_region", "regions[1]"),
        ("named_twice", "regions[2]"),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (DefineEnvironment("a/b", ("production",)), "bad_name"),
        (DefineEnvironment("prod", ()), "no_stages"),
        (DefineEnvironment("prod", ("production",), tuple(f"r{i}" for i in range(101))), "too_many_regions"),
        (DefineEnvironment("prod", ("production",), description="a\x00"), "invalid_text"),
    ],
)
def test_what_does_not_hold_is_refused(command: DefineEnvironment, code: str) -> None:
    assert refused(command).code == code


def test_an_event_of_another_kind_is_no_event_of_an_environment() -> None:
    with pytest.raises(KeyError):
        evolve(EMPTY, e.ModelRevived("fraud"))
