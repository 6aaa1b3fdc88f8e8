"""The deployer as effects of the log: knows endpoints and targets, and records what targets are to be given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Connection

from regista.deployer import ledger
from regista.deployer.known import Known
from regista.deployer.reactions import Intent
from regista.deployer.tables import ACTIONS, DEPLOYED, DEPLOYER, ENDPOINTS, OUTCOMES, TARGETS, USES
from regista.domain import events as e
from regista.work import orders
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
_OUTCOMES: Final = OUTCOMES.insert()


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
        telling = [logged for logged in events if isinstance(logged.event, _TELLING)]
        known = Known(connection, (logged.stream for logged in telling))
        intents = [intent for logged in telling for intent in known.apply(logged)]
        known.keep()
        ledger.supersede(connection, intents)

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        """Know endpoints and targets, and record an action for each target that is to be given something; whether there is one."""
        telling = [logged for logged in events if isinstance(logged.event, _TELLING)]
        known = Known(connection, (logged.stream for logged in telling))
        intents: list[Intent] = []
        outcomes = []
        for logged in telling:
            following = known.apply(logged)
            intents += following
            if isinstance(logged.event, _CHANGING):
                outcome = {"position": logged.position, "cause": logged.place, "type": logged.type}
                outcomes.append({**outcome, "actions": len(following)})
        known.keep()
        ledger.record(connection, intents)
        if outcomes:
            connection.execute(_OUTCOMES, outcomes)
        return bool(intents)

    def taken(self) -> None:
        """Wake the runner."""
        self._recorded()

    def reset(self, connection: Connection) -> None:
        """Forget all that is known and all that is to be done, unsent reports too: they are of another log."""
        for table in (ENDPOINTS, USES, TARGETS, OUTCOMES, ACTIONS, DEPLOYED):
            connection.execute(table.delete())
        orders.drop_pending(connection, NAME)
