"""Endpoints that follow a stage or an alias: when it moves, the registry is asked to let them serve what it names now.

The registry decides. What the rules do not let in it records itself, as ``FollowRefused``; what was overtaken, or is
served already, needs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Final

from sqlalchemy import Column, Connection, Index, MetaData, Table, Text, select
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.deployer.following import MOVING, Follower, moved, of_endpoint
from regista.deployer.reports import printable
from regista.domain import events as e
from regista.work.database import Component
from regista.work.logged import Logged
from regista.work.orders import Order, drop_pending, enqueue

NAME: Final = "follower"
NOTHING_TO_DO: Final = frozenset(
    {"already_served", "nothing_to_follow", "follow_outdated", "not_following", "endpoint_retired", "unknown_endpoint"}
)
"""Answers that need nothing more: it is served, or something newer is followed by its own event."""
_FOLLOWING: Final = (e.EndpointCreated, e.EndpointUpdated, e.EndpointRetired)
_ALONE: Final = frozenset(event.TYPE for event in _FOLLOWING)
_TYPES: Final = _ALONE | {event.TYPE for event in (e.EndpointRolledBack, *MOVING)}
_FOLLOWERS: Final = Table(
    "followers",
    MetaData(),
    Column("stream", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("followed", Text),
)
_BY_MODEL: Final = Index("followers_model", _FOLLOWERS.c.model)
_ANY: Final = select(_FOLLOWERS.c.stream).where(_FOLLOWERS.c.followed.is_not(None)).limit(1)
FOLLOWER: Final = Component("follower", ((CreateTable(_FOLLOWERS), CreateIndex(_BY_MODEL)),))


class Followers:
    """Implements ``Effects``. ``recorded`` is called on the event loop when there is something to send."""

    name = NAME
    component = FOLLOWER

    def __init__(self, recorded: Callable[[], None]) -> None:
        self._recorded = recorded
        self._command = ("", "")
        self._restored: set[str] = set()

    def types(self, connection: Connection) -> frozenset[str]:
        """What says who follows; and, where somebody does, what moves that can be followed."""
        return _ALONE if connection.execute(_ANY).first() is None else _TYPES

    def fold(self, connection: Connection, events: Sequence[Logged]) -> None:
        """Know which endpoint follows what."""
        for logged in events:
            _known(connection, logged)

    def take(self, connection: Connection, events: Sequence[Logged]) -> bool:
        """Know it, and keep a command for each endpoint that has to look; whether there is one."""
        has_more = False
        for logged in events:
            follower, looks = _known(connection, logged)
            orders = []
            if follower is not None and looks and follower.followed is not None:
                orders.append(_order(logged, follower, None))
            self._note(logged)
            for move in moved(logged.event):
                found = connection.execute(
                    select(_FOLLOWERS)
                    .where(_FOLLOWERS.c.model == move.model.lower(), _FOLLOWERS.c.followed == move.followed)
                    .order_by(_FOLLOWERS.c.stream)
                )
                followers = (Follower(*row) for row in found.all())
                orders += [_order(logged, f, move.version) for f in followers if f.stream not in self._restored]
            has_more |= bool(orders)
            enqueue(connection, NAME, orders)
        return has_more

    def _note(self, logged: Logged) -> None:
        """What a command brings back beside the stages stays as it brings it: a rollback of a whole environment."""
        command = (logged.actor, logged.command_id)
        if command != self._command:
            self._command, self._restored = command, set()
        if isinstance(logged.event, e.EndpointRolledBack):
            self._restored.add(logged.stream)

    def taken(self) -> None:
        """Wake the sender."""
        self._recorded()

    def reset(self, connection: Connection) -> None:
        """Forget all that is known and was not sent."""
        connection.execute(_FOLLOWERS.delete())
        drop_pending(connection, NAME)


def _known(connection: Connection, logged: Logged) -> tuple[Follower | None, bool]:
    if not isinstance(logged.event, _FOLLOWING):
        return None, False
    mine = _FOLLOWERS.c.stream == logged.stream
    found = connection.execute(select(_FOLLOWERS).where(mine)).first()
    before = None if found is None else Follower(*found)
    after, looks = of_endpoint(before, logged)
    if after != before:
        connection.execute(_FOLLOWERS.delete().where(mine))
        if after is not None:
            connection.execute(_FOLLOWERS.insert(), {**asdict(after), "model": after.model.lower()})
    return after, looks


def _order(logged: Logged, follower: Follower, version: str | None) -> Order:
    followed = follower.followed or ""
    to = "" if version is None else f" is {version} now"
    reason = f"{followed}{to}, by {logged.place}"
    if logged.reason:
        reason += f": {logged.reason}"
    arguments = {
        "environment": follower.environment,
        "endpoint": follower.name,
        "followed": followed,
        "version": version,
        "reason": printable(reason),
    }
    digest = sha256(f"{follower.stream} {followed}".encode()).hexdigest()[:16]
    key = f"follower:{logged.log_id}:{logged.position}:{digest}"
    return Order(key, follower.stream, "follow_version", arguments, logged.place)
