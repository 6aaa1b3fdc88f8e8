"""Logs with environments, targets and endpoints in them: real commands, decided by the real rules."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from tests.support.histories import MOVES, History, digest

from regista.domain import commands as mc
from regista.domain import endpoint, environment, subscription, target
from regista.domain import events as e
from regista.domain.chain import Row
from regista.domain.context import Context, State
from regista.domain.endpoint import EndpointState
from regista.domain.endpoint import commands as c
from regista.domain.environment.commands import DefineEnvironment
from regista.domain.errors import RegistaError
from regista.domain.references import (
    endpoint_stream,
    environment_stream,
    model_stream,
    subscription_stream,
    target_stream,
)
from regista.domain.secrets import GivenSecret
from regista.domain.subscription import commands as s
from regista.domain.target.commands import PutTarget, RemoveTarget

UNKNOWN = digest("what somebody copied there by hand")


def variant(ref: str, percent: float = 100, role: e.Role | None = None, **more: Any) -> c.VariantRequest:
    """A request with its weight in percent."""
    return c.VariantRequest(ref, round(percent * 100), role, **more)


class DeploymentHistory(History):
    """A log in which endpoints serve. ``places`` are the states of everything that is no model, by stream."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, State] = {}

    def deploy(
        self,
        command: Any,
        *,
        actor: str = "ada",
        reason: str | None = "because",
        cause: str | None = None,
        kept: Mapping[str, e.SecretRef] | None = None,
    ) -> list[Row]:
        """Carry out a command on an environment, a target or an endpoint; ``kept`` are the secrets it brings.

        Raises:
            RegistaError: the rules say no.
        """
        stream, rules = _rules_of(command)
        state = self.places.get(stream, rules.EMPTY)
        others = {**self.states, **self.places}
        events = rules.decide(state, command, Context(reason, others, kept=kept or {}))
        for event in events:
            state = rules.evolve(state, event)
        self.places[stream] = state
        return self.append(stream, events, actor=actor, reason=reason, cause=cause)

    def furnish(self, *targets: str, versions: int = 3, regions: tuple[str, ...] = ()) -> None:
        """The environment ``Prod``, targets, and versions of ``Fraud``, all of them in staging."""
        self.register_model("Fraud")
        for seed in range(versions):
            self.do(mc.Promote("fraud", self.register("Fraud", seed), "staging", keep_existing=True))
        self.deploy(DefineEnvironment("Prod", ("staging", "production"), regions))
        for name in targets:
            self.deploy(PutTarget(name, "nginx"))

    def endpoint(self, name: str = "fraud", environment: str = "prod") -> EndpointState:
        """How an endpoint stands by the rules."""
        state = self.places[endpoint_stream(environment, name)]
        assert isinstance(state, EndpointState)
        return state

    def change(self, *variants: c.VariantRequest, name: str = "fraud", **how: Any) -> int:
        """Change the traffic of an endpoint in ``Prod``; the change."""
        known = {key: how.pop(key) for key in ("actor", "reason", "cause") if key in how}
        self.deploy(c.ChangeTraffic("prod", name, variants, **how), **known)
        return self.endpoint(name).sequence

    def report(self, on: str, state: e.DeploymentState = "succeeded", **how: Any) -> None:
        """Let a target tell of the present change of an endpoint in ``Prod``: that it serves what is wanted."""
        name = how.pop("name", "fraud")
        endpoint = self.endpoint(name)
        served = tuple(
            c.ObservedVariant(v.artifact_digest, v.role, v.weight, v.mirror, v.region) for v in endpoint.variants
        )
        told = {"change": endpoint.change or endpoint.retired_at or 1, "observed": served, **how}
        self.deploy(c.ReportDeployment("prod", name, on, state=state, **told), actor="system:deployer", reason=None)


def _rules_of(command: Any) -> tuple[str, ModuleType]:
    match command:
        case s.CreateSubscription() | s.UpdateSubscription() | s.RemoveSubscription():
            return subscription_stream(command.subscription), subscription
        case DefineEnvironment():
            return environment_stream(command.environment), environment
        case PutTarget() | RemoveTarget():
            return target_stream(command.target), target
        case _:
            return endpoint_stream(command.environment, command.endpoint), endpoint


def roam(history: DeploymentHistory, rng: random.Random, steps: int) -> None:
    """Carry out random commands on two models, three targets and three endpoints, ``steps`` of them accepted."""
    history.furnish("Edge", "west", "east")
    history.register_model("churn")
    done = 0
    while done < steps:
        try:
            if rng.random() < 0.3:
                rng.choice(MOVES)[0](history, rng, rng.choice(("Fraud", "churn")))
            else:
                rng.choices([do for do, _ in _MOVES], [weight for _, weight in _MOVES])[0](history, rng)
        except RegistaError:
            continue
        done += 1


_NAMES = ("fraud", "Second", "third")
_TARGETS = ("edge", "WEST", "east")


def _create(history: DeploymentHistory, rng: random.Random) -> None:
    model = rng.choice(("fraud", "fraud", "Churn"))
    targets = tuple(rng.sample(_TARGETS, rng.randint(0, 3)))
    history.deploy(c.CreateEndpoint("prod", rng.choice(_NAMES), model, targets, rng.choice((None, "@production"))))


