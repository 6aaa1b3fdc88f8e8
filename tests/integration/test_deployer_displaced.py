"""A deployer that loses its place in the middle of a call: what it sent may come late, and nothing newer is there before."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, func, select
from tests.support.deploying import QUICK, Recorder, World, world
from tests.support.working import WorkPlace, eventually, open_work

from regista.deployer import ledger
from regista.deployer.actions import Action
from regista.deployer.attempts import wanted
from regista.deployer.deployer import Tempo
from regista.deployer.effects import Deployments
from regista.deployer.tables import HOLDS
from regista.deployer.targets.base import Registry, Target, TargetContext
from regista.domain import events as e
from regista.work import cursors, orders
from regista.work.database import Work
from regista.work.taking import Taking


@pytest.fixture
async def served(tmp_path: Path, work_place: WorkPlace) -> AsyncIterator[World]:
    """``prod/fraud`` on the target ``edge``, with nothing served yet."""
    async with world(tmp_path / "data", work_place) as made:
        await made.furnish()
        await made.endpoint()
        yield made


def holding(seconds: float, attempt: float = 60.0) -> Tempo:
    return replace(QUICK, pace=replace(QUICK.pace, hold=seconds, attempt=attempt))


async def begun_elsewhere(served: World, work: Work) -> Action:
    """A change that a process has begun to give to its target, which says no more from then on."""
    work.migrate(orders.COMPONENT)
    taking = Taking(work, Deployments(lambda: None))
    await taking.claim(served.app._store.log_id, 0)
    await served.serve(100)
    await taking.take(served.app._store.read(1, 1000))
    [action] = await work.run(lambda connection: ledger.start(connection, time.time(), (), {}, 16))
    return action


async def attempts(served: World) -> int:
    [logged] = served.events(e.DeploymentReported)
    assert isinstance(logged.event, e.DeploymentReported)
    return logged.event.attempts


async def test_what_may_still_come_from_another_process_comes_before_anything_newer(served: World) -> None:
    with closing(open_work(served.place)) as work:
        late = await begun_elsewhere(served, work)
    target = served.recorder.open(
        "recorder", TargetContext("edge", {}, {}, served.data, Registry("http://127.0.0.1:1"))
    )

    async def arrive() -> None:
        await asyncio.sleep(0.3)
        await target.apply(wanted(late.intent))

    async with served.deployer(holding(1.5)):
        newest = await served.serve(50, 50)
        arriving = asyncio.create_task(arrive())
        await served.reported((newest, "edge", "succeeded"), (late.intent.change, "edge", "superseded"))
        await arriving
    assert served.recorder.changes() == [late.intent.change, newest]


async def test_the_same_change_is_given_again_at_once_and_other_endpoints_wait_for_nothing(served: World) -> None:
    await served.endpoint("other", ["core"])
    with closing(open_work(served.place)) as work:
        left = await begun_elsewhere(served, work)
    async with served.deployer(holding(30.0)):
        await served.reported((left.intent.change, "edge", "succeeded"))
        other = await served.serve(100, name="other")
        await served.reported((other, "core", "succeeded"))


async def test_a_restart_meanwhile_forgets_nothing_and_who_says_that_its_call_has_ended_is_believed(
    served: World,
) -> None:
    await served.endpoint("other", ["core"])
    with closing(open_work(served.place)) as work:
        left = await begun_elsewhere(served, work)
        async with served.deployer(holding(30.0)):
            await served.reported((left.intent.change, "edge", "succeeded"))
        async with served.deployer(holding(30.0)):
            newest = await served.serve(50, 50)
            other = await served.serve(100, name="other")
            await served.reported((other, "core", "succeeded"))
            assert served.recorder.changes() == [left.intent.change]
            await work.run(lambda connection: ledger.step_aside(connection, [left]))
            await served.reported((newest, "edge", "succeeded"))


async def test_who_is_overtaken_breaks_its_call_off_and_says_so(served: World) -> None:
    served.recorder.gate.clear()
    async with served.deployer(holding(30.0)) as first:
        await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        await first.consumers[0]._leadership.release()  # as where the database ends the session of the lock
        async with served.deployer(holding(30.0), leads=False) as second:
            await eventually(lambda: second.consumers[0].is_leading)
            newest = await served.serve(50, 50)
            first.runner.wake()
            await eventually(lambda: not first.runner.busy)
            served.recorder.gate.set()
            await served.reported((newest, "edge", "succeeded"))
            assert served.recorder.changes() == [newest]


async def test_who_is_overtaken_and_told_to_end_says_so_too(served: World) -> None:
    served.recorder.gate.clear()
    tempo = holding(30.0)
    async with AsyncExitStack() as ending:
        short = replace(tempo, pace=replace(tempo.pace, grace=0.01))
        first = await ending.enter_async_context(served.deployer(short))
        await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        await first.consumers[0]._leadership.release()
        async with served.deployer(tempo, leads=False) as second:
            await eventually(lambda: second.consumers[0].is_leading)
            newest = await served.serve(50, 50)
            await ending.aclose()
            served.recorder.gate.set()
            await served.reported((newest, "edge", "succeeded"))


@asynccontextmanager
async def kept_from_everybody(place: WorkPlace) -> AsyncIterator[None]:
    """Nobody else can ask the work database who works."""
    locked, go_on = threading.Event(), threading.Event()

    def lock(connection: Connection) -> None:
        cursors.read(connection, "deployer", lock=True)
        locked.set()
        go_on.wait(8)

    with closing(open_work(place)) as work:
        locking = asyncio.create_task(work.run(lock))
        await asyncio.to_thread(locked.wait)
        try:
            yield
        finally:
            go_on.set()
            await locking


async def test_no_call_outlives_the_certainty_of_who_works(served: World) -> None:
    served.recorder.gate.clear()
    async with served.deployer(holding(1.0)):
        change = await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
        async with kept_from_everybody(served.place):
            await eventually(lambda: served.recorder.broken_off == 1, 3.0)
        served.recorder.gate.set()
        await served.reported((change, "edge", "succeeded"))
    assert await attempts(served) == 2


class Freezing(Recorder):
    """Freezes the process between the mark that something is under way and the call."""

    loop: asyncio.AbstractEventLoop

    def open(self, kind: str, context: TargetContext) -> Target:
        if not self.opened:
            self.loop.call_soon_threadsafe(time.sleep, 1.0)
        return super().open(kind, context)


async def test_who_was_frozen_before_a_call_asks_first_whether_it_still_works(served: World) -> None:
    served.recorder = recorder = Freezing()
    recorder.loop = asyncio.get_running_loop()
    async with served.deployer(holding(1.0)):
        change = await served.serve(100)
        await served.reported((change, "edge", "succeeded"))
    assert recorder.entered == 1
    assert await attempts(served) == 2


async def test_who_ends_in_order_leaves_nothing_to_wait_for(served: World) -> None:
    served.recorder.gate.clear()
    tempo = holding(30.0)
    async with served.deployer(replace(tempo, pace=replace(tempo.pace, grace=0.01))):
        await served.serve(100)
        await eventually(lambda: served.recorder.entered == 1)
    newest = await served.serve(50, 50)
    served.recorder.gate.set()
    async with served.deployer(tempo):
        await served.reported((newest, "edge", "succeeded"))
        with closing(open_work(served.place)) as work:
            held = await work.run(lambda c: c.execute(select(func.count()).select_from(HOLDS)).scalar_one())
    assert held == 0
