"""What the rules need to know of a model, and no more: no metrics, no descriptions.

Everything is immutable. A fold over a long history may use maps that change in place (``regista.domain.model.evolve``);
nobody sees them before they are frozen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, TypeVar

from regista.domain.events import CheckStatus
from regista.domain.metadata import Signature
from regista.domain.ordered import Numbers
from regista.domain.persistent import PersistentMap
from regista.domain.policy import DEFAULT_POLICY, Policy
from regista.domain.versions import VersionNumber

K = TypeVar("K")
V = TypeVar("V")


class SettableMap(Protocol[K, V]):
    """A mapping whose ``set`` gives the map with one entry more: another map, or itself while a fold builds."""

    def set(self, key: K, value: V, /) -> SettableMap[K, V]:
        """The map with this entry added or replaced."""

    def get(self, key: K, /) -> V | None:
        """The value, or None."""

    def __getitem__(self, key: K, /) -> V: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __iter__(self) -> Iterator[K]: ...
    def __len__(self) -> int: ...
    def to_dict(self) -> dict[K, V]:
        """A dictionary of the same entries, the caller's own."""


@dataclass(frozen=True, slots=True)
class VersionState:
    """One version. ``entered`` and ``touched`` are sequences of the stream: into its stage, and last of all."""

    number: VersionNumber
    ordinal: int
    stage: str
    digest: str
    uri: str
    weights_digest: str | None
    signature: Signature | None
    entered: int
    touched: int
    incomplete: tuple[str, ...] = ()
    aliases: frozenset[str] = frozenset()
    checks: Mapping[str, CheckStatus] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Tenure:
    """A version's time in a stage: since which sequence, and the tenures before it that a rollback can return to."""

    ordinal: int
    since: int
    below: Tenure | None


def is_inside(version: VersionState, stage: str, tenure: Tenure) -> bool:
    """Whether a version is in the stage since the tenure began."""
    return version.stage == stage and version.entered == tenure.since


Sharing: TypeAlias = "int | tuple[int, Sharing]"
"""The versions that have a digest: one, or the newest and those before it. One more costs one step, however many."""


def sharers(sharing: Sharing) -> Iterator[int]:
    """The ordinals, the newest first."""
    while not isinstance(sharing, int):
        ordinal, sharing = sharing
        yield ordinal
    yield sharing


@dataclass(frozen=True, slots=True)
class StageState:
    """Who holds a stage, and who held it. The entry and the archive have no holders and no such state (``inside``).

    ``holders`` and ``held`` give for each ordinal the sequence at which its (last) tenure began; ``tenures`` go back in
    time from the last. ``rolled_back`` are those that a rollback took out: the next one skips them until they are
    promoted anew.
    """

    holders: Mapping[int, int] = field(default_factory=dict)
    tenures: Tenure | None = None
    held: SettableMap[int, int] = field(default_factory=PersistentMap[int, int])
    rolled_back: frozenset[int] = frozenset()

    @property
    def current(self) -> int | None:
        """The ordinal of the holder promoted last."""
        return max(self.holders, key=self.holders.__getitem__) if self.holders else None


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as its rules see it. ``sequence`` is that of the last event folded; 0: the model does not exist.

    ``ordered`` are the numbers in ``numbers``. ``inside`` are the versions that came into a stage without holders, the
    one that came last first; that one is still there, while of those below it some may have left.
    """

    sequence: int = 0
    name: str = ""
    owner: str | None = None
    policy: Policy = DEFAULT_POLICY
    retired: bool = False
    last_ordinal: int = 0
    highest: VersionState | None = None
    versions: SettableMap[int, VersionState] = field(default_factory=PersistentMap[int, VersionState])
    numbers: SettableMap[str, int] = field(default_factory=PersistentMap[str, int])
    ordered: Numbers = field(default_factory=Numbers)
    digests: SettableMap[str, Sharing] = field(default_factory=PersistentMap[str, Sharing])
    aliases: SettableMap[str, int | None] = field(default_factory=PersistentMap[str, int | None])
    alias_touched: SettableMap[str, int] = field(default_factory=PersistentMap[str, int])
    stages: Mapping[str, StageState] = field(default_factory=dict)
    inside: Mapping[str, Tenure] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Whether the name was ever taken."""
        return self.sequence > 0

    def stage(self, name: str) -> StageState:
        """The stage, empty where nothing ever held it."""
        return self.stages.get(name, UNHELD)

    def current(self, name: str) -> int | None:
        """The ordinal of the version that a reference to the stage names: the one in it that came last."""
        newest = self.inside.get(name)
        return self.stage(name).current if newest is None else newest.ordinal


UNHELD = StageState()
"""A stage that nothing ever held."""
EMPTY = ModelState()
"""A model of which nothing has happened yet."""