def _known(history: DeploymentHistory, rng: random.Random) -> EndpointState:
    found = [state for state in history.places.values() if isinstance(state, EndpointState)]
    if not found:
        raise RegistaError("there is no endpoint yet")
    return rng.choice(found)


def _ref(history: DeploymentHistory, rng: random.Random, state: EndpointState) -> str:
    return str(rng.randint(1, max(1, history.states[model_stream(state.model)].last_ordinal)))


def _change(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    refs = [_ref(history, rng, state) for _ in range(3)]
    share = rng.choice((0, 5, 12.5, 50))
    shadow = (variant(refs[2], 0, "shadow"),) if rng.random() < 0.3 else ()
    steps = (e.CanaryStep(round(share * 100), 60, 10), e.CanaryStep(5_000, 60, 10)) if 0 < share < 50 else ()
    others = (variant(refs[1], share, "canary" if steps else None),) if refs[1] != refs[0] else ()
    variants = (variant(refs[0], 100 - (share if others else 0)), *others, *shadow)
    history.deploy(c.ChangeTraffic(state.environment, state.name, variants, steps if others else ()))


def _advance(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    history.deploy(
        c.ChangeTraffic(state.environment, state.name, advance=True), cause=f"endpoint/x@{rng.randint(1, 9)}"
    )


def _report(history: DeploymentHistory, rng: random.Random) -> None:
    """Often what is wanted, sometimes what was, sometimes what nobody knows, sometimes nothing; late ones too."""
    state = _known(history, rng)
    changes = [change.sequence for change in state.history[-3:]] + ([state.retired_at] if state.retired_at else [])
    change = rng.choice(changes) if changes and rng.random() < 0.4 else (state.change or state.retired_at or 1)
    served = [c.ObservedVariant(v.artifact_digest, v.role, v.weight, v.mirror, v.region) for v in state.variants]
    match rng.randrange(6):
        case 0:
            served = [c.ObservedVariant(UNKNOWN, "unknown", 10_000), *served[1:]]
        case 1:
            served = []
        case 2:
            served = [*served, *served]
    states: tuple[e.DeploymentState, ...] = ("succeeded", "succeeded", "succeeded", "failed", "superseded")
    command = c.ReportDeployment(
        state.environment,
        state.name,
        rng.choice(_TARGETS),
        change,
        rng.choice(states),
        tuple(served),
        "x",
        rng.randint(1, 3),
    )
    history.deploy(command, actor="system:deployer", reason=None)


def _deploy(history: DeploymentHistory, rng: random.Random) -> None:
    """Every target tells that it serves what is wanted."""
    state = _known(history, rng)
    for name in state.targets:
        history.report(name, name=state.name)


def _conclude(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    measured = tuple(e.Measured(v.version, v.region, "errors", 0.25, 100, None) for v in state.variants)
    history.deploy(
        c.ConcludeExperiment(state.environment, state.name, state.change or 0, "inconclusive", measured, ("few",))
    )


def _update(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    targets = tuple(rng.sample(_TARGETS, rng.randint(0, 3)))
    guardrails = (e.Guardrail("errors", "maximum", True, 1.5, 100),)
    history.deploy(
        c.UpdateEndpoint(state.environment, state.name, targets, description=f"d{rng.random()}", guardrails=guardrails)
    )


def _follow(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    history.deploy(c.FollowVersion(state.environment, state.name, "@production"), cause="model/fraud@3")


def _roll_back(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    history.deploy(c.RollBackEndpoint(state.environment, state.name))


def _retire(history: DeploymentHistory, rng: random.Random) -> None:
    state = _known(history, rng)
    history.deploy(c.RetireEndpoint(state.environment, state.name))


def _define(history: DeploymentHistory, rng: random.Random) -> None:
    name = rng.choice(("Prod", "prod", "dev"))
    history.deploy(DefineEnvironment(name, ("staging", "production"), (), f"d{rng.random()}"))


def _put(history: DeploymentHistory, rng: random.Random) -> None:
    history.deploy(PutTarget(rng.choice(("Edge", "west", "spare")), "nginx", f'{{"port": {rng.randint(1, 9)}}}'))


def _subscribe(history: DeploymentHistory, rng: random.Random) -> None:
    name, types = f"s{rng.randint(1, 5)}", (rng.choice(("version.*", "endpoint.*")),)
    match rng.randrange(4):
        case 0:
            history.deploy(s.RemoveSubscription(name))
        case 1:
            history.deploy(s.UpdateSubscription(name, types=types, disabled=rng.random() < 0.5))
        case _:
            kept = {key: e.SecretRef(key, f"{name}-{key}", "ab12") for key in ("url", "signing")}
            given = tuple(GivenSecret(key, "ab12") for key in kept)
            history.deploy(s.CreateSubscription(name, "https://x.example", types, secrets=given), kept=kept)


_MOVES: tuple[tuple[Callable[[DeploymentHistory, random.Random], object], int], ...] = (
    (_create, 3),
    (_change, 8),
    (_advance, 3),
    (_report, 8),
    (_deploy, 4),
    (_conclude, 2),
    (_update, 2),
    (_follow, 3),
    (_roll_back, 3),
    (_retire, 1),
    (_define, 1),
    (_put, 1),
    (lambda h, _: h.deploy(RemoveTarget("spare")), 1),
    (_subscribe, 2),
)
