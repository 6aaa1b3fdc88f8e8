"""Deployers that follow each other on one work database, and targets that hang: nothing is overtaken, or held up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, select
from tests.support.deploying import World, world
from tests.support.working import WorkPlace, eventually, open_work

from regista.deployer import ledger
from regista.deployer.actions import Action, action_of
from regista.deployer.concluding import Conclusion, conclude
from regista.deployer.effects import Deployments
from regista.deployer.reactions import Intent
from regista.deployer.stored import intent_of
from regista.deployer.tables import ACTIONS, DEPLOYED
from regista.deployer.targets.base import TargetFailed
from regista.work import orders
from regista.work.database import Work
from regista.work.taking import Taking


@pytest.fixture
async def served(tmp_path: Path, work_place: WorkPlace) -> AsyncIterator[World]:
    """``prod/fraud`` on the target ``edge``, with nothing served yet."""
    async with world(tmp_path / "data", work_place) as made:
        await made.furnish()
        await made.endpoint()
        yield made


async def states(work: Work) -> list[str]:
    """What became of each action, the oldest first."""
    found = select(ACTIONS.c.state).order_by(ACTIONS.c.position)
    return list(await work.run(lambda connection: connection.execute(found).scalars().all()))


async def test_whoever_follows_begins_when_what_was_under_way_has_ended(served: World) -> None:
    """A rolling restart: the old process is told to end while a target still takes what it was given."""
    served.recorder.gate.clear()
    stands_by = asyncio.Event()
    given: list[int] = []

    async def take_over() -> None:
        async with served.deployer(leads=False) as second:
            stands_by.set()
            await eventually(lambda: second.consumers[0].is_leading)
            given.append(len(served.recorder.given))

    async with served.deployer():
        await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        following = asyncio.create_task(take_over())
        await stands_by.wait()
        asyncio.get_running_loop().call_later(1.0, served.recorder.gate.set)
    await following
    assert given == [1]
    with closing(open_work(served.place)) as work:
        assert await states(work) == ["succeeded"]  # so nothing is done twice


async def test_what_another_process_has_brought_to_an_end_stays_so(served: World) -> None:
    """A process that slept while others worked awakes, works again, and writes down what it had in hand."""
    async with served.deployer():
        first = await served.serve(100)
        await served.reported((first, "edge", "succeeded"))
        newest = await served.serve(50, 50)
        await served.reported((newest, "edge", "succeeded"))

    def slept(connection: Connection) -> Action:
        row = connection.execute(select(ACTIONS).order_by(ACTIONS.c.position)).first()
        assert row is not None
        return action_of(row)

    def deployed(connection: Connection) -> Intent:
        return intent_of(connection.execute(select(DEPLOYED.c.intent)).scalar_one())

    with closing(open_work(served.place)) as work:
        action = await work.run(slept)
        for state in ("pending", "succeeded", "failed"):
            late = Conclusion(action, state, "it slept", "timed_out")
            await work.run(partial(conclude, conclusions=[late]))
        assert await states(work) == ["succeeded", "succeeded"]
        assert (await work.run(deployed)).change == newest


async def test_what_was_begun_under_another_attempt_is_recovered_beside_what_is_under_way(served: World) -> None:
    served.recorder.gate.clear()
    async with served.deployer() as deployer:
        await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        with closing(open_work(served.place)) as work:
            [(action, _)] = deployer.runner._busy.values()
            assert await work.run(lambda connection: ledger.recover(connection, [action])) == []
            assert await states(work) == ["running"]
            assert await work.run(ledger.recover) == [action]
            assert await states(work) == ["pending"]
        served.recorder.gate.set()


async def test_what_waits_is_replaced_or_begun_never_both(served: World, work_place: WorkPlace) -> None:
    """Of SQLite every transaction is alone; on PostgreSQL those of one deployer are."""
    read = served.app._store.read
    began, go_on = threading.Event(), threading.Event()
    with closing(open_work(work_place)) as work:
        work.migrate(orders.COMPONENT)
        taking = Taking(work, Deployments(lambda: None))
        await taking.claim(served.app._store.log_id, 0)
        await served.serve(100)
        await taking.take(read(1, 100))
        await served.serve(50, 50)

        def begin(connection: Connection) -> list[Action]:
            taking.check(connection)
            found = ledger.start(connection, 1e12, (), {}, 16)
            began.set()
            go_on.wait(0.5)
            return found

        beginning = asyncio.create_task(work.run(begin))
        await asyncio.to_thread(began.wait)
        await taking.take(read(taking.mark.position, 100))
        go_on.set()
        assert len(await beginning) == 1
        assert await states(work) == ["running", "pending"]


async def test_what_is_outdated_gives_way(served: World) -> None:
    served.recorder.failures = [TargetFailed("there is a newer one", code="outdated", retryable=False)]
    async with served.deployer():
        change = await served.serve(100)
        await eventually(served.reports)
    assert served.reports() == [(change, "edge", "superseded")]


async def test_a_target_that_hangs_keeps_no_other_target_waiting(served: World) -> None:
    stuck = [f"stuck{number}" for number in range(20)]
    for name in stuck:
        await served.endpoint(name)
    await served.endpoint("well", ["core"])
    served.recorder.held = set(stuck)
    served.recorder.gate.clear()
    async with served.deployer():
        for name in stuck:
            await served.serve(100, name=name)
        await eventually(lambda: served.recorder.entered == 16)
        change = await served.serve(100, name="well")
        await eventually(lambda: served.recorder.changes("well") == [change], 3.0)
        assert served.recorder.entered == 17
        served.recorder.gate.set()
        await eventually(lambda: served.recorder.entered == 21)
