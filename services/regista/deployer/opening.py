"""Targets, opened by what the log says of them, and kept open until it says something else."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from regista.deployer.discreet import Discreet
from regista.deployer.reactions import TargetDefinition
from regista.deployer.targets.base import Registry, Target, TargetContext, TargetFailed
from regista.domain.errors import Unavailable

FOLDER: Final = "targets"
logger = logging.getLogger("regista.deployer")
Open: TypeAlias = Callable[[str, TargetContext], Target]


class Secrets(Protocol):
    """Where secrets are kept."""

    def get(self, id: str) -> str | None:  # noqa: A002 - the name of the port
        """A secret by its id; None when it was erased."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What targets are opened with, beside what is registered of them. ``registry`` is known once it listens."""

    data: Path
    registry: Callable[[], Registry]
    secrets: Secrets
    open: Open
    allow_private: bool = False
    roots: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Opened:
    log_id: str
    revision: int
    target: Target


class OpenTargets:
    """Targets by name. Belongs to one event loop."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._around = surroundings
        self._opened: dict[str, _Opened] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._is_closed = False

    async def get(self, name: str, log_id: str, revision: int, definition: TargetDefinition) -> Target:
        """The target of a definition, or of one that the log has since, opened once.

        What an older definition opened is closed: what is still asked of it fails, and is asked again.

        Raises:
            Invalid: its kind does not exist, or refuses its settings.
            TargetFailed: ``secret_missing``.
            Unavailable: secrets cannot be read now; ``closed``.
        """
        async with self._locks.setdefault(name, asyncio.Lock()):
            if self._is_closed:
                raise Unavailable("the deployer ends: no target is opened any more", code="closed")
            there = self._opened.get(name)
            if there is not None and there.log_id == log_id and there.revision >= revision:
                return there.target
            if there is not None:
                del self._opened[name]
                await _close(name, there.target)
            opened = await asyncio.to_thread(self._open, definition)
            self._opened[name] = _Opened(log_id, revision, opened)
            return opened

    async def close(self) -> None:
        """Close all of them, for good."""
        self._is_closed = True
        for lock in self._locks.values():
            async with lock:  # one is being opened
                pass
        while self._opened:
            name, opened = self._opened.popitem()
            await _close(name, opened.target)

    def _open(self, definition: TargetDefinition) -> Target:
        secrets: dict[str, str] = {}
        for secret in definition.secrets:
            value = self._around.secrets.get(secret.id)
            if value is None:
                raise TargetFailed(
                    f"the secret {secret.name} of target {definition.name} is no longer there",
                    code="secret_missing",
                    retryable=False,
                    hint=f"PUT /v1/targets/{definition.name} gives it anew.",
                )
            secrets[secret.name] = value
        folder = self._around.data / FOLDER / definition.name.lower()
        folder.mkdir(parents=True, exist_ok=True)
        context = TargetContext(
            name=definition.name,
            settings=json.loads(definition.settings),
            secrets=secrets,
            data=folder,
            registry=self._around.registry(),
            allow_private=self._around.allow_private,
            roots=self._around.roots,
        )
        return Discreet(self._around.open(definition.kind, context), secrets.values())


async def _close(name: str, target: Target) -> None:
    try:
        await target.aclose()
    except Exception:
        logger.exception("target %s did not close in order", name)
