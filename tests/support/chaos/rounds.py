"""Rounds of chaos: injure under load, wait until all is drained, check everything, tell.

A round depends on its seed alone, as far as processes and networks allow: ``REGISTA_CHAOS_SEED`` repeats a run,
``REGISTA_CHAOS_FIRST`` begins it at a round, ``REGISTA_CHAOS_ROUNDS`` says how many there are.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

import httpx
from tests.support.chaos import checker
from tests.support.chaos.injuries import Injury, chosen, inflict
from tests.support.chaos.load import Load, Tally
from tests.support.chaos.reading import Reader, Tail, read
from tests.support.chaos.world import World
from tests.support.own_broker import OwnBroker

AFTERWARDS = 10
"""Writes that are still done over HTTP, and over Kafka, when all that was injured is back."""
DRAINED_WITHIN = 120.0
ANSWERED_WITHIN = 90.0
READERS: tuple[Reader, Reader] = ("librdkafka", "aiokafka")


@dataclass
class Figures:
    """What a run did and found."""

    seed: str
    rounds: int = 0
    held: Counter[str] = field(default_factory=Counter)
    drained: list[float] = field(default_factory=list)
    did: Counter[str] = field(default_factory=Counter)
    tally: Tally = field(default_factory=Tally)
    violations: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def line(self) -> str:
        """All of it on one line."""
        tally, drained = self.tally, sorted(self.drained) or [0.0]
        did = ", ".join(f"{number} {name}" for name, number in sorted(self.did.items()))
        return (
            f"chaos: seed {self.seed}, {self.rounds} rounds in {time.monotonic() - self.began:.0f} s; {did}; "
            f"{tally.http_done} + {tally.http_refused} writes done + refused over HTTP, "
            f"{tally.kafka_done} + {tally.kafka_refused} over Kafka, {tally.retries} repeated; "
            f"{self.held['commands']} commands on Kafka, {self.held['events']} events, {self.held['fences']} relays fenced; "
            f"answered and drained within {drained[len(drained) // 2]:.1f} s "
            f"(median), {drained[-1]:.1f} s (longest); {len(self.violations)} violations"
        )


@dataclass(frozen=True)
class Order:
    """What a run is to be like. ``injuries`` are those of each round where they are not left to chance.

    ``always`` is inflicted in every round; ``of_one_log`` rounds go on with the same log; logs take turns with what they
    ``acknowledge``. ``database`` makes an empty database in PostgreSQL for each.
    """

    rounds: int
    seed: str = field(default_factory=lambda: environ.get("REGISTA_CHAOS_SEED") or str(random.randrange(10**9)))
    first: int = field(default_factory=lambda: int(environ.get("REGISTA_CHAOS_FIRST", "0")))
    of_one_log: int = 20
    injuries: Sequence[Sequence[Injury]] = ()
    always: Injury | None = None
    long_ones: bool = False
    relay: str = "relay"
    acknowledge: tuple[str, str] = ("log", "kafka")
    database: Callable[[], str] | None = None


def rounds_of_soak(default: int) -> int:
    """How many rounds a long run has."""
    return int(environ.get("REGISTA_CHAOS_ROUNDS", default))


async def run(folder: Path, broker: OwnBroker, order: Order) -> Figures:
    """Rounds until all are done or one finds something."""
    figures = Figures(order.seed)
    print(f"chaos: seed {order.seed}, rounds {order.first} to {order.first + order.rounds - 1}", flush=True)
    numbers = range(order.first, order.first + order.rounds)
    for begin in numbers[:: order.of_one_log]:
        ours = [number for number in numbers if begin <= number < begin + order.of_one_log]
        world = World(
            folder / f"log-{begin}",
            broker,
            f"c{begin}",
            acknowledge=order.acknowledge[begin // order.of_one_log % 2],
            relay=order.relay,
            database=order.database() if order.database else None,
        )
        try:
            await asyncio.to_thread(world.start)
            await _rounds_of_a_log(world, order, ours, figures)
            for complaint, number in world.complaints().items():
                print(f"{number} times in its log, {complaint}", flush=True)
        finally:
            await asyncio.to_thread(world.close)
        if figures.violations:
            break
    print(figures.line(), flush=True)
    return figures


async def _rounds_of_a_log(world: World, order: Order, numbers: Sequence[int], figures: Figures) -> None:
    load = Load(world, f"{order.seed}.{numbers[0]}", figures.tally)
    topics = (world.topics.events, world.topics.commands, world.topics.results, world.topics.dead_letters)
    with Tail(world.direct, topics) as tail:
        async with load.opened():
            before: Counter[str] = Counter()
            for number in numbers:
                chance = random.Random(f"{order.seed}.{number}")
                planned = order.injuries[number - order.first] if order.injuries else ()
                injuries = planned or chosen(chance, always=order.always, long_ones=order.long_ones)
                began, held = time.monotonic(), before
                try:
                    found = await _round(world, load, tail, injuries, chance, figures)
                    if not found:
                        found, held = await _check(world, load, tail, READERS[number % 2])
                    if not found and number == numbers[-1]:
                        found = await _asked(world)
                except Exception as error:  # noqa: BLE001 - what did not come back is a violation, and the others are told
                    found = [f"the round did not end: {error!r}"]
                figures.rounds += 1
                figures.held += held - before
                before = held
                _tell(number, injuries, time.monotonic() - began, figures, held["events"])
                if found:
                    figures.violations += [f"seed {order.seed}, round {number}: {one}" for one in found]
                    print("\n".join([*figures.violations, world.describe()]), flush=True)
                    return


def _tell(number: int, injuries: Sequence[Injury], seconds: float, figures: Figures, events: int) -> None:
    names = ", ".join(getattr(injury, "__name__", "?") for injury in injuries)
    waited = figures.drained[-1] if figures.drained else 0.0
    took = f"{seconds:.1f} s, {waited:.1f} s of them to answer and drain"
    print(f"round {number} [{names}] {took}; {events} events in the log", flush=True)


async def _round(
    world: World, load: Load, tail: Tail, injuries: Sequence[Injury], chance: random.Random, figures: Figures
) -> list[str]:
    """Injure under load, then wait until nothing is left to do; what was never done is a violation."""
    load.begin()
    await inflict(world, injuries, chance, figures.did)
    wrong = await load.answered(AFTERWARDS, ANSWERED_WITHIN)
    await asyncio.sleep(chance.uniform(0.1, 0.6))
    began = time.monotonic()
    wrong += await load.quiesce(ANSWERED_WITHIN)
    while not wrong and (left := await asyncio.to_thread(_left, world, tail)):
        if time.monotonic() - began > DRAINED_WITHIN:
            wrong.append(f"not drained within {DRAINED_WITHIN:g} s: {left}")
        await asyncio.sleep(0.1)
    figures.drained.append(time.monotonic() - began)
    return wrong


def _left(world: World, tail: Tail) -> str:
    """What is still under way; empty when everything has come through."""
    end, seen = world.store.end(), tail.seen
    last = dict(seen[world.topics.events][-1].headers).get("ce_position") if seen[world.topics.events] else b"0"
    if last != str(end).encode():
        return f"events: Kafka has them up to {last!r}, the log up to {end}"
    told = len(seen[world.topics.results]) + len(seen[world.topics.dead_letters])
    if told < len(seen[world.topics.commands]):
        return f"results: {told} of {len(seen[world.topics.commands])}"
    shown = world.store.view_positions()
    return "" if shown == {end} else f"views: {shown}, the log is at {end}"


async def _check(world: World, load: Load, tail: Tail, reader: Reader) -> tuple[list[str], Counter[str]]:
    """Everything that was promised."""
    topics = world.topics
    followed = tail.seen
    names = (topics.events, topics.commands, topics.results, topics.dead_letters, topics.relay)
    seen = await read(world.direct, names, reader)
    copy = await asyncio.to_thread(world.store.copy)
    wrong = checker.events(copy, seen[topics.events])
    notes = [json.loads(note.value or b"{}") for note in seen[topics.relay]]
    wrong += checker.checkpoints(copy, notes)
    for name in names[:-1]:
        wrong += checker.followed(followed[name], seen[name])
    wrong += checker.results(copy, seen[topics.commands], seen[topics.results], seen[topics.dead_letters])
    wrong += checker.answers(copy, load.answers)
    wrong += await asyncio.to_thread(checker.chain, world.store)
    wrong += await checker.views(world.store)
    wrong += tail.errors
    held = {
        "events": len(copy.events),
        "commands": len(seen[topics.commands]),
        "fences": sum(note["kind"] == "barrier" and note["outbox"] == "events" for note in notes),
    }
    return wrong, Counter(held)


async def _asked(world: World) -> list[str]:
    """What the registry says of itself: a rebuild gives the same views, and both copies of the log agree."""
    async with httpx.AsyncClient(base_url=world.urls[0], timeout=120) as client:
        rebuilt = (await client.post("/v1/admin/rebuild")).json()
        verified = (await client.post("/v1/admin/verify", params={"kafka": True})).json()
    wrong = [] if rebuilt.get("equal") else [f"the rebuild that was asked for: {rebuilt}"]
    return wrong if verified.get("ok") else [*wrong, f"verify --kafka: {verified}"]
