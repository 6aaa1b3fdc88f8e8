"""A version may bring its model along: both come to be in one atomic set, or neither."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.registrar import registration, running

from regista.domain import commands as c
from regista.domain.errors import Invalid, NotFound, Refused
from regista.domain.metadata import Parent
from regista.store.mapper import AvroMapper


async def test_name_and_first_version_are_one_set_under_one_command(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        before = one.log.max_position()
        answer = await one.do(registration("Fraud", create=True), command_id="k")
        rows = one.log.read(before + 1, 10)
        assert [row.type for row in rows] == ["regista.model.registered.v1", "regista.version.registered.v1"]
        assert (answer.position, answer.answer["sequence"]) == (rows[1].position, 2)
        assert {AvroMapper().from_row(row).meta.command_id for row in rows} == {"k"}
        again = await one.do(registration("Fraud", create=True), command_id="k")
        assert (again.position, again.answer["replayed"]) == (answer.position, True)


async def test_a_model_that_is_there_gets_the_version_only(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud", owner="risk"))
        before = one.log.max_position()
        await one.do(registration("FRAUD", create=True))
        [row] = one.log.read(before + 1, 10)
        assert row.type == "regista.version.registered.v1"


@pytest.mark.parametrize(
    "refused",
    [
        registration("fraud", version="1.0", create=True),
        registration("fraud", metrics={}, create=True),
        registration("fraud", parents=(Parent("base", "1.0.0", "fine-tuned"),), create=True),
        registration("..", create=True),
    ],
    ids=["number", "metadata", "parent", "name"],
)
async def test_a_refused_version_takes_no_name(tmp_path: Path, refused: c.RegisterVersion) -> None:
    async with running(tmp_path) as one:
        before = one.log.max_position()
        with pytest.raises((Invalid, Refused)):
            await one.do(refused)
        assert one.log.max_position() == before
        assert (await one.do(c.RegisterModel("fraud"))).status == 201


async def test_without_create_a_new_name_is_unknown(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        with pytest.raises(NotFound):
            await one.do(registration("fraud"))


async def test_a_dry_run_shows_both_events(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        plan = await one.do(registration("fraud", create=True), dry_run=True)
        assert [(event["type"], event["sequence"]) for event in plan.answer["events"]] == [
            ("regista.model.registered.v1", 1),
            ("regista.version.registered.v1", 2),
        ]


async def test_32_clients_that_create_one_model_at_once_take_its_name_once(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        answers = await asyncio.gather(*(one.do(registration("fraud", n, create=True)) for n in range(32)))
        types = [row.type for row in one.log.load("model/fraud")]
        assert types.count("regista.model.registered.v1") == 1
        assert sorted(answer.answer["ordinal"] for answer in answers) == list(range(1, 33))
