"""What the log says of endpoints, folded into tables: changes, when each took effect, what is on trial.

A change is in effect when every target of its endpoint has reported that it succeeded: from the time of the last of
these reports on. An endpoint without targets is deployed by somebody else: its changes are in effect when they are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from regista.domain import events as e
from regista.metrics.commands import NAME, dismiss, follow
from regista.metrics.schedule import candidates
from regista.metrics.tables import CHANGES, ENDPOINTS, FOLLOWED, TOTALS, VERDICTS
from regista.work.locks import remove
from regista.work.logged import Logged
from regista.work.orders import drop_pending

KEPT_CHANGES: Final = 200
"""Per endpoint, and a few more: those with a canary's whole schedule behind them are compared with the champion before it."""

_PRUNE_EVERY: Final = 64
"""Events of an endpoint: to look for what is too many at each change would cost as much as to note the change."""

# Statements are made once: to make one costs more than to execute it.
_OF_ENDPOINT: Final = ENDPOINTS.c.key == bindparam("of_key")
_OF_CHANGES: Final = CHANGES.c.key == bindparam("of_key")
_OF_CHANGE: Final = (_OF_CHANGES, CHANGES.c.change == bindparam("of_change"))
_FIND: Final = select(ENDPOINTS).where(_OF_ENDPOINT)
_FIND_CHANGE: Final = select(CHANGES).where(*_OF_CHANGE)
_CHANGE: Final = CHANGES.insert()
_FIND_REPORTED: Final = (
    select(CHANGES.c.succeeded, CHANGES.c.effective_at, CHANGES.c.ended_at, ENDPOINTS.c.targets)
    .outerjoin(ENDPOINTS, ENDPOINTS.c.key == CHANGES.c.key)
    .where(*_OF_CHANGE)
)
_POINT: Final = (
    update(ENDPOINTS).where(_OF_ENDPOINT).values(change=bindparam("to_change")).returning(ENDPOINTS.c.targets)
)
_SUCCEED: Final = (
    update(CHANGES)
    .where(*_OF_CHANGE)
    .values(succeeded=bindparam("to_succeeded"), effective_at=bindparam("to_effective_at"))
)
_TAKE_EFFECT: Final = update(CHANGES).where(*_OF_CHANGE).values(effective_at=bindparam("to_effective_at"))
_END: Final = (
    update(CHANGES).where(_OF_CHANGES, CHANGES.c.ended_at.is_(None)).values(ended_at=bindparam("now"), on_trial=0)
)
_OLDEST: Final = (
    select(CHANGES.c.change).where(_OF_CHANGES).order_by(CHANGES.c.change.desc()).offset(KEPT_CHANGES).limit(1)
)


def key_of(environment: str, endpoint: str) -> str:
    """How an endpoint is called in the tables, and in the key of its reports."""
    return f"{environment}/{endpoint}".lower()


def forget(connection: Connection) -> None:
    """Forget what is known of the log."""
    for table in FOLLOWED:
        remove(connection, table)
    drop_pending(connection, NAME)


def apply(connection: Connection, logged: Logged, *, loud: bool) -> None:
    """Know one more event. ``loud``: what follows from a conclusion is recorded, to be done."""
    handle = _HANDLERS.get(type(logged.event))
    if handle is not None:
        handle(connection, logged, logged.event, loud)


def find(connection: Connection, key: str) -> Row[Any] | None:
    """An endpoint."""
    return connection.execute(_FIND, {"of_key": key}).first()


def find_change(connection: Connection, key: str, change: int) -> Row[Any] | None:
    """A change of an endpoint, where it is kept."""
    return connection.execute(_FIND_CHANGE, {"of_key": key, "of_change": change}).first()


def variants_of(change: Row[Any]) -> tuple[e.Variant, ...]:
    """What a change says is to be served."""
    return tuple(e.Variant(**variant) for variant in json.loads(change.variants))


def canary_of(change: Row[Any]) -> e.Canary | None:
    """The schedule of a change."""
    if change.canary is None:
        return None
    found = json.loads(change.canary)
    return e.Canary(**{**found, "steps": tuple(e.CanaryStep(**step) for step in found["steps"])})


def guardrails_of(endpoint: Row[Any]) -> tuple[e.Guardrail, ...]:
    """The bounds of an endpoint."""
    return tuple(e.Guardrail(**guardrail) for guardrail in json.loads(endpoint.guardrails))


def _described(event: e.EndpointCreated | e.EndpointUpdated) -> dict[str, Any]:
    return {
        "targets": json.dumps([target.lower() for target in event.targets]),
        "guardrails": json.dumps([asdict(guardrail) for guardrail in event.guardrails]),
        "automatic": int(event.automatic),
    }


def _created(connection: Connection, logged: Logged, event: e.EndpointCreated, _: bool) -> None:
    key = key_of(event.environment, event.endpoint)
    connection.execute(delete(ENDPOINTS).where(ENDPOINTS.c.key == key))
    connection.execute(
        ENDPOINTS.insert(),
        {
            "key": key,
            "log_id": logged.log_id,
            "environment": event.environment,
            "endpoint": event.endpoint,
            "model": event.model,
            "change": None,
            **_described(event),
        },
    )


