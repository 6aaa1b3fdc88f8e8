"""Chaos under steady writes over HTTP and Kafka: after each round Kafka is the log, views are a fold of it, answers hold.

Killed at random moments are relays, the registrar, projectors and brokers; relays are frozen and go on later, two at
once; connections are cut. A printed seed repeats a run: see ``tests.support.chaos.rounds``.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.fixtures.kafka import MakeBroker
from tests.fixtures.postgres import SharedPostgres
from tests.support.chaos.injuries import (
    cut,
    freeze_relay_beside_a_new_one,
    kill_broker,
    kill_projector,
    kill_registrar,
    kill_relay,
)
from tests.support.chaos.rounds import Figures, Order, rounds_of_soak, run
from tests.support.postgres_server import fresh_database

pytestmark = pytest.mark.engine("kafka-native")
FEW = 20
INJURIES = {
    "broker kills", "cuts", "projector kills", "registrar kills", "relay freezes", "relay kills", "silences",
    "takeovers from a frozen relay",
}  # fmt: skip


async def test_three_rounds_of_chaos_break_no_promise(own_broker: MakeBroker, tmp_path: Path) -> None:
    broker = await asyncio.to_thread(lambda: own_broker(proxied=True))
    plan = ((kill_relay, cut), (freeze_relay_beside_a_new_one, kill_projector), (kill_broker, kill_registrar))
    figures = await run(tmp_path, broker, Order(len(plan), injuries=plan))
    assert not figures.violations
    assert figures.did["takeovers from a frozen relay"]
    assert figures.tally.http_done > 10
    assert figures.tally.kafka_done > 3


@pytest.mark.soak
async def test_hundreds_of_rounds_of_chaos_break_no_promise(own_broker: MakeBroker, tmp_path: Path) -> None:
    broker = await asyncio.to_thread(lambda: own_broker(proxied=True))
    figures = await run(tmp_path, broker, Order(rounds_of_soak(300), long_ones=True))
    assert not figures.violations
    was_worth_it(figures, INJURIES)


@pytest.mark.soak
async def test_chaos_with_a_broker_of_three_killed_in_every_round_breaks_no_promise(
    own_broker: MakeBroker, tmp_path: Path
) -> None:
    broker = await asyncio.to_thread(lambda: own_broker(3, proxied=True))
    figures = await run(tmp_path, broker, Order(rounds_of_soak(60), always=kill_broker))
    assert not figures.violations
    assert figures.did["broker kills"] >= figures.rounds
    was_worth_it(figures, INJURIES - {"silences"})


@pytest.mark.soak
@pytest.mark.engine("postgres")
async def test_chaos_with_two_registrars_on_postgresql_breaks_no_promise(
    own_broker: MakeBroker, postgres: SharedPostgres, tmp_path: Path
) -> None:
    broker = await asyncio.to_thread(lambda: own_broker(proxied=True))
    with ExitStack() as stack:
        order = Order(
            rounds_of_soak(60), long_ones=True, database=lambda: stack.enter_context(fresh_database(postgres.url))
        )
        figures = await run(tmp_path, broker, order)
    assert not figures.violations
    was_worth_it(figures, INJURIES)


def was_worth_it(figures: Figures, injuries: set[str]) -> None:
    """Every kind of injury happened, and enough was written and done all the while: else nothing was shown.

    A run that repeats a few rounds of another shows those alone.
    """
    if figures.rounds < FEW:
        return
    assert {name for name in injuries if not figures.did[name]} == set()
    assert figures.tally.http_done > 20 * figures.rounds
    assert figures.tally.kafka_done > 5 * figures.rounds
    assert figures.held["fences"] > figures.rounds / 2
