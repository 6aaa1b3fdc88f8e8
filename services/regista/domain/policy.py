"""The rules that a model's versions are judged by: stages in order, and the metadata they must carry."""

from __future__ import annotations

from dataclasses import dataclass

from regista.domain.references import DEFAULT_STAGES


@dataclass(frozen=True, slots=True)
class Requirement:
    """One piece of required metadata: its field in the API, and how to supply it."""

    field: str
    hint: str


REQUIRED = (
    Requirement(
        "artifact", "Upload the files (regista register MODEL PATH does), or give artifact.uri with artifact.files."
    ),
    Requirement(
        "code", "Give code.commit (git rev-parse HEAD); regista.capture() fills it, snapshot=True stores the script."
    ),
    Requirement(
        "datasets",
        "Give datasets[] with name and version or digest; run.dataset(NAME, DATA) of regista.capture() does.",
    ),
    Requirement(
        "metrics", "Give metrics{} with at least one finite number; run.metrics(auc=0.93) of regista.capture() does."
    ),
    Requirement(
        "trained_at", "Give trained_at in RFC 3339 with a zone, e.g. 2026-05-04T12:00:00Z; regista.capture() fills it."
    ),
    Requirement(
        "author", "Give author, an identifier of who trained it; regista.capture() fills it from REGISTA_ACTOR."
    ),
)
"""What every version carries. A policy may add to this, never remove."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Stages in order. The first is where versions enter, the last where they end, the one before it serves."""

    name: str
    stages: tuple[str, ...]

    @property
    def entry(self) -> str:
        """The stage that a version enters when it is registered."""
        return self.stages[0]

    @property
    def serving(self) -> str:
        """The stage that must not become empty by accident."""
        return self.stages[-2]

    def is_held(self, stage: str) -> bool:
        """Whether versions hold the stage and displace each other; entry and archive take any number."""
        return stage in self.stages[1:-1]

    @property
    def archive(self) -> str:
        """The stage at the end."""
        return self.stages[-1]


DEFAULT_POLICY = Policy("default", DEFAULT_STAGES)
