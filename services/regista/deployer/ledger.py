"""The actions in the work database: what is to be done, what is under way, and what became of each.

Every function works inside a transaction of the caller. Times are seconds since 1970.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, Select, func, or_, select, tuple_

from regista.deployer.reactions import Intent
from regista.deployer.reports import report
from regista.deployer.stored import intent_of, intent_text, observed_text
from regista.deployer.tables import ACTIONS, DEPLOYED
from regista.domain.endpoint.commands import ObservedVariant
from regista.work import outbox

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

    @property
    def run(self) -> int:
        """What tells it from the same one in another run: an explicit ``--from`` deploys what was deployed before."""
        return int(self.created * 1_000)

    @property
    def attempt(self) -> tuple[int, Key, int]:
        """What names this attempt, and no other."""
        return self.intent.position, self.key, self.attempts


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


def recover(connection: Connection, mine: Collection[Action] = ()) -> int:
    """After a crash: what was under way is tried again, unless something newer waits. How many those are.

    ``mine`` is under way still.
    """
    known = {action.attempt for action in mine}
    rows = connection.execute(select(ACTIONS).where(ACTIONS.c.state == "running").order_by(ACTIONS.c.position)).all()
    left = [action for action in map(_action, rows) if action.attempt not in known]
    for action in left:
        if _is_newest(connection, action):
            connection.execute(ACTIONS.update().where(*_same(action)), {"state": "pending", "due": 0.0})
        else:
            _finish(connection, action, "superseded", "replaced while it was under way")
    return len(left)


def start(connection: Connection, now: float, busy: Collection[Key], at_a_target: int) -> list[Action]:
    """Mark as running what is due for endpoints and targets at which nothing is under way, the oldest first.

    At one target no more than so many are under way: one that hangs keeps no other one waiting.
    """
    there = Counter(target for _, target in busy)
    turn = func.row_number().over(partition_by=ACTIONS.c.target, order_by=ACTIONS.c.position).label("turn")
    waiting = _free(select(ACTIONS, turn).where(ACTIONS.c.state == "pending", ACTIONS.c.due <= now), busy).subquery()
    first = select(waiting).where(waiting.c.turn <= at_a_target).order_by(waiting.c.position)
    started = []
    for row in connection.execute(first).all():
        if there[row.target] >= at_a_target:
            continue
        there[row.target] += 1
        action = Action(intent_of(row.intent), row.attempts + 1, row.created, row.overdue)
        connection.execute(ACTIONS.update().where(*_same(action)), {"state": "running", "attempts": action.attempts})
        started.append(action)
    return started


def next_due(connection: Connection, busy: Collection[Key], at_a_target: int) -> float | None:
    """When the next action may be started, among those whose endpoint and target are free."""
    there = Counter(target for _, target in busy)
    query = _free(select(func.min(ACTIONS.c.due)).where(ACTIONS.c.state == "pending"), busy)
    if full := sorted(target for target, many in there.items() if many >= at_a_target):
        query = query.where(ACTIONS.c.target.not_in(full))
    return connection.execute(query).scalar()


def succeed(connection: Connection, action: Action, observed: Sequence[ObservedVariant], detail: str) -> None:
    """The target serves it: this is what is deployed there."""
    if not _is_under_way(connection, action):
        return
    _finish(connection, action, "succeeded", detail, observed=observed)
    stream, target = action.key
    connection.execute(DEPLOYED.delete().where(DEPLOYED.c.stream == stream, DEPLOYED.c.target == target))
    if not action.intent.variants:
        return
    values = {"stream": stream, "target": target, "intent": intent_text(action.intent), "looks": 0, "look_due": 0.0}
    seen = observed_text(observed)
    connection.execute(DEPLOYED.insert(), {**values, "applied": seen, "observed": seen})


def fail(connection: Connection, action: Action, code: str, detail: str) -> None:
    """The target does not serve it, and the same will not help."""
    if _is_under_way(connection, action):
        _finish(connection, action, "failed", detail, code=code)


def give_way(connection: Connection, action: Action, code: str, detail: str) -> None:
    """Something newer has taken its place."""
    if _is_under_way(connection, action):
        _finish(connection, action, "superseded", detail, code=code)


def retry(connection: Connection, action: Action, due: float, code: str, detail: str) -> None:
    """The target does not serve it yet: wait for another attempt, unless something newer waits by now."""
    if not _is_under_way(connection, action):
        return
    if not _is_newest(connection, action):
        _finish(connection, action, "superseded", f"replaced after {action.attempts} attempts: {detail}", code=code)
        return
    values = {"state": "pending", "due": due, "code": code, "detail": detail}
    connection.execute(ACTIONS.update().where(*_same(action)), values)


def escalate(connection: Connection, before: float) -> list[Action]:
    """What is open since before a time and was not escalated yet: it is marked, and the registry is told."""
    late = (ACTIONS.c.state.in_(_OPEN), ACTIONS.c.created < before, ACTIONS.c.overdue.is_(False))
    found = []
    for row in connection.execute(select(ACTIONS).where(*late)).all():
        action = _action(row)
        connection.execute(ACTIONS.update().where(*_same(action)), {"overdue": True})
        why = row.detail or "the target has not answered yet"
        words = f"not deployed yet, tried further: {why}"
        told = report(action.intent, "failed", (), words, action.attempts, f"late-{action.run}")
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
    told = report(action.intent, state, observed, detail, action.attempts, f"{state}-{action.run}")
    outbox.enqueue(connection, _SENDER, [told])


def _is_under_way(connection: Connection, action: Action) -> bool:
    """Whether this attempt is still the one: another process may have brought the action to an end, or tried it again."""
    found = connection.execute(select(ACTIONS.c.state, ACTIONS.c.attempts).where(*_same(action))).first()
    return found is not None and tuple(found) == ("running", action.attempts)


def _free(query: Select[Any], busy: Collection[Key]) -> Select[Any]:
    return query.where(tuple_(ACTIONS.c.stream, ACTIONS.c.target).not_in(sorted(busy))) if busy else query


def _is_newest(connection: Connection, action: Action) -> bool:
    stream, target = action.key
    newer = (ACTIONS.c.stream == stream, ACTIONS.c.target == target, ACTIONS.c.position > action.intent.position)
    return connection.execute(select(ACTIONS.c.position).where(*newer).limit(1)).first() is None


def _action(row: Row[Any]) -> Action:
    return Action(intent_of(row.intent), row.attempts, row.created, row.overdue)


def _same(action: Action) -> tuple[ColumnElement[bool], ...]:
    stream, target = action.key
    return (ACTIONS.c.position == action.intent.position, ACTIONS.c.stream == stream, ACTIONS.c.target == target)
