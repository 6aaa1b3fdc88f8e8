"""Snapshots spare a fold, and are believed only where the log confirms them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.support.registrar import Running, registration, running

from regista.domain import commands as c
from regista.domain.context import State
from regista.domain.model import EMPTY, ModelState, fold
from regista.domain.model.snapshot import from_plain, to_plain
from regista.registrar import snapshots, states
from regista.store.mapper import AvroMapper


async def busy(one: Running) -> None:
    """A history that fills every part of the state."""
    await one.do(c.RegisterModel("fraud", owner="risk"))
    for n in range(4):
        await one.do(registration("fraud", n))
        await one.do(c.Promote("fraud", str(n + 1), "staging"))
        await one.do(c.Promote("fraud", str(n + 1), "production", keep_existing=n == 1))
    await one.do(c.RollBack("fraud"))
    await one.do(c.AssignAlias("fraud", "champion", "2"))
    await one.do(c.AssignAlias("fraud", "gone", "3"))
    await one.do(c.RemoveAlias("fraud", "gone"))
    await one.do(c.ReportCheck("fraud", "1", "bias", "failed"))


def folded(one: Running) -> ModelState:
    mapper = AvroMapper()
    return fold((mapper.from_row(row).event for row in one.log.load("model/fraud")), EMPTY)


def as_plain(state: State) -> object:
    assert isinstance(state, ModelState)
    return to_plain(state)


async def test_a_state_survives_the_way_through_a_snapshot(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await busy(one)
        state = folded(one)
        back = from_plain(to_plain(state))
        assert back is not None
        assert as_plain(back) == as_plain(state)
        assert back.stage("production").current == state.stage("production").current
        assert fold([], back).versions[1] == state.versions[1]


async def test_a_snapshot_of_another_format_is_not_read(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await busy(one)
        assert from_plain(to_plain(folded(one)) | {"format": 0}) is None


async def test_a_load_from_a_snapshot_gives_the_state_of_the_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(states, "WORTHWHILE", 1)
    async with running(tmp_path) as one:
        await busy(one)
        await one.registrar.save_snapshots()
        await one.do(c.UpdateModel("fraud", title="Fraud"))
        store = snapshots.Snapshots(tmp_path / "snapshots.db")
        taken = store.load("model/fraud")
        assert taken is not None
        assert taken.state.sequence == folded(one).sequence - 1
        again = states.States(one.log, AvroMapper(), store)
        await again.ensure(["model/fraud"])
        loaded = again.get("model/fraud")
        assert loaded is not None
        assert as_plain(loaded.state) == as_plain(folded(one))
        store.close()


@pytest.mark.parametrize("damage", ["UPDATE snapshots SET hash = x'00'", "UPDATE snapshots SET state = x'7b'"])
async def test_a_snapshot_that_the_log_does_not_confirm_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setattr(states, "WORTHWHILE", 1)
    async with running(tmp_path) as one:
        await busy(one)
        await one.registrar.save_snapshots()
        with sqlite3.connect(tmp_path / "snapshots.db") as connection:
            connection.execute(damage)
        connection.close()
        store = snapshots.Snapshots(tmp_path / "snapshots.db")
        again = states.States(one.log, AvroMapper(), store)
        await again.ensure(["model/fraud"])
        loaded = again.get("model/fraud")
        assert loaded is not None
        assert as_plain(loaded.state) == as_plain(folded(one))
        store.close()


async def test_a_snapshot_file_that_is_none_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "snapshots.db").write_bytes(b"no database" * 1000)
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"))
        await one.registrar.save_snapshots()
        assert folded(one).exists
