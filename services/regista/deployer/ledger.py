"""The actions in the work database: what is to be done, and what is under way.

Every function works inside a transaction of the caller. Times are seconds since 1970. Statements are made once: to make
one costs more than to execute it, and a busy deployer executes hundreds a second.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, bindparam, func, or_, select

from regista.deployer import holds
from regista.deployer.actions import SAME, Action, Key, action_of, key_of
from regista.deployer.concluding import SENDER, Conclusion, finish, is_newest
from regista.deployer.holds import Held
from regista.deployer.reactions import Intent
from regista.deployer.reports import report
from regista.deployer.stored import intent_text
from regista.deployer.tables import ACTIONS, OUTCOMES
from regista.work import orders

_IS_OPEN: Final = or_(ACTIONS.c.state == "pending", ACTIONS.c.state == "running")
_RECORD: Final = ACTIONS.insert()
_WAITING: Final = (
    select(ACTIONS)
    .where(ACTIONS.c.state == "pending", ACTIONS.c.stream.in_(bindparam("streams", expanding=True)))
    .order_by(ACTIONS.c.position)
)
_RUNNING: Final = select(ACTIONS).where(ACTIONS.c.state == "running").order_by(ACTIONS.c.position)
_TURN: Final = func.row_number().over(partition_by=ACTIONS.c.target, order_by=ACTIONS.c.position).label("turn")
_IN_TURN: Final = (
    select(ACTIONS, _TURN).where(ACTIONS.c.state == "pending", ACTIONS.c.due <= bindparam("now")).subquery()
)
_DUE: Final = select(_IN_TURN).where(_IN_TURN.c.turn <= bindparam("most")).order_by(_IN_TURN.c.position)
_LATER: Final = select(func.min(ACTIONS.c.due)).where(ACTIONS.c.state == "pending", ACTIONS.c.due > bindparam("now"))
_START: Final = ACTIONS.update().where(*SAME).values(state="running", attempts=bindparam("to_attempts"))
_TRY_AGAIN: Final = ACTIONS.update().where(*SAME).values(state="pending", due=0.0)
_LATE: Final = select(ACTIONS).where(_IS_OPEN, ACTIONS.c.created < bindparam("before"), ACTIONS.c.overdue.is_(False))
_ESCALATE: Final = ACTIONS.update().where(*SAME).values(overdue=True)
_newer = ACTIONS.alias()
_IS_REPLACED: Final = (
    select(_newer.c.position)
    .where(
        _newer.c.stream == ACTIONS.c.stream,
        _newer.c.target == ACTIONS.c.target,
        _newer.c.position > ACTIONS.c.position,
    )
    .exists()
)
_OPEN: Final = (
    select(ACTIONS.c.state, ACTIONS.c.overdue, func.count())
    .where(_IS_OPEN)
    .group_by(ACTIONS.c.state, ACTIONS.c.overdue)
)
_FAILED: Final = select(func.count()).where(ACTIONS.c.state == "failed", ~_IS_REPLACED)
_PRUNE: Final = ACTIONS.delete().where(
    ACTIONS.c.finished < bindparam("before"), or_(ACTIONS.c.state == "superseded", _IS_REPLACED)
)
_PRUNE_OUTCOMES: Final = OUTCOMES.delete().where(
    OUTCOMES.c.position
    <= select(func.max(ACTIONS.c.position)).where(ACTIONS.c.created < bindparam("before")).scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many actions wait, are under way, are overdue, and how many of the newest failed for good."""

    pending: int = 0
    running: int = 0
    overdue: int = 0
    failed: int = 0


def supersede(connection: Connection, intents: Sequence[Intent]) -> None:
    """What waits for the same endpoints and targets is done with: these are newer."""
    waiting = _waiting(connection, intents)
    finish(connection, [_replaced(old, intent) for intent in intents for old in waiting.pop(key_of(intent), ())])


def record(connection: Connection, intents: Sequence[Intent]) -> None:
    """There is something to do, in this order; what waits for the same endpoint and target is done with."""
    if not intents:
        return
    waiting, ends, now = _waiting(connection, intents), [], time.time()
    for intent in intents:
        ends += [_replaced(old, intent) for old in waiting.pop(key_of(intent), ())]
        waiting[key_of(intent)] = [Action(intent, 0, now, overdue=False)]
    connection.execute(_RECORD, [_pending(intent, now) for intent in intents])
    finish(connection, ends)


