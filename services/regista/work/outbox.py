"""Commands that follow from events, kept until the registry has answered them: none is lost, and none is made twice.

They are written in the transaction that decides on them, and sent later, each under a key derived from what led to it:
sent again after a crash it is answered as the first time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, func, or_, select

from regista.client.errors import Unreachable, error_of
from regista.domain.errors import Forbidden, Reason, RegistaError, Unauthenticated, Unavailable
from regista.work.database import Work
from regista.work.locks import remove
from regista.work.orders import COMPONENT, ORDERS, Order
from regista.work.waking import Waking

if TYPE_CHECKING:
    from regista.client import AsyncClient
    from regista.wire.deployment_reports import ReportOutcome

FIRST_CEILING: Final = 0.25
HIGHEST_CEILING: Final = 30.0
AT_ONCE: Final = 8
MOST_TOGETHER: Final = 200
_TOGETHER: Final = "report_deployment"
TIDY_EVERY: Final = 600.0
KEPT: Final = 7 * 86_400.0
"""Seconds that an answered command is remembered."""
logger = logging.getLogger("regista.work")

# Statements are made once: to make one costs more than to execute it.
_MINE: Final = ORDERS.c.sender == bindparam("of_sender")
_COUNT: Final = (
    select(ORDERS.c.state, func.count())
    .where(_MINE, or_(ORDERS.c.state == "pending", ORDERS.c.state == "refused"))
    .group_by(ORDERS.c.state)
)
_FIRST: Final = (
    select(ORDERS)
    .where(
        ORDERS.c.number.in_(
            select(func.min(ORDERS.c.number)).where(_MINE, ORDERS.c.state == "pending").group_by(ORDERS.c.lane)
        )
    )
    .order_by(ORDERS.c.number)
)
_ANSWER: Final = (
    ORDERS.update()
    .where(
        # SQLite gives the number of a row that was dropped to the next one; and what is answered stays so.
        ORDERS.c.number == bindparam("of_number"),
        _MINE,
        ORDERS.c.key == bindparam("of_key"),
        ORDERS.c.state == "pending",
    )
    .values(
        state=bindparam("to_state"),
        tries=bindparam("to_tries"),
        due=bindparam("to_due"),
        code=bindparam("to_code"),
        error=bindparam("to_error"),
        position=bindparam("to_position"),
        answered=bindparam("to_answered"),
    )
)


@dataclass(frozen=True, slots=True)
class SenderStatus:
    """How many commands wait, and what the registry said last where it did not take one."""

    waiting: int
    refused: int
    code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Due:
    number: int
    tries: int
    order: Order


_Answer: TypeAlias = tuple[_Due, dict[str, Any]]
"""What was sent, and what is to be written down of it: what of ``_NOTHING`` it is not."""
_NOTHING: Final = {"state": "pending", "due": 0.0, "code": None, "error": None, "position": None, "answered": None}


class Sender:
    """Sends the commands of one ``name`` through the SDK until each is answered. Belongs to one event loop.

    Several processes may send the same ones: the registry makes each once. Reports on deployments that are due at the
    same time go in one request.
    """

    def __init__(
        self,
        work: Work,
        name: str,
        client: AsyncClient,
        *,
        nothing_to_do: frozenset[str] = frozenset(),
        linger: float = 0.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``nothing_to_do``: codes of refusals that are as good as done.

        ``linger``: seconds from one look for what is to be sent to the next at least. What comes after a while without
        is sent at once, much that comes goes together.
        """
        self._work = work
        self._name = name
        self._client = client
        self._nothing_to_do = nothing_to_do
        self._linger = linger
        self._clock = clock
        self._waking = Waking()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._answers: list[_Answer] = []
        self._telling: asyncio.Task[None] | None = None
        self._tidied = 0.0
        self._status = SenderStatus(0, 0)
        self._trouble: RegistaError | None = None
        work.migrate(COMPONENT)

    def wake(self) -> None:
        """Something was enqueued."""
        self._waking.wake()

    def status(self) -> SenderStatus:
        """How it stands."""
        trouble = self._trouble
        found = self._status
        if trouble is None:
            return found
        return SenderStatus(found.waiting, found.refused, trouble.code, trouble.detail)

    async def run(self) -> None:
        """Send until ``close``."""
        clock = asyncio.get_running_loop().time
        while not self._waking.is_over:
            again = clock() + self._linger
            await self._waking.wait(await self._round())
            await self._waking.over_within(again - clock())
        if self._lanes:
            await asyncio.wait(self._lanes.values(), timeout=5.0)
            for task in self._lanes.values():
                task.cancel()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)
        with suppress(Unavailable):  # what is not written down is sent again, and answered as before
            answers = self._answers
            await self._work.run(lambda connection: self._write_down(connection, answers))

    async def close(self) -> None:
        """End ``run``; what was not answered is sent again by the next."""
        self._waking.end()

    async def _round(self) -> float:
        """Write down answers and start sending what may be sent, in one transaction; seconds until there may be more."""
        answers, self._answers = self._answers, []
        busy, now = frozenset(self._lanes) - {due.order.lane for due, _ in answers}, self._clock()
        tidies = bool(answers) and now - self._tidied > TIDY_EVERY

        def look(connection: Connection) -> tuple[SenderStatus, list[_Due], float | None]:
            self._write_down(connection, answers)
            if tidies:
                remove(connection, ORDERS, ORDERS.c.sender == self._name, ORDERS.c.answered < now - KEPT)
            return self._look(connection, busy, now)

        try:
            self._status, found, next_due = await self._work.run(look)
        except Unavailable as error:
            logger.warning("%s cannot look for what is to be sent: %s", self._name, error.detail)
            self._answers = answers + self._answers
            return 1.0
        if tidies:
            self._tidied = now
        for due, _ in answers:
            self._lanes.pop(due.order.lane, None)
        self._begin(found, AT_ONCE - len(busy))
        return 5.0 if next_due is None else min(max(next_due - self._clock(), 0.01), 5.0)

    def _begin(self, found: Sequence[_Due], free: int) -> None:
        reports = [due for due in found if due.order.operation == _TOGETHER]
        if len(reports) > 1:
            if self._telling is None or self._telling.done():
                self._telling = asyncio.create_task(self._send_together(reports[:MOST_TOGETHER]))
                self._lanes.update((due.order.lane, self._telling) for due in reports[:MOST_TOGETHER])
            found = [due for due in found if due.order.operation != _TOGETHER]
        for due in found[: max(free, 0)]:
            self._lanes[due.order.lane] = asyncio.create_task(self._send(due))

    def _write_down(self, connection: Connection, answers: Sequence[_Answer]) -> None:
        if not answers:
            return
        told = [
            {
                "of_number": due.number,
                "of_sender": self._name,
                "of_key": due.order.key,
                "to_tries": due.tries + 1,
                **{f"to_{name}": value for name, value in (_NOTHING | values).items()},
            }
            for due, values in sorted(answers, key=lambda answer: answer[0].number)
        ]  # those who stand by send the same ones, and write them down too
        connection.execute(_ANSWER, told)

    def _look(
        self, connection: Connection, busy: frozenset[str], now: float
    ) -> tuple[SenderStatus, list[_Due], float | None]:
        """How many there are, the first of each lane that is due, and when the next one will be."""
        mine = {"of_sender": self._name}
        counted: dict[str, int] = {row[0]: row[1] for row in connection.execute(_COUNT, mine)}
        status = SenderStatus(counted.get("pending", 0), counted.get("refused", 0))
        due: list[_Due] = []
        next_due: float | None = None
        for row in connection.execute(_FIRST, mine):
            if row.lane in busy:
                continue
            if row.due > now:
                next_due = row.due if next_due is None else min(next_due, row.due)
                continue
            order = Order(row.key, row.lane, row.operation, json.loads(row.arguments), row.cause)
            due.append(_Due(row.number, row.tries, order))
        return status, due, next_due

    async def _send(self, due: _Due) -> None:
        values = await self._answer(due)
        self._answers.append((due, values))
        self._waking.wake()

    async def _send_together(self, reports: Sequence[_Due]) -> None:
        """In one request; one by one where the registry does not take them so: one that it cannot read hinders no other."""
        given = [{**due.order.arguments, "idempotency_key": due.order.key, "cause": due.order.cause} for due in reports]
        try:
            outcomes = (await self._client.report_deployments(given)).items
            values = [self._outcome(due, outcome) for due, outcome in zip(reports, outcomes, strict=True)]
        except RegistaError as error:
            if not _is_away(error):
                for due in reports:
                    await self._send(due)
                return
            values = [self._refused(due, error) for due in reports]
        except Exception as error:
            logger.exception("%s: %d reports could not be sent", self._name, len(reports))
            values = [self._refused(due, Unavailable(repr(error), code="defect")) for due in reports]
        self._answers += zip(reports, values, strict=True)
        self._waking.wake()

    def _outcome(self, due: _Due, outcome: ReportOutcome) -> dict[str, Any]:
        if outcome.code is None:
            self._trouble = None
            return {"state": "done", "position": outcome.position, "answered": self._clock()}
        reasons = [Reason(r.code, r.detail, r.field, r.hint) for r in outcome.reasons]
        return self._refused(
            due, error_of(outcome.status, outcome.code, outcome.detail or "", hint=outcome.hint, reasons=reasons)
        )

    async def _answer(self, due: _Due) -> dict[str, Any]:
        """What is to be written down of one attempt."""
        order = due.order
        call = getattr(self._client, order.operation)
        try:
            answer = await call(**order.arguments, command_id=order.key, cause=order.cause)
        except RegistaError as error:
            return self._refused(due, error)
        except Exception as error:
            logger.exception("%s: %s could not be sent", self._name, order.key)
            return self._refused(due, Unavailable(repr(error), code="defect"))
        self._trouble = None
        return {"state": "done", "position": getattr(answer, "position", None), "answered": self._clock()}

    def _refused(self, due: _Due, error: RegistaError) -> dict[str, Any]:
        said = {"code": error.code, "error": error.detail}
        if passes(error):
            self._trouble = error
            if due.tries == 0:
                logger.warning("%s: %s is sent again later: %s", self._name, due.order.key, error.detail)
            pause = random.uniform(0.5, 1.0) * min(HIGHEST_CEILING, FIRST_CEILING * 2 ** min(due.tries, 16))  # noqa: S311
            return {**said, "due": self._clock() + pause}
        self._trouble = None
        good = error.code in self._nothing_to_do
        if not good:
            logger.warning("%s: the registry refuses %s: %s", self._name, due.order.key, error)
        return {**said, "state": "done" if good else "refused", "answered": self._clock()}


def _is_away(error: RegistaError) -> bool:
    """Whether nothing can be sent now; else one of many may be what a registry stumbles over, or it is of before."""
    return isinstance(error, (Unreachable, Unavailable, Unauthenticated, Forbidden)) or error.status == 429


def passes(error: RegistaError) -> bool:
    """Whether a refusal says nothing of the command: it is sent again, with the same key."""
    return _is_away(error) or error.status >= 500 or error.code == "http_404"
