"""The deployer as effects of the log: knows endpoints and targets, and records what targets are to be given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection, select

from regista.deployer import ledger
from regista.deployer.reactions import Endpoint, Intent, TargetDefinition, of_endpoint, of_target
from regista.deployer.stored import endpoint_of, endpoint_text, target_of, target_text
from regista.deployer.tables import ACTIONS, DEPLOYED, DEPLOYER, ENDPOINTS, OUTCOMES, TARGETS, USES
from regista.domain import events as e
from regista.work import outbox
from regista.work.logged import Logged

NAME: Final = "deployer"
_TELLING: Final = (
    e.EndpointCreated, e.EndpointUpdated, e.TrafficChanged, e.EndpointRolledBack, e.EndpointRetired, e.TargetCreated,
    e.TargetChanged, e.TargetRemoved,
)  # fmt: skip
"""Events that say something new of endpoints and targets: reports are many more."""
_TYPES: Final = frozenset(event.TYPE for event in _TELLING)
_CHANGING: Final = (
    e.EndpointUpdated, e.TrafficChanged, e.EndpointRolledBack, e.EndpointRetired, e.TargetChanged,
)  # fmt: skip


class Deployments:
    """Implements ``Effects``. ``recorded`` is called on the event loop when there is something to do."""

    name = NAME
    component = DEPLOYER

    def __init__(self, recorded: Callable[[], None]) -> None:
        self._recorded = recorded

    def types(self, _: Connection) -> frozenset[str]:
        """What says something new of endpoints and targets."""
        return _TYPES

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know endpoints and targets. What a change says that was imported replaces what was still to be done."""
        for logged in events:
            for intent in _known(connection, logged):
                ledger.supersede(connection, intent)

    def take(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know endpoints and targets, and record an action for each target that is to be given something."""
        for logged in events:
            intents = _known(connection, logged)
            for intent in intents:
                ledger.supersede(connection, intent)
                ledger.record(connection, intent)
            if isinstance(logged.event, _CHANGING):
                outcome = {"position": logged.position, "cause": logged.place, "type": logged.type}
                connection.execute(OUTCOMES.insert(), {**outcome, "actions": len(intents)})

    def taken(self) -> None:
        """Wake the runner."""
        self._recorded()

    def reset(self, connection: Connection) -> None:
        """Forget all that is known and all that is to be done, unsent reports too: they are of another log."""
        for table in (ENDPOINTS, USES, TARGETS, OUTCOMES, ACTIONS, DEPLOYED):
            connection.execute(table.delete())
        outbox.drop_pending(connection, NAME)


def _known(connection: Connection, logged: Logged) -> tuple[Intent, ...]:
    if not isinstance(logged.event, _TELLING):
        return ()
    if logged.stream.startswith("target/"):
        return _target(connection, logged)
    found = connection.execute(select(ENDPOINTS.c.known).where(ENDPOINTS.c.stream == logged.stream)).scalar()
    before = None if found is None else endpoint_of(found)
    after, intents = of_endpoint(before, logged)
    if after is not None and after != before:
        _keep_endpoint(connection, before, after)
    return intents


def _target(connection: Connection, logged: Logged) -> tuple[Intent, ...]:
    name = logged.stream.partition("/")[2]
    found = connection.execute(select(TARGETS.c.known).where(TARGETS.c.target == name)).scalar()
    before = None if found is None else target_of(found)
    after, intents = of_target(before, _users(connection, name), logged)
    if after is not None and after != before:
        connection.execute(TARGETS.delete().where(TARGETS.c.target == name))
        values = {"target": name, "revision": logged.position, "known": target_text(after)}
        connection.execute(TARGETS.insert(), values)
    return intents


def _users(connection: Connection, target: str) -> list[Endpoint]:
    query = (
        select(ENDPOINTS.c.known)
        .join(USES, USES.c.stream == ENDPOINTS.c.stream)
        .where(USES.c.target == target)
        .order_by(ENDPOINTS.c.stream)
    )
    return [endpoint_of(known) for known in connection.execute(query).scalars()]


def _keep_endpoint(connection: Connection, before: Endpoint | None, after: Endpoint) -> None:
    connection.execute(ENDPOINTS.delete().where(ENDPOINTS.c.stream == after.stream))
    connection.execute(ENDPOINTS.insert(), {"stream": after.stream, "known": endpoint_text(after)})
    if before is not None and before.targets == after.targets:
        return
    connection.execute(USES.delete().where(USES.c.stream == after.stream))
    for target in {name.lower() for name in after.targets}:
        connection.execute(USES.insert(), {"target": target, "stream": after.stream})


def definition(connection: Connection, target: str) -> tuple[int, TargetDefinition] | None:
    """What a target is, by its name in lower case, and the position of the event that said so."""
    found = connection.execute(select(TARGETS.c.revision, TARGETS.c.known).where(TARGETS.c.target == target)).first()
    return None if found is None else (found.revision, target_of(found.known))
