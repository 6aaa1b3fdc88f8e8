"""What a kind of target is: it makes one system serve what an endpoint wants, and says what that system serves.

A kind is opened by its name in the entry point group ``regista.targets``; other packages may bring more. One suite
of tests holds for all of them (``tests/integration/test_targets.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias

from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import RegistaError
from regista.domain.events import Variant


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint is to serve from a change on. Weights and mirrors are hundredths of a percent.

    ``change`` is its sequence in the endpoint's stream, and rises for ever, also when an endpoint was retired and
    created again. ``idempotency_key`` is ``<log id>:<position>:<target>``. No ``variants``: nothing is to be served.
    """

    environment: str
    endpoint: str
    model: str
    change: int
    position: int
    idempotency_key: str
    variants: tuple[Variant, ...]
    actor: str
    reason: str | None
    time: datetime

    @property
    def log(self) -> str:
        """The id of the log that the change stands in: changes of two logs cannot be compared."""
        return self.idempotency_key.partition(":")[0]

    def __str__(self) -> str:
        return f"change {self.change} of {self.environment}/{self.endpoint}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What runs there now, as far as the target can see it, and a sentence about what was done."""

    observed: tuple[ObservedVariant, ...]
    detail: str = ""


class TargetFailed(RegistaError):
    """The target does not serve what is wanted. ``retryable``: the same may succeed later, with nothing changed.

    ``retry_after``: seconds that the other side asks for. Code ``outdated``: it serves a newer change already.
    """

    status: ClassVar[int] = 502
    default_code = "target_failed"

    def __init__(
        self,
        detail: str,
        *,
        retryable: bool,
        code: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail, code=code, hint=hint)
        self.retryable = retryable
        self.retry_after = retry_after


class Target(Protocol):
    """One system that endpoints are deployed to. Calls for one endpoint come one after another."""

    async def apply(self, wanted: Wanted) -> Applied:
        """Serve this. The same change again is no change; after a crash in the middle it serves the old or the new.

        Raises:
            TargetFailed: it does not serve this; ``outdated`` when it has been given a newer change.
        """

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        """What it serves; empty for nothing, None when it cannot be asked.

        Raises:
            TargetFailed: it did not answer.
        """

    async def aclose(self) -> None:
        """Let go of connections and of processes that were started."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where artifacts are fetched from."""

    url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TargetContext:
    """What a target is opened with.

    ``settings`` and ``secrets`` are what was registered. ``data`` is a directory of this target alone, kept between
    runs. ``allow_private``: it may call addresses that are not on the public network. ``roots``: directories that the
    operator lets targets write to, besides ``data``: a path in ``settings`` is not enough, since whoever may register
    a target is not necessarily allowed to write the files of this machine.
    """

    name: str
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    data: Path
    registry: Registry
    allow_private: bool = False
    roots: tuple[Path, ...] = ()


TargetKind: TypeAlias = Callable[[TargetContext], Target]
"""Opens a target; raises ``Invalid`` with every reason when the settings or secrets are not what the kind needs."""
