"""A registry in this process whose endpoint is judged by its metrics: real log, real rules, real work database."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import func, select
from tests.support.inference import report
from tests.support.payloads import numbered_version
from tests.support.server import application, client_of

from regista.client import AsyncClient
from regista.metrics.commands import NAME
from regista.metrics.experiments import Experiments
from regista.server import Application
from regista.wire.inference import EndpointMetrics, InferenceReport
from regista.work.orders import ORDERS

WITHIN = 15.0
METRICS = "/v1/endpoints/prod/fraud/metrics"
STEPS = [{"weight": weight, "minimum_requests": 500} for weight in (10, 50, 100)]
ERRORS = {"metric": "errors", "limit": "maximum", "value": 0.02, "minimum_samples": 200}
LATENCY = {
    "metric": "latency_p95", "limit": "maximum", "value": 3.0, "minimum_samples": 200, "relative_to_champion": True,
}  # fmt: skip


class Trial:
    """``prod/fraud`` serving 1.0.0, and 1.1.0 that may come in."""

    def __init__(self, app: Application, client: AsyncClient, http: httpx.AsyncClient) -> None:
        self.app, self.client, self.http = app, client, http
        self.digests: dict[str, str] = {}

    @property
    def experiments(self) -> Experiments:
        """Those of the registry."""
        assert self.app._reacting is not None
        return self.app._reacting.judging.experiments

    async def furnish(self, *, automatic: bool = True, targets: Sequence[str] = (), **how: Any) -> None:
        """A model with two versions, an environment, an endpoint; 1.0.0 is served."""
        await self.client.create_model("fraud")
        for number in range(2):
            await self.client.register_version("fraud", numbered_version(number + 1, version=f"1.{number}.0"))
            await self.client.promote("fraud", str(number + 1), to="staging", reason="new", keep_existing=True)
        await self.look_up()
        await self.client.define_environment("prod", stages=["staging"])
        for target in targets:
            await self.client.put_target(target, kind="by-hand")
        guardrails = how.pop("guardrails", [ERRORS, LATENCY])
        await self.client.create_endpoint(
            "prod", "fraud", model="fraud", targets=targets, automatic=automatic, guardrails=guardrails, **how
        )
        await self.client.change_traffic("prod", "fraud", {"1.0.0": 100}, reason="first")

    async def look_up(self) -> None:
        """The digests of the versions that are there."""
        async for version in self.client.versions("fraud"):
            assert version.artifact is not None
            self.digests[version.version] = version.artifact.digest

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

    async def serve(self, version: str, requests: int = 600, errors: int = 0, **how: Any) -> InferenceReport:
        """Report over HTTP that a version answered, just now; it is judged at once."""
        made = self.report(version, requests, errors, **how)
        answer = await self.send(made)
        assert answer.status_code == 202, answer.text
        self.experiments.taken()
        return made

    async def send(self, *reports: InferenceReport) -> httpx.Response:
        """Send reports."""
        bodies = [{k: v for k, v in asdict(r).items() if k not in {"environment", "endpoint"}} for r in reports]
        body = json.dumps({"reports": bodies}, default=datetime.isoformat)
        return await self.http.post(METRICS, content=body, headers={"content-type": "application/json"})

    def report(self, version: str, requests: int = 600, errors: int = 0, **how: Any) -> InferenceReport:
        """A report of an instant, now unless ``ended_at`` is given."""
        now = {"ended_at": datetime.now(UTC), "seconds": 0.0}
        return report(version, requests, errors, digest=self.digests[version], **{**now, **how})

    async def metrics(self) -> EndpointMetrics:
        """What is known of the endpoint."""
        answer = await self.http.get(METRICS, params={"min_position": self.client.position})
        assert answer.status_code == 200, answer.text
        return EndpointMetrics.model_validate_json(answer.content)

    async def settled(self) -> None:
        """Return when all that is known now was judged, and the registry has answered what follows, twice over."""
        for _ in range(2):
            await self.until_async(self._is_followed)
            await self.experiments.look()
            await self.until_async(self._is_answered)

    async def _is_followed(self) -> bool:
        assert self.app._reacting is not None
        end = self.app._store.max_position()
        return self.app._reacting.judging.consumer.status().position >= end

    async def _is_answered(self) -> bool:
        pending = select(func.count()).select_from(ORDERS).where(ORDERS.c.sender == NAME, ORDERS.c.state == "pending")
        count: int = await self.app._work.run(lambda connection: connection.execute(pending).scalar_one())
        return count == 0

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
async def trial(data: Path, *, there: bool = False, **given: object) -> AsyncIterator[Trial]:
    """A registry. ``there``: its directory has one already that was furnished."""
    async with application(data, **given) as app, client_of(app) as http:
        transport = httpx.ASGITransport(app.asgi)
        async with AsyncClient("http://127.0.0.1", actor="tester", transport=transport) as client:
            found = Trial(app, client, http)
            if there:
                await found.look_up()
            yield found
