"""What a decision may look at beside the state of its own stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regista.domain.errors import Reason
from regista.domain.metadata import Artifact, Signature
from regista.domain.model.state import ModelState


@dataclass(frozen=True, slots=True)
class KnownArtifact:
    """What is known of the artifact that a registration names.

    ``artifact`` is None where it is missing or wrong; ``problems`` says in what. ``signature`` was read from its bytes.
    ``code_problems`` says why the code that is named with it cannot be recorded, by what the artifact store holds.
    """

    artifact: Artifact | None = None
    signature: Signature | None = None
    problems: tuple[Reason, ...] = ()
    code_problems: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """``others``: the states of other models that the command names, by stream, each checked in the append.

    ``missing_artifacts``: manifest digests whose bytes the artifact store no longer has. ``plain``: it was seen before
    that every text of command and reason can be printed and every key has a name; otherwise each is looked at.
    """

    reason: str | None = None
    others: Mapping[str, ModelState] = field(default_factory=dict)
    missing_artifacts: frozenset[str] = frozenset()
    artifact: KnownArtifact = KnownArtifact()
    plain: bool = False
