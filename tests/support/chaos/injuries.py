"""What is done to a registry under load. Each injury heals what it hurt before it is over."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from tests.support.chaos.world import PROJECTORS, RELAYS, World

Injury: TypeAlias = Callable[[World, random.Random, "Counter[str]"], Awaitable[None]]
LATEST = 2.0
"""Seconds of load before an injury, at most."""
LONG = 30.0
"""Seconds that a relay stays frozen in the rounds that are long."""
AWAY = 2.0


async def kill_relay(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Kill a relay, or both, once or a few times."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        victims = chance.choice((RELAYS[:1], RELAYS[1:], RELAYS))
        await _kill(world, victims, chance)
        did["relay kills"] += len(victims)
        await asyncio.sleep(chance.uniform(0, 0.5))


async def kill_registrar(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Kill the process that decides, or one of them."""
    await _kill(world, [chance.choice(world.registrars)], chance)
    did["registrar kills"] += 1


async def kill_projector(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Kill one of the projectors."""
    await _kill(world, [chance.choice(PROJECTORS)], chance)
    did["projector kills"] += 1


async def kill_broker(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Kill a node of the cluster, and start it again."""
    node = chance.choice(world.broker.nodes)
    await asyncio.to_thread(node.kill)
    did["broker kills"] += 1
    await asyncio.sleep(chance.uniform(0, AWAY))
    await asyncio.to_thread(node.start)


async def freeze_relay(
    world: World, chance: random.Random, did: Counter[str], *, seconds: float | None = None, rival: bool = False
) -> None:
    """Freeze the relay that publishes, while the other may take over, and let it go on with what it had in hand."""
    frozen, other = chance.sample(RELAYS, 2)
    if (await asyncio.to_thread(world.relay_stands, other))[0] == "leading":
        frozen, other = other, frozen
    world.freeze(frozen)
    did["relay freezes"] += 1
    end = await asyncio.to_thread(world.store.end)
    try:
        if rival or chance.random() < 0.5:
            await _kill(world, [other], chance)  # a new one fences at once
            did["relay kills"] += 1
        await asyncio.sleep(chance.uniform(2, 9) if seconds is None else seconds)
        taken = (await asyncio.to_thread(world.relay_stands, other))[1] > end
        deadline = asyncio.get_running_loop().time() + LONG
        while rival and not taken and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.2)
            taken = (await asyncio.to_thread(world.relay_stands, other))[1] > end
        did["takeovers from a frozen relay"] += taken
    finally:
        world.thaw(frozen)


async def freeze_relay_for_long(world: World, chance: random.Random, did: Counter[str]) -> None:
    """As ``freeze_relay``, for half a minute."""
    await freeze_relay(world, chance, did, seconds=LONG)


async def freeze_relay_beside_a_new_one(world: World, chance: random.Random, did: Counter[str]) -> None:
    """As ``freeze_relay``, until the other one, which has just started, has taken over."""
    await freeze_relay(world, chance, did, seconds=3.0, rival=True)


async def cut(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Cut all connections to Kafka and to the API, again and again."""
    for _ in range(chance.randrange(1, 8)):
        await asyncio.to_thread(world.broker.cut)
        if chance.random() < 0.5:
            await asyncio.to_thread(chance.choice(world.fronts).cut)
        did["cuts"] += 1
        await asyncio.sleep(chance.uniform(0, 0.5))


async def hold_back(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Let the network to Kafka swallow everything for a while."""
    for proxy in world.broker.proxies:
        proxy.freeze()
    did["silences"] += 1
    try:
        await asyncio.sleep(chance.uniform(0.2, 6))
    finally:
        for proxy in world.broker.proxies:
            proxy.thaw()


async def quarrel(world: World, chance: random.Random, did: Counter[str]) -> None:
    """Start one relay after the other anew, so that each fences the one before."""
    for victim in RELAYS * chance.choice((1, 2)):
        await _kill(world, [victim], chance, wait=0)
        did["relay kills"] += 1


EVERY: Sequence[Injury] = (
    kill_relay,
    kill_registrar,
    kill_projector,
    kill_broker,
    freeze_relay,
    cut,
    hold_back,
    quarrel,
)
_APART = ({freeze_relay, kill_relay, quarrel}, {freeze_relay_for_long, kill_relay, quarrel})
"""Of each of these one at a time: they hurt the same processes."""


def chosen(chance: random.Random, *, always: Injury | None = None, long_ones: bool = False) -> list[Injury]:
    """One to three injuries of a round, that go on at the same time."""
    found = chance.sample(EVERY, chance.choice((1, 2, 2, 3)))
    if always is not None and always not in found:
        found.append(always)
    if long_ones and freeze_relay in found and chance.random() < 0.2:
        found[found.index(freeze_relay)] = freeze_relay_for_long
    for apart in _APART:
        rivals = [injury for injury in found if injury in apart]
        found = [injury for injury in found if injury not in rivals[1:]]
    return found


async def inflict(world: World, injuries: Sequence[Injury], chance: random.Random, did: Counter[str]) -> None:
    """All of them, each at a moment of its own; return when everything is there again."""

    async def one(injury: Injury, own: random.Random) -> None:
        await asyncio.sleep(own.uniform(0, LATEST))
        await injury(world, own, did)

    await asyncio.gather(*(one(injury, random.Random(chance.random())) for injury in injuries))


async def _kill(world: World, victims: Sequence[str], chance: random.Random, wait: float = AWAY) -> None:
    await asyncio.gather(*(world.kill(victim) for victim in victims))
    await asyncio.sleep(chance.uniform(0, wait))
    await asyncio.gather(*(world.restart(victim) for victim in victims))
