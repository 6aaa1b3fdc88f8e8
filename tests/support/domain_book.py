"""One model's book in memory: real commands decided and evolved by the real rules, without store or clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, TypeVar

import pytest

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain import metadata as m
from regista.domain.errors import Reason, RegistaError
from regista.domain.model import EMPTY, Context, KnownArtifact, ModelState, decide, evolve
from regista.domain.model.lookup import find_version
from regista.domain.model.state import is_inside, sharers

E = TypeVar("E", bound=RegistaError)
TRAINED = datetime(2026, 5, 4, 12, tzinfo=UTC)


def digest(text: str) -> str:
    return f"sha256:{sha256(text.encode()).hexdigest()}"


def artifact(content: str, *, shared: str | None = None, weights: str | None = None) -> m.Artifact:
    """An artifact of one file, and maybe another that it shares with other artifacts."""
    files = [m.File("model.pkl", len(content), digest(f"file {content}"))]
    if shared is not None:
        files.append(m.File("tokenizer.json", len(shared), digest(f"file {shared}")))
    uri = f"regista:{digest(content)}"
    return m.Artifact(uri, digest(content), sum(f.size for f in files), "pickle", tuple(files), weights)


def signature(inputs: str = "x", outputs: str = "y", kind: str = "float32") -> m.Signature:
    """A signature of scalars by name; a name with ``?`` is optional."""

    def tensors(names: str) -> tuple[m.TensorField, ...]:
        return tuple(m.TensorField(n.rstrip("?"), kind, None, n.endswith("?")) for n in names.split())

    return m.Signature(tensors(inputs), tensors(outputs))


def complete(**changes: Any) -> c.RegisterVersion:
    """A registration of ``fraud`` with everything that is required, the artifact aside."""
    fields: dict[str, Any] = {
        "model": "fraud",
        "code": m.Code(commit="4be1c2f"),
        "datasets": (m.Dataset("transactions", "2026-05"),),
        "metrics": {"auc": 0.93},
        "author": "ada",
        "trained_at": TRAINED,
        **changes,
    }
    return c.RegisterVersion(**fields)


class Book:
    """A model called ``fraud``, registered unless told otherwise. ``events`` is its history."""

    def __init__(self, *versions: str, registered: bool = True) -> None:
        self.state: ModelState = EMPTY
        self.events: list[e.Event] = []
        self.others: dict[str, ModelState] = {}
        self.missing: frozenset[str] = frozenset()
        self._contents = 0
        if registered:
            self.do(c.RegisterModel("fraud"))
        for version in versions:
            self.register(version)

    def do(self, command: c.Command, reason: str | None = "because", known: KnownArtifact | None = None) -> e.Event:
        """Carry out a command; it leads to one event."""
        [event] = decide(self.state, command, self._context(reason, known))
        self.events.append(event)
        self.state = evolve(self.state, event)
        return event

    def refused(
        self,
        error: type[E],
        code: str,
        command: c.Command,
        reason: str | None = "because",
        known: KnownArtifact | None = None,
    ) -> E:
        """Try a command that is refused with this error and code, a detail and a hint."""
        with pytest.raises(error) as caught:
            decide(self.state, command, self._context(reason, known))
        assert caught.value.code == code, caught.value
        assert caught.value.detail, "a refusal says what is wrong"
        assert caught.value.hint, f"{code}: a refusal says what to do next"
        return caught.value

    def register(self, version: str = "auto", **changes: Any) -> e.VersionRegistered:
        """Register a version with bytes of its own, unless ``content`` names them."""
        self._contents += 1
        content = changes.pop("content", f"bytes {self._contents}")
        known = artifact(content, shared=changes.pop("shared", None), weights=changes.pop("weights", None))
        announced = KnownArtifact(known, changes.pop("read", None))
        event = self.do(complete(version=version, **changes), known=announced)
        assert isinstance(event, e.VersionRegistered)
        return event

    def promote(self, ref: str, to: str, **how: Any) -> e.VersionPromoted:
        event = self.do(c.Promote("fraud", ref, to, **how))
        assert isinstance(event, e.VersionPromoted)
        return event

    def serve(self, *refs: str, **how: Any) -> None:
        """Bring versions into production one after the other, by all the stages before it."""
        for ref in refs:
            if self.stage_of(ref) == "archived":
                self.promote(ref, "candidate")
            if self.stage_of(ref) == "candidate":
                self.promote(ref, "staging")
            self.promote(ref, "production", **how)

    def roll_back(self, **how: Any) -> e.VersionRolledBack:
        event = self.do(c.RollBack("fraud", **how))
        assert isinstance(event, e.VersionRolledBack)
        return event

    def archive(self, ref: str, *, leave_empty: bool = False) -> e.VersionArchived:
        event = self.do(c.Archive("fraud", ref, leave_empty))
        assert isinstance(event, e.VersionArchived)
        return event

    def lose(self, *refs: str) -> None:
        """Let the artifact store lose the bytes of versions."""
        self.missing |= {find_version(self.state, ref).digest for ref in refs}

    def stage_of(self, ref: str) -> str:
        return find_version(self.state, ref).stage

    def holders(self, stage: str = "production") -> set[str]:
        """The numbers of the versions that hold a stage."""
        return {str(self.state.versions[ordinal].number) for ordinal in self.state.stage(stage).holders}

    def current(self, stage: str = "production") -> str | None:
        """The number of the version that a reference to the stage names."""
        ordinal = self.state.stage(stage).current
        return None if ordinal is None else str(self.state.versions[ordinal].number)

    def _context(self, reason: str | None, known: KnownArtifact | None) -> Context:
        return Context(reason, self.others, self.missing, known or KnownArtifact())


def codes(reasons: Iterable[Reason]) -> set[str]:
    return {reason.code for reason in reasons}


def fields(reasons: Iterable[Reason]) -> set[str | None]:
    return {reason.field for reason in reasons}


def inside(state: ModelState, stage: str) -> list[int]:
    """Who is in a stage without holders, the newest first."""
    ordinals, tenure = [], state.inside.get(stage)
    while tenure is not None:
        if is_inside(state.versions[tenure.ordinal], stage, tenure):
            ordinals.append(tenure.ordinal)
        tenure = tenure.below
    return ordinals


def plain(state: ModelState) -> Mapping[str, object]:
    """All that a state holds, in values that compare by what they are."""
    stages = {}
    for name, stage in state.stages.items():
        tenures, tenure = [], stage.tenures
        while tenure is not None:
            tenures.append((tenure.ordinal, tenure.since))
            tenure = tenure.below
        held = stage.held.to_dict()
        if held:
            stages[name] = (dict(stage.holders), tenures, held, stage.rolled_back)
    return {
        "scalars": (state.sequence, state.name, state.owner, state.policy, state.retired, state.last_ordinal),
        "highest": state.highest,
        "versions": state.versions.to_dict(),
        "numbers": state.numbers.to_dict(),
        "digests": {digest: list(sharers(sharing)) for digest, sharing in state.digests.to_dict().items()},
        "aliases": state.aliases.to_dict(),
        "alias_touched": state.alias_touched.to_dict(),
        "stages": stages,
        "ordered": [str(number) for number in state.ordered],
        "inside": {name: inside(state, name) for name in state.inside},
    }
