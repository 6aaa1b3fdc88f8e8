"""What the log says of endpoints and targets, as the tables keep it: many events are known by a few statements."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, bindparam, select

from regista.deployer.reactions import Endpoint, Intent, TargetDefinition, of_endpoint, of_target
from regista.deployer.stored import endpoint_of, endpoint_text, target_of, target_text
from regista.deployer.tables import ENDPOINTS, TARGETS, USES
from regista.work.logged import Logged

_ENDPOINTS: Final = select(ENDPOINTS.c.stream, ENDPOINTS.c.known).where(
    ENDPOINTS.c.stream.in_(bindparam("streams", expanding=True))
)
_FORGET: Final = ENDPOINTS.delete().where(ENDPOINTS.c.stream == bindparam("of_stream"))
_KEEP: Final = ENDPOINTS.insert()
_USERS: Final = (
    select(ENDPOINTS.c.known)
    .join(USES, USES.c.stream == ENDPOINTS.c.stream)
    .where(USES.c.target == bindparam("of_target"))
    .order_by(ENDPOINTS.c.stream)
)
_TARGET: Final = select(TARGETS.c.revision, TARGETS.c.known).where(TARGETS.c.target == bindparam("of_target"))


class Known:
    """The endpoints and targets that some events are about. ``keep`` comes last, in the same transaction."""

    def __init__(self, connection: Connection, streams: Iterable[str]) -> None:
        """``streams`` are those of the events."""
        self._connection = connection
        self._endpoints: dict[str, Endpoint] = {}
        self._changed: set[str] = set()
        self._used: dict[str, tuple[str, ...]] = {}
        if asked := sorted({stream for stream in streams if not stream.startswith("target/")}):
            for row in connection.execute(_ENDPOINTS, {"streams": asked}).all():
                self._endpoints[row.stream] = endpoint_of(row.known)
        self._used = {stream: endpoint.targets for stream, endpoint in self._endpoints.items()}

    def apply(self, logged: Logged) -> tuple[Intent, ...]:
        """Know one more event of these streams; what targets have to be given because of it."""
        if logged.stream.startswith("target/"):
            return self._target(logged)
        before = self._endpoints.get(logged.stream)
        after, intents = of_endpoint(before, logged)
        if after is not None and after != before:
            self._endpoints[logged.stream] = after
            self._changed.add(logged.stream)
        return intents

    def keep(self) -> None:
        """Write down what is known by now."""
        changed = sorted(self._changed)
        self._changed.clear()
        if not changed:
            return
        self._connection.execute(_FORGET, [{"of_stream": stream} for stream in changed])
        rows = [{"stream": stream, "known": endpoint_text(self._endpoints[stream])} for stream in changed]
        self._connection.execute(_KEEP, rows)
        for stream in changed:
            self._keep_uses(stream, self._endpoints[stream].targets)

    def _keep_uses(self, stream: str, targets: tuple[str, ...]) -> None:
        if self._used.get(stream) == targets:
            return
        self._used[stream] = targets
        self._connection.execute(USES.delete().where(USES.c.stream == stream))
        for target in {name.lower() for name in targets}:
            self._connection.execute(USES.insert(), {"target": target, "stream": stream})

    def _target(self, logged: Logged) -> tuple[Intent, ...]:
        self.keep()  # who uses it is asked of the tables
        name = logged.stream.partition("/")[2]
        found = definition(self._connection, name)
        before = None if found is None else found[1]
        users = [endpoint_of(known) for known in self._connection.execute(_USERS, {"of_target": name}).scalars()]
        after, intents = of_target(before, users, logged)
        if after is not None and after != before:
            self._connection.execute(TARGETS.delete().where(TARGETS.c.target == name))
            values = {"target": name, "revision": logged.position, "known": target_text(after)}
            self._connection.execute(TARGETS.insert(), values)
        return intents


def definition(connection: Connection, target: str) -> tuple[int, TargetDefinition] | None:
    """What a target is, by its name in lower case, and the position of the event that said so."""
    found = connection.execute(_TARGET, {"of_target": target}).first()
    return None if found is None else (found.revision, target_of(found.known))
