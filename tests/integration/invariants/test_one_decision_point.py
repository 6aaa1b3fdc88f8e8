"""Invariant 1: an event exists only by conditional append; what a decision read is checked in the same append."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.support.registrar import Running, registrar_on, registration, running

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.errors import PreconditionFailed, Refused, Retired
from regista.store.postgres import PostgresLogStore

CLIENTS = 32
ROUNDS = 10


Database: TypeAlias = str | None


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine("postgres"))])
def database(request: pytest.FixtureRequest) -> Database:
    """Where the log is: a file of the test's own, or a database of its own."""
    if request.param == "sqlite":
        return None
    url: str = request.getfixturevalue("postgres_database")
    return url


@asynccontextmanager
async def another(one: Running, folder: Path, database: Database) -> AsyncIterator[Running]:
    """A second registrar on the same log. Only one process opens a file; a database takes another store."""
    log = one.log if database is None else PostgresLogStore(database)
    other = registrar_on(log, folder)
    try:
        yield other
    finally:
        await other.writer.close()
        if log is not one.log:
            log.close()


def sequences(one: Running, stream: str) -> list[int]:
    return [row.sequence for row in one.log.load(stream)]


async def test_32_clients_registering_on_one_model_get_contiguous_ordinals_and_distinct_numbers(
    tmp_path: Path, database: Database
) -> None:
    async with running(tmp_path, database) as one:
        await one.do(c.RegisterModel("fraud"))
        answers = await asyncio.gather(*(one.do(registration("fraud", n)) for n in range(CLIENTS)))
        assert sorted(a.answer["ordinal"] for a in answers) == list(range(1, CLIENTS + 1))
        assert len({a.answer["version"] for a in answers}) == CLIENTS
        assert sequences(one, "model/fraud") == list(range(1, CLIENTS + 2))


async def test_of_32_clients_moving_one_alias_with_expect_current_one_wins_each_round(
    tmp_path: Path, database: Database
) -> None:
    async with running(tmp_path, database) as one:
        await one.do(c.RegisterModel("fraud"))
        for n in range(3):
            await one.do(registration("fraud", n))
        await one.do(c.AssignAlias("fraud", "champion", "1"))
        for round_ in range(ROUNDS):
            current, following = str(round_ % 3 + 1), str((round_ + 1) % 3 + 1)
            move = c.AssignAlias("fraud", "champion", following, expect_current=current)
            results = await asyncio.gather(*(one.do(move) for _ in range(CLIENTS)), return_exceptions=True)
            assert sum(not isinstance(r, BaseException) for r in results) == 1
            assert sum(isinstance(r, PreconditionFailed) for r in results) == CLIENTS - 1
        assert sequences(one, "model/fraud") == list(range(1, 6 + ROUNDS))


async def test_of_32_clients_promoting_different_versions_one_holds_production_at_a_time(
    tmp_path: Path, database: Database
) -> None:
    async with running(tmp_path, database) as one:
        await one.do(c.RegisterModel("fraud"))
        for n in range(CLIENTS):
            await one.do(registration("fraud", n))
            await one.do(c.Promote("fraud", str(n + 1), "staging", keep_existing=True))
        moves = [one.do(c.Promote("fraud", str(n + 1), "production")) for n in range(CLIENTS)]
        holders: list[str] = []
        for answer in sorted([a.answer for a in await asyncio.gather(*moves)], key=lambda a: a["sequence"]):
            assert [d["version"] for d in answer["displaced"]] == holders
            holders = [answer["version"]]


async def test_two_registrars_on_one_log_never_take_the_same_number(tmp_path: Path, database: Database) -> None:
    async with running(tmp_path, database) as one, another(one, tmp_path, database) as other:
        await one.do(c.RegisterModel("fraud"))
        both = [who.do(registration("fraud", n)) for n in range(CLIENTS) for who in (one, other)]
        answers = await asyncio.gather(*both)
        assert len({a.answer["version"] for a in answers}) == 2 * CLIENTS
        assert sequences(one, "model/fraud") == list(range(1, 2 * CLIENTS + 2))


async def test_a_stale_memory_costs_a_retry_and_never_gives_a_wrong_answer(tmp_path: Path, database: Database) -> None:
    async with running(tmp_path, database) as one, another(one, tmp_path, database) as other:
        await one.do(c.RegisterModel("fraud"))
        await one.do(registration("fraud"))
        await other.do(c.AssignAlias("fraud", "champion", "1"))
        await one.do(c.RetireModel("fraud"))
        with pytest.raises(Retired):
            await other.do(registration("fraud", 1))


async def test_a_parent_read_by_the_decision_is_checked_in_the_append(tmp_path: Path, database: Database) -> None:
    async with running(tmp_path, database) as one, another(one, tmp_path, database) as other:
        for model in ("base", "child"):
            await one.do(c.RegisterModel(model))
            await other.do(c.UpdateModel(model, title=model))
        await other.do(registration("base"))  # the first registrar still believes that base has no version
        child = registration("child", 1, parents=(m.Parent("base", "1.0.0", "fine-tuned"),))
        answer = (await one.do(child)).answer
        assert answer["version"] == "1.0.0"


async def test_a_parent_must_exist_before_its_child(tmp_path: Path, database: Database) -> None:
    async with running(tmp_path, database) as one:
        await one.do(c.RegisterModel("child"))
        with pytest.raises(Refused) as refused:
            await one.do(registration("child", 1, parents=(m.Parent("base", "1.0.0", "fine-tuned"),)))
        assert [reason.field for reason in refused.value.reasons] == ["parents[0]"]
