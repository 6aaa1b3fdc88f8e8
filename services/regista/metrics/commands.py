"""What follows from verdicts, as commands that are kept until the registry has answered them (``work.outbox``).

A key is made of what a command is about, so that the same is never done twice; the change it is about goes with it, so
that the registry refuses it when another one came since. Commands on one endpoint go out one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, select

from regista.domain.events import ExperimentConcluded, Measured
from regista.work.logged import Logged
from regista.work.orders import ORDERS, Order, drop_pending, enqueue

NAME: Final = "experiments"
NOTHING_TO_DO: Final = frozenset(
    {"change_outdated", "step_outdated", "expectation_failed", "already_concluded", "no_canary", "endpoint_retired"}
)
"""Somebody else moved on: a later verdict will be about what is served by then."""
MOST_SAID: Final = 100
"""Sentences and measurements of one conclusion."""
_LONGEST: Final = 1_000
_LONGEST_REASON: Final = 4_000


def tell(
    connection: Connection,
    endpoint: Row[Any],
    change: int,
    step: int | None,
    verdict: str,
    measured: Sequence[Measured],
    explanation: Sequence[str],
) -> None:
    """Have a verdict recorded in the log."""
    stream = f"endpoint/{endpoint.key}"
    arguments = {
        **_named(endpoint),
        "change": change,
        "verdict": verdict,
        "measured": [asdict(one) for one in measured[:MOST_SAID]],
        "explanation": [said[:_LONGEST] for said in explanation[:MOST_SAID]],
        "step": step,
    }
    key = f"{NAME}:{endpoint.log_id}:{stream}@{change}:{verdict}"
    cause = f"{stream}@{change}"
    enqueue(connection, NAME, [Order(key, endpoint.key, "conclude_experiment", arguments, cause)])


def follow(connection: Connection, endpoint: Row[Any], logged: Logged, concluded: ExperimentConcluded) -> None:
    """Have done what a conclusion of the log says, in the name of the metrics that it rests on."""
    said = "; ".join(concluded.explanation) or "of a verdict without words"
    arguments = {
        **_named(endpoint),
        "reason": f"{concluded.verdict.replace('_', ' ')}: {said}"[:_LONGEST_REASON],
        "expect_change": concluded.change,
    }
    key = _key(logged.log_id, logged.position)
    if concluded.verdict == "roll_back":
        enqueue(connection, NAME, [Order(key, endpoint.key, "roll_back_endpoint", arguments, logged.place)])
    elif concluded.verdict in {"proceed", "promote"} and concluded.step is not None:
        arguments |= {"advance": True}
        enqueue(connection, NAME, [Order(key, endpoint.key, "change_traffic", arguments, logged.place)])


def dismiss(connection: Connection, key: str) -> None:
    """Do nothing of what follows from conclusions on an endpoint and was not answered yet: it is people's from now on."""
    drop_pending(connection, NAME, key, "change_traffic", "roll_back_endpoint")


def outcome(connection: Connection, endpoint: Row[Any], position: int) -> str | None:
    """What became of what the conclusion at a position led to: ``pending``, ``done``, or ``refused`` and why."""
    wanted = (ORDERS.c.sender == NAME, ORDERS.c.key == _key(endpoint.log_id, position))
    found = connection.execute(select(ORDERS.c.state, ORDERS.c.code, ORDERS.c.error).where(*wanted)).first()
    if found is None:
        return None
    return f"{found.state}: {found.error} [{found.code}]" if found.code else str(found.state)


def _key(log_id: str, position: int) -> str:
    return f"{NAME}:{log_id}:{position}"


def _named(endpoint: Row[Any]) -> Mapping[str, Any]:
    return {"environment": endpoint.environment, "endpoint": endpoint.endpoint}
