"""Verdicts and what follows from them, as commands to the registry: each sent until it is answered, and done once.

A command's id is made of what it is about, so that a second sending is the first one's replay. One that is refused, or
that meets another change, is over: somebody else moved on, and a later verdict is about what is served by then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import Connection, Row, Table, and_, select, update

from regista.client.clients import AsyncClient
from regista.domain.errors import Invalid as InvalidCommand
from regista.domain.errors import NotFound, PreconditionFailed, Refused, RegistaError, Retired
from regista.metrics.tables import ACTIONS, CHANGES, ENDPOINTS, VERDICTS
from regista.work.database import Work

Outcome: TypeAlias = Literal["done", "refused", "outdated"]
AT_ONCE: Final = 100
_LONGEST_REASON: Final = 4_000
_FINAL: Final = (InvalidCommand, NotFound, PreconditionFailed, Refused, Retired)
logger = logging.getLogger("regista.metrics")


@dataclass(frozen=True, slots=True)
class _Told:
    outcome: Outcome
    detail: str


async def tell(work: Work, client: AsyncClient) -> int:
    """Send what is pending; how much was answered.

    Raises:
        RegistaError: the registry cannot answer now: what is left stays pending.
    """
    answered, trouble = 0, None
    for table, say in ((VERDICTS, _conclude), (ACTIONS, _act)):
        for row in await work.run(partial(_pending, table=table)):
            try:
                told = await _answered(say(client, row))
            except RegistaError as error:
                trouble = error  # of one endpoint: the others have their turn
            else:
                await work.run(partial(_settle, table=table, row=row, told=told))
                answered += 1
    if trouble is not None:
        raise trouble
    return answered


async def _conclude(client: AsyncClient, row: Row[Any]) -> str:
    stream = f"endpoint/{row.key}"
    written = await client.conclude_experiment(
        row.environment,
        row.endpoint,
        change=row.change,
        verdict=row.verdict,
        measured=json.loads(row.measured),
        explanation=json.loads(row.explanation),
        step=row.step,
        command_id=f"experiments:{row.log_id}:{stream}@{row.change}:{row.verdict}",
        cause=f"{stream}@{row.change}",
    )
    logger.info("%s@%d: %s. %s", stream, row.change, row.verdict, "; ".join(json.loads(row.explanation)))
    return f"{written.stream}@{written.sequence}"


async def _act(client: AsyncClient, row: Row[Any]) -> str:
    how: dict[str, Any] = {
        "reason": f"{row.verdict.replace('_', ' ')}: {row.reason}"[:_LONGEST_REASON],
        "expect_change": row.change,
        "command_id": f"experiments:{row.log_id}:{row.position}",
        "cause": row.cause,
    }
    if row.verdict == "roll_back":
        written = await client.roll_back_endpoint(row.environment, row.endpoint, **how)
    else:
        written = await client.change_traffic(row.environment, row.endpoint, advance=True, **how)
    return f"{written.stream}@{written.sequence}"


async def _answered(sending: Coroutine[Any, Any, str]) -> _Told:
    try:
        return _Told("done", await sending)
    except _FINAL as error:
        reasons = "; ".join(reason.detail for reason in error.reasons)
        return _Told(
            "outdated" if isinstance(error, PreconditionFailed | Retired) else "refused",
            f"{error.code}: {error.detail}{f' ({reasons})' if reasons else ''}"[:_LONGEST_REASON],
        )


def _settle(connection: Connection, *, table: Table, row: Row[Any], told: _Told) -> None:
    which = [column == getattr(row, column.name) for column in table.primary_key.columns]
    connection.execute(
        update(table).where(*which, table.c.state == "pending"), {"state": told.outcome, "detail": told.detail}
    )
    if told.outcome == "refused":
        logger.warning("What follows from metrics of %s was refused: %s", row.key, told.detail)


def _pending(connection: Connection, *, table: Table) -> list[Row[Any]]:
    """What is to be sent, of the newest changes alone."""
    endpoints = ENDPOINTS.c
    query = (
        select(table, endpoints.environment, endpoints.endpoint, endpoints.log_id)
        .join(ENDPOINTS, and_(endpoints.key == table.c.key, endpoints.change == table.c.change))
        .join(CHANGES, and_(CHANGES.c.key == table.c.key, CHANGES.c.change == table.c.change))
        .where(table.c.state == "pending")
        .limit(AT_ONCE)
    )
    return list(connection.execute(query).all())
