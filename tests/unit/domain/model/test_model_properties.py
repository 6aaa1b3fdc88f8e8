"""Any history of commands: the rules answer as a naive model does, and what must always hold holds after every step."""

from __future__ import annotations

from typing import Any

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
from tests.support.domain_book import TRAINED, artifact, complete, digest, plain
from tests.support.domain_naive import HELD, STAGES, Interface, NaiveModel, Number, Outcome, text

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain import metadata as m
from regista.domain.errors import NotFound, RegistaError
from regista.domain.model import EMPTY, Context, KnownArtifact, ModelState, decide, evolve, fold
from regista.domain.model.lookup import find_version
from regista.domain.records import from_record, to_record

UNSAID = False
ALIASES = ["champion", "eu"]
CONTENTS = [f"bytes {n}" for n in range(6)]
INTERFACES: list[Interface | None] = [
    None,
    {"x": False},
    {"x": False, "y": True},
    {"x": False, "y": False},
    {"y": True},
]
COMPLETIONS: dict[str, Any] = {
    "code": m.Code(commit="4be1"),
    "datasets": (m.Dataset("d", "1"),),
    "metrics": {"auc": 0.5},
    "author": "ada",
    "trained_at": TRAINED,
}

numbers: st.SearchStrategy[Number] = st.tuples(
    st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.none() | st.integers(0, 1)
)
refs = st.one_of(
    st.integers(1, 8).map(str),
    st.sampled_from([f"@{name}" for name in (*STAGES, *ALIASES)]),
    numbers.map(text),
    numbers.map(lambda number: f"v{text(number)}"),
    st.sampled_from(CONTENTS).map(digest),
    st.just(digest("file shared")),
)
KNOWN = ["1", "2", "3", "4"]
near_refs = (
    st.sampled_from([*KNOWN * 3, "5", "6", "@production", "@staging", "@champion", "@candidate", "@archived"]) | refs
)
"""References that mostly name something."""
rarely = st.sampled_from([False] * 5 + [True])
mostly_none = rarely.flatmap(lambda given: near_refs if given else st.none())
expectations = rarely.flatmap(lambda given: st.none() | near_refs if given else st.just(UNSAID))
shares = st.sets(st.sampled_from(sorted(COMPLETIONS)), max_size=3)


