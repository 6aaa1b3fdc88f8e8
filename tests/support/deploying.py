"""A registry whose log a deployer of the test follows, and targets that write down what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from tests.support.payloads import numbered_version
from tests.support.server import client_of
from tests.support.working import WorkPlace, eventually, open_work

from regista import server
from regista.deployer.attempts import Pace
from regista.deployer.deployer import Deployer, Tempo
from regista.deployer.opening import Surroundings
from regista.deployer.targets.base import Applied, Registry, Target, TargetContext, TargetFailed, Wanted
from regista.domain import events as e
from regista.domain.endpoint.commands import ObservedVariant
from regista.domain.errors import Invalid
from regista.processes.deploying import clients_inside
from regista.server import Application
from regista.settings import Settings
from regista.store.feed import StoreFeed
from regista.tasks import Tasks
from regista.work.logged import Logged, decoded

WHY = {"reason": "because"}
FRAUD = "endpoints/prod/fraud"
QUICK = Tempo(Pace(first=0.02, longest=0.1, attempt=5.0, late=30.0, grace=2.0), look_every=30.0)


def observed(variants: Sequence[e.Variant]) -> tuple[ObservedVariant, ...]:
    return tuple(ObservedVariant(v.artifact_digest, v.role, v.weight, v.mirror, v.region) for v in variants)


@dataclass
class Recorder:
    """All targets of a test: what each was given, what runs there, and what is to go wrong.

    ``gate`` lets nothing through while it is clear. ``failures`` are raised one by one, before anything else.
    """

    given: list[Wanted] = field(default_factory=list)
    runs: dict[tuple[str, str, str], tuple[ObservedVariant, ...]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    opened: list[TargetContext] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    entered: int = 0
    broken_off: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def open(self, kind: str, context: TargetContext) -> Target:
        if kind != "recorder":
            raise Invalid(f"there is no kind of target {kind}", code="unknown_kind")
        self.opened.append(context)
        return RecordingTarget(self, context.name)

    def changes(self, endpoint: str = "fraud") -> list[int]:
        return [wanted.change for wanted in self.given if wanted.endpoint == endpoint]


class RecordingTarget:
    """Implements ``Target``; refuses what is older than what it has, as every kind does."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    async def apply(self, wanted: Wanted) -> Applied:
        recorder = self._recorder
        recorder.entered += 1
        if not recorder.held or wanted.endpoint in recorder.held:
            try:
                await recorder.gate.wait()
            except asyncio.CancelledError:
                recorder.broken_off += 1
                raise
        if recorder.failures:
            raise recorder.failures.pop(0)
        place = (self._name, wanted.environment, wanted.endpoint)
        newest = max((w.change for w in recorder.given if w.endpoint == wanted.endpoint), default=0)
        if wanted.change < newest:
            raise TargetFailed("older", code="outdated", retryable=False)
        recorder.given.append(wanted)
        recorder.runs[place] = observed(wanted.variants)
        return Applied(recorder.runs[place], "written down")

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        return self._recorder.runs.get((self._name, environment, endpoint), ())

    async def aclose(self) -> None:
        return


class NoSecrets:
    def get(self, id: str) -> str | None:  # noqa: A002, ARG002 - the port's signature
        return None


class Door:
    """The way to a registry, which a test may shut."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.shut = False
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        if self.shut:
            away = JSONResponse({"code": "unavailable", "detail": "away"}, 503)
            await away(scope, receive, send)
            return
        await self._app(scope, receive, send)


class World:
    """A registry without a deployer of its own, its log, and a client."""

    def __init__(self, app: Application, client: httpx.AsyncClient, place: WorkPlace, data: Path) -> None:
        self.app = app
        self.client = client
        self.place = place
        self.data = data
        self.recorder = Recorder()
        self.door = Door(app.asgi)
        self.feed = StoreFeed(app._store)

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = await self.client.request(method, f"/v1/{path}", json=body, headers=headers)
        assert answer.status_code < 300, answer.text
        self.feed.notify()
        return answer.json()

    async def furnish(self, versions: int = 3) -> None:
        """The model ``fraud`` with versions in staging, ``prod`` that serves them, the targets ``edge`` and ``core``."""
        await self.send("POST", "models", {"name": "fraud"})
        for number in range(versions):
            await self.send("POST", "models/fraud/versions", numbered_version(number))
            promotion = {"to": "staging", "keep_existing": True, **WHY}
            await self.send("POST", f"models/fraud/versions/{number + 1}/promote", promotion)
        await self.send("PUT", "environments/prod", {"stages": ["staging", "production"]})
        for target in ("edge", "core"):
            await self.send("PUT", f"targets/{target}", {"kind": "recorder"})

    async def endpoint(self, name: str = "fraud", targets: Sequence[str] = ("edge",), **more: Any) -> None:
        body = {"environment": "prod", "name": name, "model": "fraud", "targets": list(targets), **more}
        await self.send("POST", "endpoints", body)

    async def serve(self, *weights: float, name: str = "fraud") -> int:
        """Change the traffic to the first versions with these weights; the change."""
        variants = [{"version": str(i + 1), "weight": weight} for i, weight in enumerate(weights) if weight]
        changed = await self.send("PUT", f"endpoints/prod/{name}/traffic", {"variants": variants, **WHY})
        return int(changed["change"])

    def events(self, kind: type[e.Event]) -> list[Logged]:
        """The events of a type, as they stand in the log."""
        rows = self.app._store.read(1, 100_000)
        return [decoded(row, self.app._store.log_id) for row in rows if row.type == kind.TYPE]

    def reports(self) -> list[tuple[int, str, str]]:
        """Of each report its change, its target and its state."""
        told = [logged.event for logged in self.events(e.DeploymentReported)]
        return [(r.change, r.target, r.state) for r in told if isinstance(r, e.DeploymentReported)]

    async def reported(self, *reports: tuple[int, str, str]) -> None:
        """Return when the log has these reports among others."""
        await eventually(lambda: set(reports) <= set(self.reports()))

    @asynccontextmanager
    async def deployer(
        self, tempo: Tempo = QUICK, *, leads: bool = True, start: int | None = None
    ) -> AsyncIterator[Deployer]:
        """A deployer at work, which follows the log; unless it ``leads`` it stands by beside another one."""
        around = Surroundings(self.data, lambda: Registry("http://127.0.0.1:1"), NoSecrets(), self.recorder.open)
        with closing(open_work(self.place)) as work:
            clients = clients_inside(self.app.settings, self.door)
            deployer = Deployer(work, self.feed, clients, around, tempo=tempo, start=start)
            tasks = Tasks()
            deployer.start(tasks)
            try:
                state = "following" if leads else "standing by"
                await eventually(lambda: all(c.status().state == state for c in deployer.consumers))
                yield deployer
            finally:
                tasks.leave()
                await deployer.close()
                await tasks.ended()
                await deployer.release()
                assert not tasks.failed.is_set()


@asynccontextmanager
async def world(data: Path, place: WorkPlace) -> AsyncIterator[World]:
    """A world that is not furnished yet."""
    server.VIEWS_WITHIN, within = 0.01, server.VIEWS_WITHIN  # nobody projects here
    try:
        async with Application(Settings.model_validate({"data": data}), alone=False) as app, client_of(app) as client:
            yield World(app, client, place, data)
    finally:
        server.VIEWS_WITHIN = within