def _updated(connection: Connection, logged: Logged, event: e.EndpointUpdated, _: bool) -> None:
    key = key_of(event.environment, event.endpoint)
    connection.execute(update(ENDPOINTS).where(ENDPOINTS.c.key == key), _described(event))
    if not event.automatic:
        dismiss(connection, key)
    endpoint = find(connection, key)
    if endpoint is not None and endpoint.change is not None:
        _take_effect(connection, key, endpoint.change, logged.time.timestamp())


def _changed(connection: Connection, logged: Logged, event: e.TrafficChanged | e.EndpointRolledBack, _: bool) -> None:
    key, now = key_of(event.environment, event.endpoint), logged.time.timestamp()
    canary = event.canary if isinstance(event, e.TrafficChanged) else None
    _end(connection, key, now)
    targets = connection.execute(_POINT, {"of_key": key, "to_change": logged.sequence}).scalar()
    connection.execute(
        _CHANGE,
        {
            "key": key,
            "change": logged.sequence,
            "previous": event.previous_change,
            "variants": json.dumps([asdict(variant) for variant in event.variants]),
            "canary": None if canary is None else json.dumps(asdict(canary)),
            "on_trial": int(bool(candidates(event.variants))),
            "issued_at": now,
            "effective_at": None if targets is None else _effective(targets, {}, now),
            "succeeded": "{}",
        },
    )
    if (event.previous_change or 0) // _PRUNE_EVERY != logged.sequence // _PRUNE_EVERY:
        _prune(connection, key)


def _retired(connection: Connection, logged: Logged, event: e.EndpointRetired, _: bool) -> None:
    key = key_of(event.environment, event.endpoint)
    _end(connection, key, logged.time.timestamp())
    connection.execute(_POINT, {"of_key": key, "to_change": None})


def _reported(connection: Connection, logged: Logged, event: e.DeploymentReported, _: bool) -> None:
    if event.state != "succeeded":
        return
    key, now = key_of(event.environment, event.endpoint), logged.time.timestamp()
    change = connection.execute(_FIND_REPORTED, {"of_key": key, "of_change": event.change}).first()
    if change is None:
        return
    succeeded = {event.target.lower(): now} | json.loads(change.succeeded)
    told = {"of_key": key, "of_change": event.change, "to_succeeded": json.dumps(succeeded)}
    since = change.effective_at
    if since is None and change.ended_at is None and change.targets is not None:
        since = _effective(change.targets, succeeded, now)
    connection.execute(_SUCCEED, {**told, "to_effective_at": since})


def _concluded(connection: Connection, logged: Logged, event: e.ExperimentConcluded, loud: bool) -> None:
    key = key_of(event.environment, event.endpoint)
    where = (CHANGES.c.key == key, CHANGES.c.change == event.change)
    connection.execute(update(CHANGES).where(*where), {"verdict": event.verdict, "concluded": logged.position})
    endpoint = find(connection, key)
    if loud and endpoint is not None and endpoint.automatic and endpoint.change == event.change:
        follow(connection, endpoint, logged, event)


def _end(connection: Connection, key: str, now: float) -> None:
    connection.execute(_END, {"of_key": key, "now": now})


def _take_effect(connection: Connection, key: str, number: int, now: float) -> None:
    endpoint, change = find(connection, key), find_change(connection, key, number)
    if endpoint is None or change is None or change.effective_at is not None or change.ended_at is not None:
        return
    since = _effective(endpoint.targets, json.loads(change.succeeded), now)
    if since is not None:
        connection.execute(_TAKE_EFFECT, {"of_key": key, "of_change": number, "to_effective_at": since})


def _effective(targets: str, succeeded: Mapping[str, float], now: float) -> float | None:
    """Since when a change is in effect; None: not yet."""
    wanted: Sequence[str] = json.loads(targets)
    if any(target not in succeeded for target in wanted):
        return None
    return max((succeeded[target] for target in wanted), default=now)


def _prune(connection: Connection, key: str) -> None:
    oldest = connection.execute(_OLDEST, {"of_key": key}).scalar()
    if oldest is not None:
        for table in (CHANGES, TOTALS, VERDICTS):
            connection.execute(delete(table).where(table.c.key == key, table.c.change <= oldest))


_HANDLERS: Final[Mapping[type[Any], Callable[[Connection, Logged, Any, bool], None]]] = {
    e.EndpointCreated: _created,
    e.EndpointUpdated: _updated,
    e.TrafficChanged: _changed,
    e.EndpointRolledBack: _changed,
    e.EndpointRetired: _retired,
    e.DeploymentReported: _reported,
    e.ExperimentConcluded: _concluded,
}
TYPES: Final = frozenset(event.TYPE for event in _HANDLERS)
"""The events that are looked at."""
