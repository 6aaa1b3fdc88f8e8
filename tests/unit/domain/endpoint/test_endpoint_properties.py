"""Any history of commands: what is served is whole in every region, and a rollback returns to what was served."""

from __future__ import annotations

from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.support.endpoint_book import FULL, EndpointBook

from regista.domain import commands as m
from regista.domain import events as e
from regista.domain.context import State
from regista.domain.endpoint import EndpointState, decide, evolve, fold
from regista.domain.endpoint import commands as c
from regista.domain.environment.commands import RollBackEnvironment
from regista.domain.environment.rollback import roll_back_environment
from regista.domain.errors import Refused, RegistaError
from regista.domain.model import evolve as evolve_model
from regista.domain.records import from_record, to_record

VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "1.3.0")
REGIONS = ((), ("eu", "us"), ("us",))
Step: TypeAlias = tuple[int, tuple[e.Variant, ...], bool]

versions = st.sampled_from(VERSIONS)
roles: st.SearchStrategy[e.Role | None] = st.sampled_from(
    [None, None, "champion", "champion", "challenger", "canary", "shadow", "unknown"]
)
regions = st.sampled_from([None, None, None, "eu", "us", "asia"])
wild = st.builds(
    c.VariantRequest,
    ref=versions,
    weight=st.integers(-1, FULL + 1) | st.sampled_from([0, 5_000, FULL]),
    role=roles,
    region=regions,
    mirror=st.none() | st.integers(-1, FULL + 1),
)
schedules = st.lists(st.integers(1, FULL - 1), min_size=1, max_size=3, unique=True).map(
    lambda weights: tuple(e.CanaryStep(weight, 60, 10) for weight in [*sorted(weights), FULL])
)


@st.composite
def tame(draw: st.DrawFn) -> tuple[c.VariantRequest, ...]:
    """A set that is whole: cut in up to four shares, maybe with a shadow."""
    names = draw(st.permutations(VERSIONS))
    cuts = sorted(draw(st.lists(st.integers(0, FULL), max_size=2)))
    shares = [b - a for a, b in zip([0, *cuts], [*cuts, FULL], strict=True)]
    live = [c.VariantRequest(name, share) for name, share in zip(names, shares, strict=False)]
    shadow = [c.VariantRequest(names[3], role="shadow")] if draw(st.booleans()) else []
    return (*live, *shadow)


