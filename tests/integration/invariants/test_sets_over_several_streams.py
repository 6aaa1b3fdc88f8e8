"""Invariants 1, 3 and 5 for what writes several streams: one decision, one set, adjacent, never split, or nothing at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.support.registrar import Running, registrar_on, registration, running

from regista.bus.relay.outbox import EventsOutbox
from regista.domain import commands as m
from regista.domain.chain import Row
from regista.domain.context import State
from regista.domain.endpoint import EndpointState
from regista.domain.endpoint import commands as c
from regista.domain.environment.commands import DefineEnvironment, RollBackEnvironment
from regista.domain.errors import Refused
from regista.domain.events import EndpointRetired, EndpointRolledBack, TrafficChanged
from regista.domain.kinds import kind_of
from regista.domain.target.commands import PutTarget, RemoveTarget
from regista.projections.feed import START, Mark
from regista.registrar.answers import Outcome
from regista.registrar.commands import Command
from regista.store.feed import StoreFeed
from regista.store.mapper import AvroMapper, Recorded
from regista.store.postgres import PostgresLogStore

FULL = 10_000
ENDPOINTS = ("a", "b", "c", "d")
Database: TypeAlias = str | None


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def database(request: pytest.FixtureRequest) -> Database:
    """Where the log is: a file of the test's own, or a database of its own."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_database")
    return url


@asynccontextmanager
async def two(folder: Path, database: Database) -> AsyncIterator[tuple[Running, Running]]:
    """Two registrars on one log, with endpoints of two models in ``prod`` that serve their first versions."""
    async with running(folder, database) as one:
        log = one.log if database is None else PostgresLogStore(database)
        other = registrar_on(log, folder)
        try:
            await one.do(DefineEnvironment("prod", ("staging", "production")))
            await one.do(PutTarget("edge", "directory"))
            for model in ("fraud", "churn"):
                await one.do(m.RegisterModel(model))
                for number in range(3):
                    await one.do(registration(model, number))
                    await one.do(m.Promote(model, str(number + 1), "staging", keep_existing=True))
            for number, name in enumerate(ENDPOINTS):
                await one.do(c.CreateEndpoint("prod", name, ("fraud", "churn")[number % 2], ("edge",)))
                await one.do(serve(name, "1"))
            yield one, other
        finally:
            await other.writer.close()
            if log is not one.log:
                log.close()


def serve(name: str, ref: str) -> c.ChangeTraffic:
    return c.ChangeTraffic("prod", name, (c.VariantRequest(ref, FULL),))


def events(one: Running) -> list[tuple[Row, Recorded]]:
    mapper = AvroMapper()
    return [(row, mapper.from_row(row)) for row in one.log.read(1, 100_000)]


def served(state: State | None) -> list[str]:
    assert isinstance(state, EndpointState)
    return [variant.version for variant in state.variants]


def check_each_says_what_was(one: Running) -> dict[str, State]:
    """That every change of an endpoint names what was served right before it; the states at the end."""
    states: dict[str, State] = {}
    for row, recorded in events(one):
        if row.stream.startswith("log/"):
            continue
        kind = kind_of(row.stream)
        before = states.get(row.stream, kind.empty)
        if isinstance(recorded.event, TrafficChanged | EndpointRolledBack | EndpointRetired):
            assert isinstance(before, EndpointState)
            assert recorded.event.previous == before.variants
        states[row.stream] = kind.evolve(before, recorded.event)
        assert states[row.stream].sequence == row.sequence
    return states


def sets_of(one: Running, command_id: str) -> list[Row]:
    return [row for row, recorded in events(one) if recorded.meta.command_id == command_id]


async def test_a_rollback_beside_others_writes_is_decided_on_what_was_true_and_stays_together(
    tmp_path: Path, database: Database
) -> None:
    async with two(tmp_path, database) as (one, other):
        moment = str(one.log.max_position())
        for round_ in range(4):
            for name in ENDPOINTS:
                await one.do(serve(name, "2"))
            writes = [
                who.do(serve(name, ref)) for name, ref in zip(ENDPOINTS, "3232", strict=True) for who in (one, other)
            ]
            archive = other.do(m.Archive(("fraud", "churn")[round_ % 2], "3")) if round_ > 1 else _nothing()
            rollback = (one, other)[round_ % 2].do(RollBackEnvironment("prod", moment), command_id=f"back-{round_}")
            outcomes = await asyncio.gather(*writes[:4], rollback, archive, *writes[4:], return_exceptions=True)
            assert not [o for o in outcomes if isinstance(o, Exception) and not isinstance(o, Refused)]
            back = outcomes[4]
            assert isinstance(back, Outcome), back
            rows = sets_of(one, f"back-{round_}")
            assert [row.position for row in rows] == list(range(rows[0].position, rows[0].position + len(rows)))
            told = back.answer["events"]
            assert [(row.stream, row.sequence) for row in rows] == [(e["stream"], e["sequence"]) for e in told]
            assert back.position == rows[-1].position
            check_as_it_was(one, rows[-1].position)
        check_each_says_what_was(one)


async def _nothing() -> None:
    """Beside the others, in rounds in which nobody archives."""