class ModelMachine(RuleBasedStateMachine):
    """The real rules beside the naive ones."""

    def __init__(self) -> None:
        super().__init__()
        self.naive = NaiveModel()
        self.state: ModelState = EMPTY
        self.events: list[e.Event] = []
        self.lost: set[int] = set()

    @initialize(interfaces=st.lists(st.sampled_from(INTERFACES), min_size=4, max_size=4), promoted=st.integers(0, 4))
    def exists(self, interfaces: list[Interface | None], promoted: int) -> None:
        self.accept(c.RegisterModel("fraud"))
        for content, interface in zip(CONTENTS, interfaces, strict=False):
            self.register(None, None, interface, None, content, 0, same_weights=False, shared=False)
        for ordinal in range(1, promoted + 1):
            self.bring_on(ordinal, 2, keep=False)

    # Commands

    @rule(
        version=st.none() | numbers,
        base=mostly_none,
        interface=st.sampled_from(INTERFACES),
        same_weights=st.booleans(),
        content=st.sampled_from(CONTENTS),
        shared=st.booleans(),
        lacking=st.none() | shares,
        gap=st.integers(-1, 2),
    )
    def register(
        self,
        version: Number | None,
        base: str | None,
        interface: Interface | None,
        lacking: set[str] | None,
        content: str,
        gap: int,
        *,
        same_weights: bool,
        shared: bool,
    ) -> None:
        known = artifact(content, shared="shared" if shared else None, weights="w" if same_weights else None)
        imported = lacking is not None
        ordinal = self.state.last_ordinal + gap if imported and gap and self.state.last_ordinal + gap > 0 else None
        command = complete(
            version="auto" if version is None else text(version),
            base=base,
            signature=_signature(interface),
            ordinal=ordinal,
            origin=e.Origin("mlflow", "1") if imported else None,
            **{name: _EMPTY[name] for name in lacking or ()},
        )
        expected = self.naive.register(
            version,
            base,
            interface,
            same_weights=same_weights,
            ordinal=ordinal,
            incomplete=lacking or (),
            digests={known.digest, *(file.sha256 for file in known.files)},
        )
        self.compare(command, expected, KnownArtifact(known))

    @rule(ref=near_refs, fields=shares, waive=st.booleans())
    def complete(self, ref: str, fields: set[str], *, waive: bool) -> None:
        given = {"waive": tuple(fields)} if waive else {name: COMPLETIONS[name] for name in fields}
        self.compare(c.UpdateVersion("fraud", ref, **given), self.naive.complete(ref, fields, waive=waive))

    @rule(ref=near_refs, name=st.sampled_from(["bias", "drift"]), failed=st.booleans())
    def check(self, ref: str, name: str, *, failed: bool) -> None:
        command = c.ReportCheck("fraud", ref, name, "failed" if failed else "passed")
        self.compare(command, self.naive.check(ref, name, failed=failed))

    @rule(ref=near_refs, to=st.sampled_from(STAGES), keep=st.booleans(), expected=expectations)
    def promote(self, ref: str, to: str, expected: str | bool | None, *, keep: bool) -> None:
        command = c.Promote("fraud", ref, to, keep, _expectation(expected))
        self.compare(command, self.naive.promote(ref, to, keep=keep, expected=expected, lost=self._lost()))

    @rule(ordinal=st.integers(1, 4), keep=st.booleans(), stages=st.integers(1, 3))
    def bring_on(self, ordinal: int, stages: int, *, keep: bool) -> None:
        """Promote a version by as many stages as it may go: histories of rollbacks need many that get there."""
        for _ in range(stages):
            found = self.naive.find(str(ordinal))
            if isinstance(found, str) or found["stage"] == "production" or found["incomplete"]:
                return
            self.promote(str(ordinal), STAGES[(STAGES.index(found["stage"]) + 1) % 4], UNSAID, keep=keep)

    @rule(stage=st.sampled_from(["production", *HELD]), to=st.none() | near_refs, expected=expectations)
    def roll_back(self, stage: str, to: str | None, expected: str | bool | None) -> None:
        command = c.RollBack("fraud", stage, to, _expectation(expected))
        self.compare(command, self.naive.roll_back(stage, to, expected=expected, lost=self._lost()))

    @rule(ref=near_refs, leave_empty=st.booleans())
    def archive(self, ref: str, *, leave_empty: bool) -> None:
        self.compare(c.Archive("fraud", ref, leave_empty), self.naive.archive(ref, leave_empty=leave_empty))

    @rule(alias=st.sampled_from(ALIASES), ref=near_refs, expected=expectations)
    def assign(self, alias: str, ref: str, expected: str | bool | None) -> None:
        command = c.AssignAlias("fraud", alias, ref, _expectation(expected))
        self.compare(command, self.naive.assign(alias, ref, expected=expected))

    @rule(alias=st.sampled_from(ALIASES), expected=expectations)
    def unassign(self, alias: str, expected: str | bool | None) -> None:
        command = c.RemoveAlias("fraud", alias, _expectation(expected))
        self.compare(command, self.naive.unassign(alias, expected=expected))

    @rule(stage=st.sampled_from(HELD), ordinal=st.integers(1, 4))
    def go_back(self, stage: str, ordinal: int) -> None:
        """Roll back twice, promote something, roll back: what was rolled back from must be told from what was not."""
        self.roll_back(stage, None, UNSAID)
        self.roll_back(stage, None, UNSAID)
        self.bring_on(ordinal, 3, keep=False)
        self.roll_back(stage, None, UNSAID)

    @rule(ordinals=st.permutations([1, 2, 3]), leaves=st.integers(0, 3), to=st.none() | st.sampled_from(KNOWN))
    def several_serve(self, ordinals: list[int], leaves: int, to: str | None) -> None:
        """Several versions hold production; one of them may be archived before the rollback."""
        for ordinal in ordinals:
            self.bring_on(ordinal, 3, keep=True)
        if leaves:
            self.archive(str(leaves), leave_empty=False)
        self.roll_back("production", to, UNSAID)

    @precondition(lambda self: not self.naive.retired)
    @rule(leave_empty=st.booleans(), asked=rarely)
    def retire(self, *, leave_empty: bool, asked: bool) -> None:
        if asked:
            self.compare(c.RetireModel("fraud", leave_empty), self.naive.retire(leave_empty=leave_empty))

    @rule(asked=rarely)
    def revive_too_early(self, *, asked: bool) -> None:
        if asked and not self.naive.retired:
            self.revive()

    @precondition(lambda self: self.naive.retired)
    @rule()
    def revive(self) -> None:
        self.compare(c.ReviveModel("fraud"), self.naive.revive())

    @rule(lost=st.sets(st.integers(1, 6), max_size=2))
    def lose(self, lost: set[int]) -> None:
        """The artifact store has lost the bytes of these, and has those of all others."""
        self.lost = lost

    # Steps

    def compare(self, command: c.Command, expected: Outcome, known: KnownArtifact | None = None) -> None:
        before, count = plain(self.state), len(self.events)
        if isinstance(expected, str):
            with pytest.raises(RegistaError) as caught:
                self.accept(command, known)
            assert caught.value.code == expected
            assert caught.value.hint
            assert (plain(self.state), len(self.events)) == (before, count), "a refusal changes nothing"
        else:
            assert _facts(self.accept(command, known), expected) == expected

    def accept(self, command: c.Command, known: KnownArtifact | None = None) -> e.Event:
        missing = frozenset(v.digest for v in self.state.versions.to_dict().values() if v.ordinal in self._lost())
        events = decide(self.state, command, Context("because", {}, missing, known or KnownArtifact()))
        assert len(events) == 1, "every command of this stream leads to one event"
        for event in events:
            self.state = evolve(self.state, event)
        self.events += events
        return events[0]

    def _lost(self) -> set[int]:
        """Bytes are lost by digest: with one version all that share its manifest."""
        digests = {v.digest for v in self.state.versions.to_dict().values() if v.ordinal in self.lost}
        return {v.ordinal for v in self.state.versions.to_dict().values() if v.digest in digests}

    # What always holds

    @invariant()
    def the_state_is_what_the_naive_model_says(self) -> None:
        versions = self.state.versions.to_dict()
        assert self.state.retired == self.naive.retired
        assert [(v["ordinal"], text(v["number"]), v["stage"]) for v in self.naive.versions] == [
            (ordinal, str(v.number), v.stage) for ordinal, v in versions.items()
        ]
        for v in self.naive.versions:
            version = versions[v["ordinal"]]
            assert set(version.incomplete) == v["incomplete"]
            assert {name for name, status in version.checks.items() if status == "failed"} == v["failed"]
            assert version.aliases == {alias for alias, target in self.naive.aliases.items() if target is v}
        for stage in HELD:
            held = self.state.stage(stage)
            assert sorted(held.holders, key=held.holders.__getitem__) == [
                v["ordinal"] for v in self.naive.holders(stage)
            ]

    @invariant()
    def a_stage_has_one_holder_unless_the_others_were_kept(self) -> None:
        for stage in HELD:
            holders = self.state.stage(stage).holders
            inside = {v.ordinal for v in self.state.versions.to_dict().values() if v.stage == stage}
            assert set(holders) == inside, "a version is in one stage, and holds no other"
            kept = [
                x for x in self.events if isinstance(x, e.VersionPromoted) and x.to_stage == stage and x.keep_existing
            ]
            assert len(holders) <= 1 + len(kept)
            assert len(holders) <= 1 or any(x.ordinal in holders for x in kept)

    @invariant()
    def ordinals_and_numbers_are_never_used_twice(self) -> None:
        registered = [x for x in self.events if isinstance(x, e.VersionRegistered)]
        ordinals = [x.ordinal for x in registered]
        assert ordinals == sorted(set(ordinals))
        assert len({x.version for x in registered}) == len(registered) == len(self.state.versions)
        gaps = {b for a, b in zip([0, *ordinals], ordinals, strict=False) if b != a + 1}
        assert len(gaps) <= len([x for x in registered if x.incomplete or x.ordinal in gaps])

    @invariant()
    def aliases_point_at_versions_that_exist(self) -> None:
        for alias in ALIASES:
            ordinal = self.state.aliases.get(alias)
            assert ordinal is None or ordinal in self.state.versions
            if ordinal is not None:
                assert find_version(self.state, f"@{alias}").ordinal == ordinal

    @invariant()
    def each_digest_leads_to_all_versions_that_have_it(self) -> None:
        for content in CONTENTS:
            sharing = [v for v in self.naive.versions if digest(content) in v["digests"]]
            if len(sharing) == 1:
                assert find_version(self.state, digest(content)).ordinal == sharing[0]["ordinal"]
            elif not sharing:
                with pytest.raises(NotFound):
                    find_version(self.state, digest(content))

    @invariant()
    def the_history_folds_to_the_state_over_any_split_and_after_a_round_trip(self) -> None:
        stored = [from_record(type(x).TYPE, to_record(x)) for x in self.events]
        assert stored == self.events
        at = (len(stored) * 7) // 11
        assert plain(fold(stored)) == plain(self.state)
        assert plain(fold(stored[at:], fold(stored[:at]))) == plain(self.state)
        assert self.state.sequence == len(stored)


