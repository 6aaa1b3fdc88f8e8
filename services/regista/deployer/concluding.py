"""What became of actions: written down, and kept to be told, many in a few statements.

Every function works inside a transaction of the caller. Statements are made once: to make one costs more than to
execute it, and a busy deployer executes hundreds a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection, bindparam, select

from regista.deployer.actions import SAME, Action
from regista.deployer.reports import report
from regista.deployer.stored import intent_text, observed_text
from regista.deployer.tables import ACTIONS, DEPLOYED
from regista.domain.endpoint.commands import ObservedVariant
from regista.work import orders

SENDER: Final = "deployer"
End: TypeAlias = Literal["succeeded", "failed", "superseded"]

_RUNNING: Final = select(ACTIONS.c.position, ACTIONS.c.stream, ACTIONS.c.target, ACTIONS.c.attempts).where(
    ACTIONS.c.state == "running", ACTIONS.c.position.in_(bindparam("positions", expanding=True))
)
_NEWER: Final = (
    select(ACTIONS.c.position)
    .where(
        ACTIONS.c.stream == bindparam("of_stream"),
        ACTIONS.c.target == bindparam("of_target"),
        ACTIONS.c.position > bindparam("of_position"),
    )
    .limit(1)
)
_END: Final = (
    ACTIONS.update()
    .where(*SAME)
    .values(
        state=bindparam("to_state"),
        finished=bindparam("to_finished"),
        code=bindparam("to_code"),
        detail=bindparam("to_detail"),
        overdue=False,
    )
)
_WAIT: Final = (
    ACTIONS.update()
    .where(*SAME)
    .values(state="pending", due=bindparam("to_due"), code=bindparam("to_code"), detail=bindparam("to_detail"))
)
_FORGET: Final = DEPLOYED.delete().where(
    DEPLOYED.c.stream == bindparam("of_stream"), DEPLOYED.c.target == bindparam("of_target")
)
_DEPLOYED: Final = DEPLOYED.insert()


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What became of an attempt. ``pending``: it is tried again at ``due``, unless something newer waits by then."""

    action: Action
    state: End | Literal["pending"]
    detail: str
    code: str | None = None
    observed: tuple[ObservedVariant, ...] = ()
    due: float = 0.0


def conclude(connection: Connection, conclusions: Sequence[Conclusion]) -> None:
    """Write down what became of attempts.

    One that another process has brought to an end meanwhile, or tried again, is left as it is there.
    """
    if not conclusions:
        return
    rows = connection.execute(_RUNNING, {"positions": [c.action.intent.position for c in conclusions]}).all()
    under_way = {(row.position, (row.stream, row.target), row.attempts) for row in rows}
    mine = [conclusion for conclusion in conclusions if conclusion.action.attempt in under_way]
    ends = []
    for conclusion in mine:
        if conclusion.state != "pending":
            ends.append(conclusion)
        elif is_newest(connection, conclusion.action):
            _wait(connection, conclusion)
        else:
            ends.append(_overtaken(conclusion))
    finish(connection, ends)
    _keep_deployed(connection, [end for end in ends if end.state == "succeeded"])


def finish(connection: Connection, ends: Sequence[Conclusion]) -> None:
    """Write down how actions ended, and keep the reports of it to be sent."""
    if not ends:
        return
    now = time.time()
    values = [
        {**c.action.place, "to_state": c.state, "to_finished": now, "to_code": c.code, "to_detail": c.detail}
        for c in ends
    ]
    connection.execute(_END, values)
    orders.enqueue(connection, SENDER, [_told(end) for end in ends])


def is_newest(connection: Connection, action: Action) -> bool:
    """Whether nothing was to be done later for the same endpoint and target."""
    return connection.execute(_NEWER, action.place).first() is None


def _wait(connection: Connection, conclusion: Conclusion) -> None:
    """For another attempt."""
    told = {"to_due": conclusion.due, "to_code": conclusion.code, "to_detail": conclusion.detail}
    connection.execute(_WAIT, {**conclusion.action.place, **told})


def _overtaken(conclusion: Conclusion) -> Conclusion:
    action = conclusion.action
    words = f"replaced after {action.attempts} attempts: {conclusion.detail}"
    return Conclusion(action, "superseded", words, conclusion.code)


def _told(end: Conclusion) -> orders.Order:
    assert end.state != "pending"  # it has not ended
    action = end.action
    what = f"{end.state}-{action.run}"
    return report(action.intent, end.state, end.observed, end.detail, action.attempts, what)


def _keep_deployed(connection: Connection, succeeded: Sequence[Conclusion]) -> None:
    """This is what is deployed there from now on."""
    if not succeeded:
        return
    connection.execute(_FORGET, [conclusion.action.place for conclusion in succeeded])
    rows = []
    for conclusion in succeeded:
        action = conclusion.action
        if not action.intent.variants:
            continue
        stream, target = action.key
        seen = observed_text(conclusion.observed)
        kept = {"stream": stream, "target": target, "intent": intent_text(action.intent)}
        rows.append({**kept, "applied": seen, "observed": seen, "looks": 0, "look_due": 0.0})
    if rows:
        connection.execute(_DEPLOYED, rows)