class EndpointMachine(RuleBasedStateMachine):
    """The real rules; beside them, naively, the stack of changes that each change stands on."""

    def __init__(self) -> None:
        super().__init__()
        self.book = EndpointBook(*VERSIONS, created=False)
        self.stacks: dict[int, tuple[Step, ...]] = {}
        self.left: set[int] = set()
        self.moments: list[dict[str, State]] = []

    @initialize(regions=st.sampled_from(REGIONS))
    def exists(self, regions: tuple[str, ...]) -> None:
        self.book.define("staging", "production", regions=regions)
        self.book.create(follow="@production")
        self.promote(VERSIONS[0])
        self.change((c.VariantRequest(VERSIONS[0], 9_000), c.VariantRequest(VERSIONS[1], 1_000)))
        self.promote(VERSIONS[1])

    # Commands

    @rule(variants=st.lists(wild, min_size=1, max_size=4).map(tuple))
    def change_wildly(self, variants: tuple[c.VariantRequest, ...]) -> None:
        self.accept(c.ChangeTraffic("prod", "fraud", variants))

    @rule(variants=tame())
    def change(self, variants: tuple[c.VariantRequest, ...]) -> None:
        self.accept(c.ChangeTraffic("prod", "fraud", variants))

    @rule(pair=st.permutations(VERSIONS), schedule=schedules, challenger=st.integers(0, 100))
    def begin_canary(self, pair: list[str], schedule: tuple[e.CanaryStep, ...], challenger: int) -> None:
        first = schedule[0].weight
        beside = min(challenger, FULL - first)
        variants = (
            c.VariantRequest(pair[0], FULL - first - beside, "champion"),
            c.VariantRequest(pair[1], first, "canary"),
            *([c.VariantRequest(pair[2], beside, "challenger")] if beside else []),
        )
        self.accept(c.ChangeTraffic("prod", "fraud", variants, schedule))

    @precondition(lambda self: self.book.state.canary)
    @rule(times=st.integers(1, 4))
    def advance(self, times: int) -> None:
        for _ in range(times):
            self.accept(c.ChangeTraffic("prod", "fraud", advance=True))

    @rule(version=versions)
    def promote(self, version: str) -> None:
        self.accept(c.ChangeTraffic("prod", "fraud", promote=version))

    @precondition(lambda self: len(self.book.state.history) > 1)
    @rule(to=st.sampled_from([None, None, None, 2, 3, 4, 5, 6, 7, 8]), times=st.integers(1, 3))
    def roll_back(self, to: int | None, times: int) -> None:
        for _ in range(times):
            wanted = self.naive_target()
            event = self.accept(c.RollBackEndpoint("prod", "fraud", to))
            if to is None and event is not None:
                assert isinstance(event, e.EndpointRolledBack)
                assert wanted is not None
                assert (event.restores, event.variants) == wanted[:2]

    @rule(version=versions)
    def follow(self, version: str) -> None:
        self.model(m.Promote("fraud", version, "production"))
        self.accept(c.FollowVersion("prod", "fraud", "@production"))

    @precondition(lambda self: self.book.state.present)
    @rule(verdict=st.sampled_from(["proceed", "promote", "roll_back", "inconclusive"]))
    def conclude(self, verdict: e.Verdict) -> None:
        self.accept(c.ConcludeExperiment("prod", "fraud", self.book.state.change or 0, verdict))

    @precondition(lambda self: self.book.state.present)
    @rule(change=st.none() | st.integers(0, 30), state=st.sampled_from(["succeeded", "failed", "superseded"]))
    def report(self, change: int | None, state: e.DeploymentState) -> None:
        about = self.book.state.change or 0 if change is None else change
        self.accept(c.ReportDeployment("prod", "fraud", "edge", about, state))

    @rule(lost=st.sampled_from([(), (), ("1.2.0",), ("1.3.0",)]))
    def lose(self, lost: tuple[str, ...]) -> None:
        """The artifact store has lost the bytes of these, and has those of all others."""
        self.book.missing = frozenset()
        self.book.lose(*lost)

    @rule(version=versions)
    def archive(self, version: str) -> None:
        self.model(m.Archive("fraud", version, leave_empty=True))

    @rule(version=versions)
    def bring_back(self, version: str) -> None:
        for stage in ("candidate", "staging"):
            self.model(m.Promote("fraud", version, stage, keep_existing=True))

    @rule(regions=st.sampled_from(REGIONS), rarely=st.integers(0, 3))
    def redefine(self, regions: tuple[str, ...], rarely: int) -> None:
        if rarely == 3:
            self.book.define("staging", "production", regions=regions)

    @rule(rarely=st.integers(0, 5))
    def retire_and_create(self, rarely: int) -> None:
        if rarely == 5:
            self.accept(c.RetireEndpoint("prod", "fraud"))
            assert self.book.state.variants == ()
            self.book.create(follow="@production")
            self.stacks, self.left = {}, set()

    @rule()
    def remember(self) -> None:
        self.moments.append(dict(self.book.streams()))

    @precondition(lambda self: self.moments)
    @rule(which=st.integers(0, 9))
    def roll_back_environment(self, which: int) -> None:
        then = self.moments[which % len(self.moments)]
        before = self.book.state
        try:
            planned = roll_back_environment(
                RollBackEnvironment("prod", "then"), self.book.streams(), then, self.book.context()
            )
        except Refused:
            return
        for stream, event in planned:
            if stream.startswith("model/"):
                self.book.model.state = evolve_model(self.book.model.state, event)
            else:
                self.took(before, event)
        was = then["endpoint/prod/fraud"]
        assert isinstance(was, EndpointState)
        assert was.variants in {(), self.book.state.variants}

    # Steps

    def accept(self, command: c.Command) -> e.Event | None:
        """The event of a command that is not refused; a refusal says what to do."""
        before = self.book.state
        refusal: RegistaError | None = None
        try:
            [event] = decide(before, command, self.book.context())
        except RegistaError as error:
            refusal = error
        if refusal is None:
            self.took(before, event)
            return event
        assert refusal.hint, refusal
        assert all(reason.hint and reason.field for reason in refusal.reasons), refusal.reasons
        assert refusal.status < 500
        return None

    def took(self, before: EndpointState, event: e.Event) -> None:
        self.book.events.append(event)
        self.book.state = evolve(before, event)
        present = self.stacks.get(before.change or 0, ())
        sequence = self.book.state.sequence
        if isinstance(event, e.TrafficChanged):
            self.stacks[sequence] = (*present, (sequence, event.variants, event.canary is not None))
        elif isinstance(event, e.EndpointRolledBack):
            self.left = (self.left | {present[-1][0] if present else 0}) - {event.restores}
            self.stacks[sequence] = self.stacks.get(event.restores, ((event.restores, event.variants, False),))

    def naive_target(self) -> Step | None:
        *below, top = self.stacks.get(self.book.state.change or 0, ((0, (), False),))
        steps = [step for step in below if step[0] not in self.left and not step[2] and step[1] != top[1]]
        return steps[-1] if steps else None

    def model(self, command: m.Command) -> None:
        try:
            self.book.model.do(command)
        except RegistaError:
            return

    # What always holds

    @invariant()
    def what_is_served_is_whole_in_every_region(self) -> None:
        served = self.book.state.variants
        for region in {variant.region for variant in served}:
            there = [variant for variant in served if variant.region == region]
            live = [variant for variant in there if variant.role != "shadow"]
            assert sum(variant.weight for variant in live) == FULL
            assert all(0 <= variant.weight <= FULL and variant.mirror == 0 for variant in live)
            assert [variant.role for variant in live].count("champion") == 1
            assert all(v.weight == 0 and 0 < v.mirror <= FULL for v in there if v.role == "shadow")
            assert len({variant.ordinal for variant in there}) == len(there)
            assert all(variant.role != "unknown" for variant in there)

    @invariant()
    def a_canary_stands_where_its_schedule_says(self) -> None:
        state, canary = self.book.state, self.book.state.canary
        if canary is not None:
            weights = {v.weight for v in state.variants if v.role == "canary"}
            assert weights == {canary.steps[canary.step - 1].weight}
            assert {v.version for v in state.variants if v.role == "canary"} == {canary.version}

    @invariant()
    def versions_are_pinned_to_the_bytes_that_were_registered(self) -> None:
        for variant in self.book.state.variants:
            version = self.book.model.state.versions[variant.ordinal]
            assert (variant.version, variant.artifact_digest) == (str(version.number), version.digest)

    @invariant()
    def every_event_says_what_was_before_and_the_history_folds_to_the_state(self) -> None:
        before: tuple[tuple[e.Variant, ...], int | None] = ((), None)
        for sequence, event in enumerate(self.book.events, 1):
            if isinstance(event, e.TrafficChanged | e.EndpointRolledBack):
                assert (event.previous, event.previous_change) == before
                before = (event.variants, sequence)
            elif isinstance(event, e.EndpointRetired):
                assert (event.previous, event.previous_change) == before
                before = ((), None)
        stored = [from_record(type(x).TYPE, to_record(x)) for x in self.book.events]
        assert stored == self.book.events
        at = len(stored) * 7 // 11
        assert fold(stored) == fold(stored[at:], fold(stored[:at])) == self.book.state


def test_no_history_leads_to_a_set_that_is_not_whole() -> None:
    run_state_machine_as_test(
        EndpointMachine, settings=settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)
    )


@pytest.mark.soak
def test_no_long_history_leads_to_a_set_that_is_not_whole() -> None:
    slow = [HealthCheck.too_slow]
    run_state_machine_as_test(
        EndpointMachine,
        settings=settings(max_examples=2_000, stateful_step_count=80, deadline=None, suppress_health_check=slow),
    )