_EMPTY: dict[str, Any] = {"code": None, "datasets": (), "metrics": {}, "author": None, "trained_at": None}


def _signature(interface: Interface | None) -> m.Signature | None:
    if interface is None:
        return None
    inputs = tuple(m.TensorField(name, "float32", None, default) for name, default in interface.items())
    return m.Signature(inputs, (m.TensorField("score", "float32"),))


def _expectation(expected: str | bool | None) -> c.Expectation:
    return c.UNSET if isinstance(expected, bool) else expected


def _facts(event: e.Event, expected: dict[str, Any]) -> dict[str, Any]:
    """Of an event, what the naive model speaks of."""
    facts = {name: getattr(event, name) for name in expected}
    if "displaced" in facts:
        facts["displaced"] = {d.version for d in facts["displaced"]}
    if "holders" in facts:
        facts["holders"] = {(h.stage, h.version) for h in facts["holders"]}
    return facts


def test_any_history_keeps_the_rules() -> None:
    run_state_machine_as_test(
        ModelMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None, derandomize=True)
    )


@pytest.mark.soak
def test_many_long_histories_keep_the_rules() -> None:
    slow = [HealthCheck.too_slow]
    run_state_machine_as_test(
        ModelMachine,
        settings=settings(max_examples=3_000, stateful_step_count=100, deadline=None, suppress_health_check=slow),
    )