def recover(connection: Connection, mine: Collection[Action] = ()) -> list[Action]:
    """After a crash: what was under way is tried again, unless something newer waits. All of it.

    ``mine`` is under way still.
    """
    known = {action.attempt for action in mine}
    left = [action for row in connection.execute(_RUNNING) if (action := action_of(row)).attempt not in known]
    _again(connection, left)
    return left


def step_aside(connection: Connection, ended: Sequence[Action]) -> None:
    """A process that lost its place says that these attempts of it are not under way any more."""
    mine = {action.attempt for action in ended}
    _again(connection, [action for row in connection.execute(_RUNNING) if (action := action_of(row)).attempt in mine])
    holds.release(connection, ended)


def _again(connection: Connection, left: Sequence[Action]) -> None:
    """Nothing is known of these attempts: another one follows, unless something newer waits."""
    ends = []
    for action in left:
        if is_newest(connection, action):
            connection.execute(_TRY_AGAIN, action.place)
        else:
            ends.append(Conclusion(action, "superseded", "replaced while it was under way"))
    finish(connection, ends)


def start(connection: Connection, now: float, busy: Collection[Key], held: Held, at_a_target: int) -> list[Action]:
    """Mark as running what is due for endpoints and targets at which nothing is under way, the oldest first.

    At one target no more than so many are under way: one that hangs keeps no other one waiting. What is newer than what
    is held waits.
    """
    there = Counter(target for _, target in busy)
    started = []
    # Of a target no more can be busy than may be: behind twice as many there are enough that are not.
    for row in connection.execute(_DUE, {"now": now, "most": 2 * at_a_target + len(held)}).all():
        key = (row.stream, row.target)
        if key in busy or there[row.target] >= at_a_target or (key in held and row.position > held[key].position):
            continue
        there[row.target] += 1
        started.append(replace(action_of(row), attempts=row.attempts + 1))
    if started:
        connection.execute(_START, [{**action.place, "to_attempts": action.attempts} for action in started])
    return started


def next_due(connection: Connection, now: float) -> float | None:
    """When something will be due that is not yet. What is due already waits for what is under way."""
    return connection.execute(_LATER, {"now": now}).scalar()


def escalate(connection: Connection, before: float) -> list[Action]:
    """What is open since before a time and was not escalated yet: it is marked, and the registry is told."""
    found, told = [], []
    for row in connection.execute(_LATE, {"before": before}).all():
        action = action_of(row)
        words = f"not deployed yet, tried further: {row.detail or 'the target has not answered yet'}"
        told.append(report(action.intent, "failed", (), words, action.attempts, f"late-{action.run}"))
        found.append(action)
    if found:
        connection.execute(_ESCALATE, [action.place for action in found])
        orders.enqueue(connection, SENDER, told)
    return found


def count(connection: Connection) -> Counts:
    """How many there are of what is open, and of what failed and was not replaced."""
    found = connection.execute(_OPEN).all()
    return Counts(
        pending=sum(many for state, _, many in found if state == "pending"),
        running=sum(many for state, _, many in found if state == "running"),
        overdue=sum(many for _, overdue, many in found if overdue),
        failed=connection.execute(_FAILED).scalar_one(),
    )


def prune(connection: Connection, before: float) -> None:
    """Forget what was finished before a time, but for the newest of each endpoint and target.

    And what followed from events that were taken no later than the newest action from before that time.
    """
    connection.execute(_PRUNE_OUTCOMES, {"before": before})
    connection.execute(_PRUNE, {"before": before})


def _waiting(connection: Connection, intents: Sequence[Intent]) -> dict[Key, list[Action]]:
    """What waits for these endpoints."""
    found: dict[Key, list[Action]] = defaultdict(list)
    if intents:
        streams = sorted({intent.stream for intent in intents})
        for row in connection.execute(_WAITING, {"streams": streams}).all():
            found[row.stream, row.target].append(action_of(row))
    return found


def _replaced(action: Action, intent: Intent) -> Conclusion:
    return Conclusion(action, "superseded", f"replaced by position {intent.position}")


def _pending(intent: Intent, now: float) -> dict[str, object]:
    return {
        "position": intent.position,
        "stream": intent.stream,
        "target": intent.target.lower(),
        "intent": intent_text(intent),
        "state": "pending",
        "attempts": 0,
        "due": 0.0,
        "created": now,
        "overdue": False,
        "detail": "",
    }
