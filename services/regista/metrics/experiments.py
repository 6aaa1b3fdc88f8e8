"""Experiments: what the log and the reports say, brought together, judged by a timer, and acted upon.

``Experiments`` is what a process runs. It is an ``Effects``: a consumer (or Faust) tells it the events of the log, which
it knows silently up to where effects begin; ``add`` takes reports in. Everything it knows is in the work database,
so that a restart loses nothing that ``add`` returned for. Verdicts are recorded before they are sent, and sent with the
change they are about: a canary goes on, or is rolled back, once, and never because of an older change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, func, select

from regista.client.clients import AsyncClient
from regista.domain.errors import RegistaError, Unavailable
from regista.domain.events import ExperimentConcluded
from regista.domain.times import Clock, utc_now
from regista.http.parts import PartState
from regista.metrics import counting, known
from regista.metrics.commands import NAME, NOTHING_TO_DO
from regista.metrics.figures import VariantFigures, figures
from regista.metrics.tables import COMPONENT, ENDPOINTS, WAITING
from regista.metrics.trials import judge_all
from regista.wire.inference import InferenceReport
from regista.work.database import Work
from regista.work.locks import alone
from regista.work.logged import Logged
from regista.work.outbox import Sender
from regista.work.waking import Waking

ACTOR: Final = "system:experiments"
MOST_QUEUED: Final = 20_000
"""Reports in memory, until they are committed."""
JUDGE_EVERY: Final = 1.0
FIGURES_EVERY: Final = 5.0
TIDY_EVERY: Final = 60.0
_LONGEST_BACK_OFF: Final = 15.0
logger = logging.getLogger("regista.metrics")


class Counting:
    """Takes reports in: those that come while a commit is under way go into the next one together.

    Belongs to one event loop.
    """

    def __init__(self, work: Work) -> None:
        work.migrate(COMPONENT)
        self._work = work
        self._queued: list[tuple[Sequence[InferenceReport], asyncio.Future[None]]] = []
        self._size = 0
        self._flushing: asyncio.Task[None] | None = None

    async def add(self, reports: Sequence[InferenceReport]) -> None:
        """Count reports that were checked. Once it returns, they are not lost, and never counted again.

        Raises:
            Unavailable: ``overloaded``; ``work_unavailable``: whether they were counted is not known: give them again.
        """
        if self._size + len(reports) > MOST_QUEUED:
            raise Unavailable(
                f"{self._size} reports wait to be counted", code="overloaded", hint="Send them again later."
            )
        counted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queued.append((reports, counted))
        self._size += len(reports)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await counted

    async def knows(self, environment: str, endpoint: str) -> bool:
        """Whether the log has an endpoint, as far as it was followed."""
        key = known.key_of(environment, endpoint)
        return await self._work.run(lambda connection: known.find(connection, key)) is not None

    async def close(self) -> None:
        """Return when all that was given was counted."""
        if self._flushing is not None:
            await asyncio.wait([self._flushing])

    async def _flush(self) -> None:
        try:
            while self._queued:
                batch, self._queued = self._queued, []
                reports = [report for some, _ in batch for report in some]
                self._size -= len(reports)
                try:
                    await self._work.run(partial(counting.add, reports=reports))
                except Exception as error:  # noqa: BLE001 - whoever waits is told
                    _answer(batch, error)
                else:
                    _answer(batch, None)
        finally:
            self._flushing = None


class Experiments(Counting):
    """Judges what is on trial, and acts on it. Implements ``Effects`` and ``Part``.

    ``client`` speaks for ``system:experiments``; closing it is its owner's business.
    """

    name = NAME
    component = COMPONENT

    def __init__(self, work: Work, client: AsyncClient, *, every: float = JUDGE_EVERY, now: Clock = utc_now) -> None:
        super().__init__(work)
        self._sender = Sender(work, NAME, client, nothing_to_do=NOTHING_TO_DO)
        self._every = every
        self._now = now
        self._waking = Waking()
        self._failures = 0
        self._trouble: Exception | None = None
        self._counts: dict[str, int] = {}
        self._tidied = self._figured = float("-inf")
        self.figures: tuple[VariantFigures, ...] = ()

    def types(self, _: Connection) -> frozenset[str]:
        """What says something of endpoints, changes, or verdicts."""
        return known.TYPES

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know events, and do nothing about them."""
        for logged in events:
            known.apply(connection, logged, loud=False)

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        """Know events, and record what follows from conclusions; whether there are any."""
        for logged in events:
            known.apply(connection, logged, loud=True)
        return any(isinstance(logged.event, ExperimentConcluded) for logged in events)

    def taken(self) -> None:
        """Send what follows from a verdict at once. New verdicts wait for their time: reports make them, not events."""
        self._sender.wake()

    def reset(self, connection: Connection) -> None:
        """Forget what is known of the log."""
        known.forget(connection)

    async def run(self) -> None:
        """Judge and act until ``close``. What goes wrong is in ``state``, and is tried again."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._sender.run())
            both.create_task(self._judge())

    async def look(self) -> None:
        """Judge what is on trial now; verdicts are on their way when it returns.

        Raises:
            Unavailable: the database is away; nothing is lost.
        """
        now, at = self._now(), asyncio.get_running_loop().time()
        tidies, counts = at - self._tidied > TIDY_EVERY, at - self._figured > FIGURES_EVERY

        def judge(connection: Connection) -> tuple[int, tuple[VariantFigures, ...] | None, dict[str, int]]:
            alone(connection, NAME)  # several processes judge: a verdict is told once, and what waits is counted once
            if tidies:
                counting.tidy(connection, now)  # first: who counts comes to the windows before the totals
            counting.settle(connection)
            verdicts = judge_all(connection, now)
            return verdicts, figures(connection, now) if counts else None, _counts(connection)

        verdicts, found, self._counts = await self._work.run(judge)
        if tidies:
            self._tidied = at
        if found is not None:
            self.figures, self._figured = found, at
        if verdicts:
            self._sender.wake()

    async def close(self) -> None:
        """End ``run`` after what it has in hand, and count what was taken in."""
        self._waking.end()
        await self._sender.close()
        await super().close()

    def state(self) -> PartState:
        """How it stands. Nothing of it hinders the process: writes and reads go on."""
        sender, trouble = self._sender.status(), self._trouble
        shown: dict[str, Any] = {
            "state": "judging" if trouble is None else "waiting",
            **self._counts,
            "commands_waiting": sender.waiting,
            "commands_refused": sender.refused,
            "code": sender.code if trouble is None else getattr(trouble, "code", "defect"),
            "error": sender.error if trouble is None else str(trouble) or repr(trouble),
        }
        return PartState(shown)

    async def _judge(self) -> None:
        while not self._waking.is_over:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - a defect too: whoever asks is told, and it is tried again
                self._fail(error)
            else:
                self._trouble, self._failures = None, 0
            await self._waking.wait(min(self._every * 2**self._failures, max(self._every, _LONGEST_BACK_OFF)))

    def _fail(self, error: Exception) -> None:
        if str(error) != str(self._trouble):
            logger.error("Experiments wait: %s", error, exc_info=None if isinstance(error, RegistaError) else error)
        self._trouble = error
        self._failures = min(self._failures + 1, 10)


def _answer(batch: Sequence[tuple[object, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, counted in batch:
        if counted.done():
            continue
        if error is None:
            counted.set_result(None)
        else:
            counted.set_exception(error)


def _counts(connection: Connection) -> dict[str, int]:
    def count(query: Any) -> int:  # noqa: ANN401 - a table, with or without a condition
        return int(connection.execute(query).scalar_one())

    everything = select(func.count())
    return {
        "endpoints": count(everything.select_from(ENDPOINTS)),
        "reports_waiting": count(everything.select_from(WAITING)),
    }
