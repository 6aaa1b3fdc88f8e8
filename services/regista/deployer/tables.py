"""What the deployer keeps: endpoints and targets as the log has them, what is to be done, and what runs where."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, Table, Text
from sqlalchemy.schema import CreateIndex, CreateTable

from regista.work.database import Component

_METADATA: Final = MetaData()

ENDPOINTS: Final = Table(
    "deployer_endpoints",
    _METADATA,
    Column("stream", Text, primary_key=True),
    Column("known", Text, nullable=False),
)
"""``known`` is an ``Endpoint`` in JSON."""

USES: Final = Table(
    "deployer_uses",
    _METADATA,
    Column("target", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
)
"""Which endpoints are deployed to a target, by its name in lower case."""

TARGETS: Final = Table(
    "deployer_targets",
    _METADATA,
    Column("target", Text, primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("known", Text, nullable=False),
)
"""``known`` is a ``TargetDefinition`` in JSON, ``revision`` the position of the event that said so."""

OUTCOMES: Final = Table(
    "deployer_outcomes",
    _METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("cause", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("actions", Integer, nullable=False),
)
"""Every event that says what is to be served where, and the number of actions that followed from it."""

ACTIONS: Final = Table(
    "deployer_actions",
    _METADATA,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("intent", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Float, nullable=False),
    Column("created", Float, nullable=False),
    Column("finished", Float),
    Column("overdue", Boolean, nullable=False),
    Column("code", Text),
    Column("detail", Text, nullable=False),
)
"""``intent`` is an ``Intent`` in JSON; ``target`` its name in lower case. Times are seconds since 1970.

``state``: pending, running, succeeded, failed, superseded. Of one endpoint and target at most one is pending.
"""
_STATES: Final = Index("deployer_actions_state", ACTIONS.c.state, ACTIONS.c.due)
_NEWEST: Final = Index("deployer_actions_newest", ACTIONS.c.stream, ACTIONS.c.target, ACTIONS.c.position)

DEPLOYED: Final = Table(
    "deployer_deployed",
    _METADATA,
    Column("stream", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("intent", Text, nullable=False),
    Column("applied", Text, nullable=False),
    Column("observed", Text, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("look_due", Float, nullable=False),
)
"""What was applied last, and when to look next. ``looks`` counts what looks found.

``applied`` is what the target said that it serves then, ``observed`` what was reported to run there last.
"""

HOLDS: Final = Table(
    "deployer_holds",
    _METADATA,
    Column("stream", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("until", Float, nullable=False),
)
"""Attempts of a process that lost its place, which may be under way until then."""

DEPLOYER: Final = Component(
    "deployer",
    (
        (
            *map(CreateTable, (ENDPOINTS, USES, TARGETS, OUTCOMES, ACTIONS, DEPLOYED)),
            CreateIndex(_STATES),
            CreateIndex(_NEWEST),
        ),
        (CreateTable(HOLDS),),
    ),
)
