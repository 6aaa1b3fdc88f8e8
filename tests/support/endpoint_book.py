"""An environment in memory with a model, targets and endpoints: real commands decided and evolved by the real rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import pytest
from tests.support.domain_book import Book

from regista.domain import endpoint, environment, target
from regista.domain import events as e
from regista.domain.context import Context, State
from regista.domain.endpoint import EndpointState
from regista.domain.endpoint import commands as c
from regista.domain.environment import EnvironmentState
from regista.domain.environment.commands import DefineEnvironment
from regista.domain.errors import RegistaError
from regista.domain.model.lookup import find_version
from regista.domain.references import endpoint_stream, environment_stream, model_stream, target_stream
from regista.domain.target import TargetState
from regista.domain.target.commands import PutTarget, RemoveTarget

E = TypeVar("E", bound=RegistaError)
HALF = 5_000
FULL = 10_000


def variant(ref: str, weight: float = 100, role: e.Role | None = None, **more: Any) -> c.VariantRequest:
    """A request with its weight in percent."""
    return c.VariantRequest(ref, round(weight * 100), role, **more)


def steps(*percents: float) -> tuple[e.CanaryStep, ...]:
    """A schedule by its weights in percent, ten minutes and a hundred requests each."""
    return tuple(e.CanaryStep(round(percent * 100), 600, 100) for percent in percents)


class EndpointBook:
    """``Prod`` serving staging and production, the target ``Edge``, the model ``fraud``, and ``Prod/Fraud`` for it.

    The versions are brought to staging one by one, so that all of them may be served. ``events`` is the endpoint's
    history.
    """

    def __init__(self, *versions: str, regions: tuple[str, ...] = (), created: bool = True, **how: Any) -> None:
        self.model = Book(*versions)
        for version in versions:
            self.model.promote(version, "staging", keep_existing=True)
        self.environment: EnvironmentState = environment.EMPTY
        self.targets: dict[str, TargetState] = {}
        self.state: EndpointState = endpoint.EMPTY
        self.events: list[e.Event] = []
        self.missing: frozenset[str] = frozenset()
        self.define("staging", "production", regions=regions)
        self.put_target("Edge")
        if created:
            self.create(**how)

    def define(self, *stages: str, regions: tuple[str, ...] = ()) -> None:
        [event] = environment.decide(self.environment, DefineEnvironment("Prod", stages, regions), Context())
        self.environment = environment.evolve(self.environment, event)

    def put_target(self, name: str, **how: Any) -> None:
        before = self.targets.get(target_stream(name), target.EMPTY)
        [event] = target.decide(before, PutTarget(name, "nginx", **how), Context())
        self.targets[target_stream(name)] = target.evolve(before, event)

    def remove_target(self, name: str) -> None:
        before = self.targets[target_stream(name)]
        [event] = target.decide(before, RemoveTarget(name), Context("because"))
        self.targets[target_stream(name)] = target.evolve(before, event)

    def create(self, **how: Any) -> e.Event:
        return self.do(c.CreateEndpoint("prod", "Fraud", "fraud", **{"targets": ("edge",), **how}))

    def do(self, command: c.Command, reason: str | None = "because") -> e.Event:
        """Carry out a command; it leads to one event."""
        [event] = endpoint.decide(self.state, command, self.context(reason))
        self.events.append(event)
        self.state = endpoint.evolve(self.state, event)
        return event

    def refused(self, error: type[E], code: str, command: c.Command, reason: str | None = "because") -> E:
        """Try a command that is refused with this error and code; every reason says what to do."""
        with pytest.raises(error) as caught:
            endpoint.decide(self.state, command, self.context(reason))
        assert caught.value.code == code, caught.value
        assert caught.value.detail, "a refusal says what is wrong"
        assert caught.value.hint, f"{code}: a refusal says what to do next"
        for each in caught.value.reasons:
            assert each.hint, f"{each.code}: every reason says what to do next"
            assert each.field, f"{each.code}: every reason says what it is about"
        return caught.value

    def change(self, *variants: c.VariantRequest, **how: Any) -> e.TrafficChanged:
        event = self.do(self.changing(*variants, **how))
        assert isinstance(event, e.TrafficChanged)
        return event

    def changing(self, *variants: c.VariantRequest, **how: Any) -> c.ChangeTraffic:
        return c.ChangeTraffic("prod", "fraud", variants, **how)

    def roll_back(self, **how: Any) -> e.EndpointRolledBack:
        event = self.do(c.RollBackEndpoint("prod", "fraud", **how))
        assert isinstance(event, e.EndpointRolledBack)
        return event

    def retire(self) -> e.Event:
        return self.do(c.RetireEndpoint("prod", "fraud"))

    def served(self) -> dict[str, str]:
        """What is served, as ``{version: role weight}``, with the region where there is one."""
        return {
            v.version
            + (f"@{v.region}" if v.region else ""): f"{v.role} {(v.mirror if v.role == 'shadow' else v.weight) / 100:g}"
            for v in self.state.variants
        }

    def lose(self, *refs: str) -> None:
        """Let the artifact store lose the bytes of versions."""
        self.missing |= {find_version(self.model.state, ref).digest for ref in refs}

    def digest(self, ref: str) -> str:
        return find_version(self.model.state, ref).digest

    def context(self, reason: str | None = "because") -> Context:
        return Context(reason, self.streams(), self.missing)

    def streams(self) -> Mapping[str, State]:
        """The states that are there, by stream."""
        states: dict[str, State] = {
            environment_stream("prod"): self.environment,
            model_stream("fraud"): self.model.state,
            **self.targets,
        }
        if self.state.exists:
            states[endpoint_stream("prod", "fraud")] = self.state
        return states