def check_as_it_was(one: Running, position: int) -> None:
    """That right after a set every endpoint serves what it did at the moment."""
    states: dict[str, EndpointState] = {}
    for row, recorded in events(one):
        if row.position > position:
            break
        if row.stream.startswith("endpoint/"):
            kind = kind_of(row.stream)
            states[row.stream] = kind.evolve(states.get(row.stream, kind.empty), recorded.event)
    assert {stream: served(state) for stream, state in states.items()} == {
        f"endpoint/prod/{name}": ["1.0.0"] for name in ENDPOINTS
    }


async def test_a_set_that_met_another_s_event_is_decided_again_as_a_whole(tmp_path: Path, database: Database) -> None:
    async with two(tmp_path, database) as (one, other):
        moment = str(one.log.max_position())
        for name in ENDPOINTS:
            await one.do(serve(name, "2"))
        plan = await one.do(RollBackEnvironment("prod", moment), dry_run=True)  # it knows all states now
        assert len(plan.answer["events"]) == 4
        await other.do(serve("c", "3"))
        await other.do(serve("d", "1"))
        await one.do(RollBackEnvironment("prod", moment), command_id="back")
        rows = sets_of(one, "back")
        assert [row.stream for row in rows] == [f"endpoint/prod/{name}" for name in "abc"]
        states = check_each_says_what_was(one)
        assert [served(states[row.stream]) for row in rows] == [["1.0.0"]] * 3


async def test_a_set_that_the_rules_refuse_changes_nothing(tmp_path: Path, database: Database) -> None:
    async with two(tmp_path, database) as (one, other):
        moment = str(one.log.max_position())
        for name in ENDPOINTS:
            await one.do(serve(name, "2"))
        await one.do(RollBackEnvironment("prod", moment), dry_run=True)
        await other.do(c.RetireEndpoint("prod", "d"))
        before = one.log.max_position()
        with pytest.raises(Refused) as refused:
            await one.do(RollBackEnvironment("prod", moment))
        assert [(reason.code, reason.field) for reason in refused.value.reasons] == [
            ("endpoint_retired", "endpoint/prod/d")
        ]
        assert one.log.max_position() == before
        await one.do(serve("a", "3"))  # what was decided in vain is not remembered
        check_each_says_what_was(one)


@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_nobody_who_reads_sees_half_a_set(tmp_path: Path, database: Database, limit: int) -> None:
    async with two(tmp_path, database) as (one, other):
        moment = str(one.log.max_position())
        for name in ENDPOINTS:
            await one.do(serve(name, "2"))
        both = (one.do(RollBackEnvironment("prod", moment), command_id="back"), other.do(m.RegisterModel("beside")))
        await asyncio.gather(*both)
        whole = {row.position for row in sets_of(one, "back")}
        assert len(whole) == 4
        feed, mark = StoreFeed(one.log), START
        while rows := (await feed.read(mark, limit)).rows:
            positions = {row.position for row in rows}
            assert not whole & positions or whole <= positions
            mark = Mark.of(rows[-1])
        outbox, position = EventsOutbox(one.log, "events"), 1
        while entries := await asyncio.to_thread(outbox.read, position, limit):
            positions = {entry.position for entry in entries}
            assert not whole & positions or whole <= positions
            position = max(positions) + 1


async def test_every_command_on_endpoints_is_decided_on_what_other_registrars_left(
    tmp_path: Path, database: Database
) -> None:
    async with two(tmp_path, database) as (one, other):
        split = (c.VariantRequest("1", 9_000), c.VariantRequest("2", 1_000))
        commands: list[Command] = [
            c.UpdateEndpoint("prod", "a", follow="@staging"),
            c.ChangeTraffic("prod", "a", split),
            c.RollBackEndpoint("prod", "a"),
            c.FollowVersion("prod", "a", "@staging"),
            serve("a", "2"),
            c.ReportDeployment("prod", "a", "edge", 7, "succeeded"),
            c.RetireEndpoint("prod", "a"),
        ]
        turns = enumerate(commands)
        done = [await (one, other)[number % 2].do(command, command_id=f"k{number}") for number, command in turns]
        sequences = [outcome.answer["sequence"] for outcome in done]
        assert sequences == list(range(3, 3 + len(done)))
        assert all(before.position < after.position for before, after in pairwise(done))
        replayed = await one.do(commands[1], command_id="k1")
        assert replayed.answer == {**done[1].answer, "replayed": True}
        states = check_each_says_what_was(other)
        assert not served(states["endpoint/prod/a"])


async def test_a_target_that_another_registrar_s_endpoint_uses_is_not_removed(
    tmp_path: Path, database: Database
) -> None:
    async with two(tmp_path, database) as (one, other):
        await one.do(PutTarget("cloud", "http"))
        await other.do(c.UpdateEndpoint("prod", "a", ("edge", "cloud")))
        with pytest.raises(Refused) as refused:
            await one.do(RemoveTarget("cloud"))
        assert refused.value.code == "target_in_use"
        await other.do(c.UpdateEndpoint("prod", "a", ("edge",)))
        assert (await one.do(RemoveTarget("cloud"))).answer["removed"]
        commands = [recorded.meta.command_id for _, recorded in events(one)]
        assert len(commands) == sum(1 for _ in groupby(commands))
