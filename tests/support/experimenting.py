"""A registry in this process whose endpoint is judged by its metrics: real log, real rules, real work database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection
from tests.support.inference import report
from tests.support.server import application
from tests.support.working import WorkPlace, open_work

from regista.client import AsyncClient
from regista.metrics.experiments import ACTOR, Experiments
from regista.metrics.live import endpoint_metrics
from regista.server import Application
from regista.wire.inference import EndpointMetrics, InferenceReport
from regista.work.consumer import Consumer
from regista.work.database import Work

WITHIN = 15.0
STEPS = [{"weight": weight, "minimum_requests": 500} for weight in (10, 50, 100)]
ERRORS = {"metric": "errors", "limit": "maximum", "value": 0.02, "minimum_samples": 200}
LATENCY = {
    "metric": "latency_p95", "limit": "maximum", "value": 3.0, "minimum_samples": 200, "relative_to_champion": True,
}  # fmt: skip


class Trial:
    """``prod/fraud`` serving 1.0.0, and 1.1.0 that may come in. ``judging`` brings experiments up, any number of times."""

    def __init__(self, app: Application, client: AsyncClient, place: WorkPlace) -> None:
        self.app, self.client, self.place = app, client, place
        self.digests: dict[str, str] = {}
        self.experiments: Experiments
        self.work: Work

    async def furnish(self, *, automatic: bool = True, targets: Sequence[str] = (), **how: Any) -> None:
        """A model with two versions, an environment, an endpoint; 1.0.0 is served."""
        await self.client.create_model("fraud")
        for number in range(2):
            version = await self.client.register_version("fraud", _version(number))
            self.digests[version.version] = version.artifact.digest
            await self.client.promote("fraud", str(number + 1), to="staging", reason="new", keep_existing=True)
        await self.client.define_environment("prod", stages=["staging"])
        for target in targets:
            await self.client.put_target(target, kind="nginx", settings={"port": 8081})
        guardrails = how.pop("guardrails", [ERRORS, LATENCY])
        await self.client.create_endpoint(
            "prod", "fraud", model="fraud", targets=targets, automatic=automatic, guardrails=guardrails, **how
        )
        await self.client.change_traffic("prod", "fraud", {"1.0.0": 100}, reason="first")

    async def begin(self, *, steps: Sequence[Any] = STEPS) -> int:
        """Bring 1.1.0 in as a canary: the change."""
        weight = steps[0]["weight"]
        variants = [
            {"version": "1.0.0", "weight": 100 - weight, "role": "champion"},
            {"version": "1.1.0", "weight": weight, "role": "canary"},
        ]
        written = await self.client.change_traffic("prod", "fraud", variants, canary=steps, reason="try 1.1.0")
        assert written.change is not None
        return written.change

    @asynccontextmanager
    async def judging(self) -> AsyncIterator[Experiments]:
        """Experiments, following the log and looking all the time, until the block ends."""
        work = open_work(self.place)
        transport = httpx.ASGITransport(self.app.asgi)
        async with AsyncClient("http://127.0.0.1", actor=ACTOR, fresh=False, transport=transport) as client:
            self.work, self.experiments = work, Experiments(work, client, every=0.02)
            consumer = Consumer(work, self.experiments, self.app._feed)
            tasks = [asyncio.create_task(part.run()) for part in (consumer, self.experiments)]
            try:
                await self.until(lambda: consumer.status().state == "following")
                yield self.experiments
            finally:
                await consumer.close()
                await self.experiments.close()
                await asyncio.gather(*tasks)
                work.close()

    async def serve(self, version: str, requests: int = 600, errors: int = 0, **how: Any) -> InferenceReport:
        """Report that a version answered, just now."""
        made = self.report(version, requests, errors, **how)
        await self.experiments.add([made])
        return made

    def report(self, version: str, requests: int = 600, errors: int = 0, **how: Any) -> InferenceReport:
        """A report of an instant, now unless ``ended_at`` is given."""
        now = {"ended_at": datetime.now(UTC), "seconds": 0.0}
        return report(version, requests, errors, digest=self.digests[version], **{**now, **how})

    async def metrics(self) -> EndpointMetrics:
        """What is known of the endpoint."""

        def look(connection: Connection) -> EndpointMetrics | None:
            return endpoint_metrics(connection, "prod/fraud", datetime.now(UTC))

        found = await self.work.run(look)
        assert found is not None
        return found

    async def effective(self, change: int) -> None:
        """Return when a change is known to have taken effect."""

        async def holds() -> bool:
            known = (await self.metrics()).change
            return known is not None and known.change == change and known.effective_at is not None

        await self.until_async(holds)

    async def events(self) -> list[Any]:
        """The endpoint's events."""
        return [event async for event in self.client.events(stream="endpoint/prod/fraud")]

    async def until_event(self, kind: str, number: int = 1) -> list[Any]:
        """The events of a type, when there are so many."""
        found: list[Any] = []

        async def holds() -> bool:
            found[:] = [event for event in await self.events() if event.type == f"regista.endpoint.{kind}.v1"]
            return len(found) >= number

        await self.until_async(holds)
        return found

    async def until(self, holds: Callable[[], object]) -> None:
        async def asked() -> object:
            return holds()

        await self.until_async(asked)

    async def until_async(self, holds: Callable[[], Any]) -> None:
        """Return when it holds."""
        until = time.monotonic() + WITHIN
        while not await holds():
            assert time.monotonic() < until, "it did not come true in time"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def trial(data: Path, place: WorkPlace | None = None) -> AsyncIterator[Trial]:
    """A registry with nothing in it."""
    async with application(data) as app:
        transport = httpx.ASGITransport(app.asgi)
        async with AsyncClient("http://127.0.0.1", actor="tester", transport=transport) as client:
            yield Trial(app, client, place or data / "experiments.db")


def _version(number: int) -> dict[str, Any]:
    return {
        "version": f"1.{number}.0",
        "artifact": {"uri": f"s3://m/{number}", "digest": f"sha256:{number + 1:064x}", "size": 1, "format": "onnx"},
        "code": {"repository": "https://git.example/fraud", "commit": "0" * 40},
        "datasets": [{"name": "transactions", "version": str(number)}],
        "metrics": {"auc": 0.9},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
    }
