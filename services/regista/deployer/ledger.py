"""The actions in the work database: what is to be done, what is under way, and what became of each.

Every function works inside a transaction of the caller. Times are seconds since 1970.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, tuple_

from regista.deployer.reactions import Intent
from regista.deployer.reports import report
from regista.deployer.stored import intent_of, intent_text, observed_text
from regista.deployer.tables import ACTIONS, DEPLOYED
from regista.domain.endpoint.commands import ObservedVariant
from regista.work import outbox

State: TypeAlias = Literal["pending", "running", "succeeded", "failed", "superseded"]
Key: TypeAlias = tuple[str, str]
"""The stream of an endpoint, and a target's name in lower case: what is done for one key is done one by one."""
_SENDER: Final = "deployer"
_OPEN: Final = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Action:
    """What a target is to be given, and the how manieth attempt it is."""

    intent: Intent
    attempts: int
    created: float
    overdue: bool

    @property
    def key(self) -> Key:
        """Of the endpoint and the target."""
        return self.intent.stream, self.intent.target.lower()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many actions wait, are under way, are overdue, and how many of the newest failed for good."""

    pending: int = 0
    running: int = 0
    overdue: int = 0
    failed: int = 0


def supersede(connection: Connection, intent: Intent) -> None:
    """What waits for the same endpoint and target is done with: this is newer."""
    mine = (ACTIONS.c.stream == intent.stream, ACTIONS.c.target == intent.target.lower(), ACTIONS.c.state == "pending")
    for row in connection.execute(select(ACTIONS).where(*mine)).all():
        _finish(connection, _action(row), "superseded", f"replaced by position {intent.position}")


def record(connection: Connection, intent: Intent) -> None:
    """There is something to do."""
    values = {
        "position": intent.position,
        "stream": intent.stream,
        "target": intent.target.lower(),
        "intent": intent_text(intent),
        "state": "pending",
        "attempts": 0,
        "due": 0.0,
        "created": time.time(),
        "overdue": False,
        "detail": "",
    }
    connection.execute(ACTIONS.insert(), values)


def recover(connection: Connection) -> int:
    """After a crash: what was under way is tried again, unless something newer waits. How many those are."""
    left = connection.execute(select(ACTIONS).where(ACTIONS.c.state == "running").order_by(ACTIONS.c.position)).all()
    for row in left:
        action = _action(row)
        if _is_newest(connection, action):
            connection.execute(ACTIONS.update().where(*_same(action)), {"state": "pending", "due": 0.0})
        else:
            _finish(connection, action, "superseded", "replaced while it was under way")
    return len(left)


def start(connection: Connection, now: float, busy: Collection[Key], limit: int) -> list[Action]:
    """Mark as running what is due for endpoints and targets at which nothing is under way, the oldest first."""
    waiting = select(ACTIONS).where(ACTIONS.c.state == "pending", ACTIONS.c.due <= now)
    if busy:
        waiting = waiting.where(tuple_(ACTIONS.c.stream, ACTIONS.c.target).not_in(sorted(busy)))
    started = []
    for row in connection.execute(waiting.order_by(ACTIONS.c.position).limit(limit)).all():
        action = Action(intent_of(row.intent), row.attempts + 1, row.created, row.overdue)
        connection.execute(ACTIONS.update().where(*_same(action)), {"state": "running", "attempts": action.attempts})
        started.append(action)
    return started


def next_due(connection: Connection, busy: Collection[Key]) -> float | None:
    """When the next action may be started, among those whose endpoint and target are free."""
    query = select(func.min(ACTIONS.c.due)).where(ACTIONS.c.state == "pending")
    if busy:
        query = query.where(tuple_(ACTIONS.c.stream, ACTIONS.c.target).not_in(sorted(busy)))
    return connection.execute(query).scalar()


def succeed(connection: Connection, action: Action, observed: Sequence[ObservedVariant], detail: str) -> None:
    """The target serves it: this is what is deployed there."""
    _finish(connection, action, "succeeded", detail, observed=observed)
    stream, target = action.key
    connection.execute(DEPLOYED.delete().where(DEPLOYED.c.stream == stream, DEPLOYED.c.target == target))
    if not action.intent.variants:
        return
    values = {"stream": stream, "target": target, "intent": intent_text(action.intent), "looks": 0, "look_due": 0.0}
    connection.execute(DEPLOYED.insert(), {**values, "observed": observed_text(observed)})


def fail(connection: Connection, action: Action, code: str, detail: str) -> None:
    """The target does not serve it, and the same will not help."""
    _finish(connection, action, "failed", detail, code=code)


def give_way(connection: Connection, action: Action, detail: str) -> None:
    """Something newer has taken its place."""
    _finish(connection, action, "superseded", detail)


def retry(connection: Connection, action: Action, due: float, code: str, detail: str) -> State:
    """The target does not serve it yet: wait for another attempt, unless something newer waits by now."""
    if not _is_newest(connection, action):
        _finish(connection, action, "superseded", f"replaced after {action.attempts} attempts: {detail}", code=code)
        return "superseded"
    values = {"state": "pending", "due": due, "code": code, "detail": detail}
    connection.execute(ACTIONS.update().where(*_same(action)), values)
    return "pending"


def escalate(connection: Connection, before: float) -> list[Action]:
    """What is open since before a time and was not escalated yet: it is marked, and the registry is told."""
    late = (ACTIONS.c.state.in_(_OPEN), ACTIONS.c.created < before, ACTIONS.c.overdue.is_(False))
    found = []
    for row in connection.execute(select(ACTIONS).where(*late)).all():
        action = _action(row)
        connection.execute(ACTIONS.update().where(*_same(action)), {"overdue": True})
        why = row.detail or "the target has not answered yet"
        told = report(action.intent, "failed", (), f"not deployed yet, tried further: {why}", action.attempts, "late")
        outbox.enqueue(connection, _SENDER, [told])
        found.append(action)
    return found


def count(connection: Connection) -> Counts:
    """How many there are of what is open, and of what failed and was not replaced."""
    states = select(ACTIONS.c.state, ACTIONS.c.overdue, func.count()).where(ACTIONS.c.state.in_(_OPEN))
    found = connection.execute(states.group_by(ACTIONS.c.state, ACTIONS.c.overdue)).all()
    newer = ACTIONS.alias()
    failed = select(func.count()).where(
        ACTIONS.c.state == "failed",
        ~select(newer.c.position)
        .where(
            newer.c.stream == ACTIONS.c.stream,
            newer.c.target == ACTIONS.c.target,
            newer.c.position > ACTIONS.c.position,
        )
        .exists(),
    )
    return Counts(
        pending=sum(many for state, _, many in found if state == "pending"),
        running=sum(many for state, _, many in found if state == "running"),
        overdue=sum(many for _, overdue, many in found if overdue),
        failed=connection.execute(failed).scalar_one(),
    )


def prune(connection: Connection, before: float) -> None:
    """Forget what was finished before a time, but for the newest of each endpoint and target."""
    newer = ACTIONS.alias()
    connection.execute(
        ACTIONS.delete().where(
            ACTIONS.c.finished < before,
            or_(
                ACTIONS.c.state == "superseded",
                select(newer.c.position)
                .where(
                    newer.c.stream == ACTIONS.c.stream,
                    newer.c.target == ACTIONS.c.target,
                    newer.c.position > ACTIONS.c.position,
                )
                .exists(),
            ),
        )
    )


def _finish(
    connection: Connection,
    action: Action,
    state: Literal["succeeded", "failed", "superseded"],
    detail: str,
    *,
    code: str | None = None,
    observed: Sequence[ObservedVariant] = (),
) -> None:
    """Write down what became of it, and keep the report of it to be sent."""
    values = {"state": state, "finished": time.time(), "code": code, "detail": detail, "overdue": False}
    connection.execute(ACTIONS.update().where(*_same(action)), values)
    outbox.enqueue(connection, _SENDER, [report(action.intent, state, observed, detail, action.attempts, state)])


def _is_newest(connection: Connection, action: Action) -> bool:
    stream, target = action.key
    newer = (ACTIONS.c.stream == stream, ACTIONS.c.target == target, ACTIONS.c.position > action.intent.position)
    return connection.execute(select(ACTIONS.c.position).where(*newer).limit(1)).first() is None


def _action(row: Row[Any]) -> Action:
    return Action(intent_of(row.intent), row.attempts, row.created, row.overdue)


def _same(action: Action) -> tuple[ColumnElement[bool], ...]:
    stream, target = action.key
    return (ACTIONS.c.position == action.intent.position, ACTIONS.c.stream == stream, ACTIONS.c.target == target)
