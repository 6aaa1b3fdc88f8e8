"""How long a deployer believes that it is the one that works: by whichever clock says that more time has passed."""

from __future__ import annotations

import asyncio
import time

import pytest

from regista.deployer.lease import Lease, Moment


def cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


class Clocks:
    def __init__(self) -> None:
        self.running = self.wall = 100.0

    def now(self) -> Moment:
        return Moment(self.running, self.wall)


@pytest.mark.parametrize("clock", ["running", "wall"])
async def test_a_lease_ends_by_either_clock_and_begins_with_the_question(clock: str) -> None:
    clocks = Clocks()
    lease = Lease(5.0, lambda: None, clocks.now)
    assert not lease.holds
    asked = lease.asks()
    setattr(clocks, clock, 104.0)
    lease.confirm(asked)
    assert lease.holds
    setattr(clocks, clock, 105.0)
    assert not lease.holds
    lease.end()


async def test_who_waits_is_broken_off_before_it_goes_on_behind_a_freeze() -> None:
    """What a waiter waits for happens during the freeze: it is not to be the first to be told."""
    clocks, went_on = Clocks(), []
    happens: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def call() -> None:
        await happens
        went_on.append(True)

    waiter = asyncio.create_task(call())
    lease = Lease(0.05, lambda: cancel(waiter), clocks.now)
    lease.confirm(lease.asks())
    await asyncio.sleep(0)
    clocks.running = 200.0
    time.sleep(0.1)  # noqa: ASYNC251 - nothing else is to happen
    asyncio.get_running_loop().call_soon(happens.set_result, None)
    await asyncio.wait([waiter])
    assert waiter.cancelled()
    assert went_on == []


async def test_an_answer_puts_the_end_off() -> None:
    clocks, ended = Clocks(), asyncio.Event()
    lease = Lease(0.05, ended.set, clocks.now)
    lease.confirm(lease.asks())
    clocks.running = 100.04
    lease.confirm(lease.asks())
    await asyncio.sleep(0.06)
    assert not ended.is_set()
    clocks.running = 101.0
    async with asyncio.timeout(5.0):
        await ended.wait()
    assert not lease.holds
