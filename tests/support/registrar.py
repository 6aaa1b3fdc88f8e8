"""A registrar on a real log in a folder of the test's own, and commands that hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.errors import NotFound
from regista.registrar.answers import Outcome
from regista.registrar.artifacts import Artifacts, ArtifactSource, Described
from regista.registrar.commands import Command
from regista.registrar.request import Caller, Request
from regista.registrar.service import Registrar
from regista.registrar.snapshots import Snapshots
from regista.store.group_commit import GroupCommit
from regista.store.log import LogStore
from regista.store.postgres import PostgresLogStore
from regista.store.sqlite import SQLiteLogStore

ANN = Caller("ann", "asserted")
TRAINED = datetime(2026, 5, 4, 12, tzinfo=UTC)


def registration(model: str, number: int = 0, **changes: Any) -> c.RegisterVersion:
    """A registration with everything that is required; ``number`` makes its bytes differ from others'."""
    whole = c.RegisterVersion(
        model,
        artifact=c.AnnouncedArtifact(f"s3://models/{number}", f"sha256:{number:064x}", 10, "onnx"),
        code=m.Code("https://git.example/fraud", "0" * 40),
        datasets=(m.Dataset("transactions", "2026-05"),),
        metrics={"auc": 0.9},
        author="ann",
        trained_at=TRAINED,
    )
    return replace(whole, **changes)


class NothingStored:
    """An artifact store that holds nothing, and misses what it is told to."""

    def __init__(self, gone: Iterable[str] = ()) -> None:
        self.gone = set(gone)

    async def describe(self, digest: str) -> Described:
        raise NotFound(digest)

    async def missing(self, digests: Iterable[str]) -> frozenset[str]:
        return frozenset(self.gone.intersection(digests))


@dataclass
class Running:
    """A registrar, its log, and a shorthand to give it commands."""

    log: LogStore
    writer: GroupCommit
    registrar: Registrar

    async def do(self, command: Command, reason: str | None = "because", caller: Caller = ANN, **more: Any) -> Outcome:
        return await self.registrar.execute(Request(command, caller, reason, **more))


def registrar_on(
    log: LogStore, folder: Path, source: ArtifactSource | None = None, erase: list[str] | None = None
) -> Running:
    """Another registrar on the same log; ``erase`` gets the ids of the secrets that it forgets."""

    async def forget(ids: Collection[str]) -> None:
        if erase is not None:
            erase.extend(ids)

    writer = GroupCommit(log)
    snapshots = Snapshots(folder / "snapshots.db")
    registrar = Registrar(
        log, writer, Artifacts(source or NothingStored()), snapshots, committed=lambda _: None, erase=forget
    )
    return Running(log, writer, registrar)


@asynccontextmanager
async def running(
    folder: Path, database: str | None = None, *, erase: list[str] | None = None
) -> AsyncIterator[Running]:
    """A registrar on the log of ``folder``, or in a PostgreSQL ``database``, closed with the block."""
    log: LogStore = SQLiteLogStore(folder) if database is None else PostgresLogStore(database)
    one = registrar_on(log, folder, erase=erase)
    try:
        yield one
    finally:
        await one.writer.close()
        log.close()
