"""Subscribing to a running registry: over its event stream, through its restarts, from a stored position."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from tests.support.server import RunningServer, running_server

import regista
from regista.domain.events import LogCreated, ModelRegistered

T = TypeVar("T")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry"), stream_heartbeat=0.2) as running:
        yield running


async def take(events: AsyncIterator[T], count: int) -> list[T]:
    async with asyncio.timeout(20):
        return [await anext(events) for _ in range(count)]


def create(url: str, *names: str, actor: str = "ci") -> int:
    """Register models; the position of the last."""
    with regista.Client(url, actor=actor) as client:
        return [client.create_model(name).position for name in names][-1]


async def written(url: str, *names: str, actor: str = "ci") -> int:
    return await asyncio.to_thread(create, url, *names, actor=actor)


async def test_events_are_typed(server: RunningServer) -> None:
    await written(server.url, "fraud")
    async with regista.Subscriber(server.url, from_="start") as subscribed:
        first = (await take(aiter(subscribed), 1))[0]
    async with regista.Subscriber(server.url, from_="start", models="Fraud") as subscribed:
        second = (await take(aiter(subscribed), 1))[0]
    assert isinstance(first.data, LogCreated)
    assert first.data.log_id == first.log_id == second.log_id
    assert isinstance(second.data, ModelRegistered)
    assert (second.data.model, second.stream, second.sequence, second.actor) == ("fraud", "model/fraud", 1, "ci")
    assert second.time.tzinfo is not None


async def test_without_a_position_it_begins_at_the_end_and_then_where_it_was(
    server: RunningServer, tmp_path: Path
) -> None:
    await written(server.url, "a")
    positions = regista.FilePositions(tmp_path / "position")
    async with regista.Subscriber(server.url, positions=positions):
        pass
    end = await written(server.url, "b", "c")
    for expected in (["b"], ["c"]):
        positions = regista.FilePositions(tmp_path / "position")
        async with regista.Subscriber(server.url, positions=positions) as subscribed:
            found = await take(aiter(subscribed), 1)
            assert names(found) == expected
            await found[-1].done()
    assert found[-1].position == end


@pytest.mark.parametrize("back", [0, 1, 2])
async def test_it_begins_behind_the_position_that_it_is_told(server: RunningServer, back: int) -> None:
    begin = await written(server.url, *(f"told-{back}-{number}" for number in range(3))) - back
    await written(server.url, f"told-{back}")
    async with regista.Subscriber(server.url, from_=begin) as subscribed:
        assert subscribed.position == begin
        assert (await take(aiter(subscribed), 1))[0].position == begin + 1


async def test_it_does_not_begin_where_the_log_is_not_yet(server: RunningServer) -> None:
    with pytest.raises(regista.BeyondLog):
        async with regista.Subscriber(server.url, from_=10_000):
            pass


async def test_the_registry_filters_and_the_position_goes_on_all_the_same(
    server: RunningServer, tmp_path: Path
) -> None:
    positions = regista.FilePositions(tmp_path / "position")
    async with regista.Subscriber(server.url, positions=positions, from_="start", actors="ann") as subscribed:
        end = await written(server.url, "x", "y")
        waiting = asyncio.ensure_future(take(aiter(subscribed), 1))
        await reached(lambda: subscribed._arrivals.passed.position >= end)
        mine = await written(server.url, "z", actor="ann")
        (found,) = await waiting
        assert found.position == mine
        await found.done()
    async with regista.Subscriber(server.url, positions=regista.FilePositions(tmp_path / "position")) as again:
        assert again.position == mine


async def test_it_goes_on_through_restarts_of_the_registry(tmp_path: Path, unused_tcp_port: int) -> None:
    with running_server(tmp_path / "data", port=unused_tcp_port) as server:
        async with regista.Subscriber(server.url, from_="start", types="model.registered") as subscribed:
            await written(server.url, "a")
            assert names(await take(aiter(subscribed), 1)) == ["a"]
            waiting = asyncio.ensure_future(take(aiter(subscribed), 2))
            for name, end in (("b", server.kill), ("c", server.terminate)):
                await asyncio.to_thread(end)
                await asyncio.to_thread(server.restart)
                await written(server.url, name)
            assert names(await waiting) == ["b", "c"]


async def test_another_log_and_one_that_lost_events_are_told_from_the_one_it_knows(tmp_path: Path) -> None:
    positions = regista.MemoryPositions()
    with running_server(tmp_path / "data") as server:
        server.terminate()
        shutil.copytree(server.data, tmp_path / "backup")
        server.restart()
        await written(server.url, "a")
        async with regista.Subscriber(server.url, positions=positions):
            pass
    with running_server(tmp_path / "backup") as restored:
        assert await refusal(restored.url, positions) == "log_diverged"  # it ends before that position
        await written(restored.url, "b")
        assert await refusal(restored.url, positions) == "log_diverged"  # it has another event there
    with running_server(tmp_path / "new") as other:
        assert await refusal(other.url, positions) == "another_log"


async def refusal(url: str, positions: regista.Positions) -> str:
    with pytest.raises(regista.Refused) as refused:
        async with regista.Subscriber(url, positions=positions) as subscribed:
            await take(aiter(subscribed), 1)
    assert "stored position" in (refused.value.hint or "")
    return refused.value.code


async def test_a_registry_that_falls_silent_is_left(server: RunningServer) -> None:
    async with regista.Subscriber(server.url, silence=0.05) as subscribed:
        waiting = asyncio.ensure_future(take(aiter(subscribed), 1))
        await reached(lambda: subscribed._outage._attempts > 0)  # the heartbeat of 0.2 s is too slow for it
        await written(server.url, "loud")
        assert names(await waiting) == ["loud"]


async def test_a_token_that_is_wrong_is_not_waited_for(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", token="the-token-of-this-test") as server:
        subscribed = regista.Subscriber(server.url, token="the-token-of-another")
        with pytest.raises(regista.Unauthenticated):
            await subscribed.__aenter__()


async def reached(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not so():  # noqa: ASYNC110 - a condition of the code under test, which sets no event
            await asyncio.sleep(0.005)


def names(found: list[regista.LoggedEvent]) -> list[str]:
    return [one.data.model for one in found if isinstance(one.data, ModelRegistered)]
