"""A registrar whose log is restored, or fails over, beneath it: what it remembers is not what its next event rests on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.registrar import registrar_on

from regista.domain import commands as c
from regista.store.command_sets import command_sets
from regista.store.sqlite import SQLiteLogStore
from regista.store.verify import verify


async def test_the_chain_holds_though_another_event_is_where_the_registrar_wrote_its_own(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with closing(SQLiteLogStore(tmp_path / "log")) as log:
        registrar = registrar_on(log, tmp_path / "log")
        await registrar.do(c.RegisterModel("fraud"))
        backed_up(tmp_path / "log" / "log.db", tmp_path / "copy" / "log.db")
        with closing(SQLiteLogStore(tmp_path / "copy")) as copy:
            await registrar_on(copy, tmp_path / "copy").do(c.RetireModel("fraud"), "what happened")
            await registrar.do(c.RetireModel("fraud"), "what did not")
            log.restore(2, command_sets(copy.read(3, 10)), log.log_id, end=log.max_position())
        await registrar.do(c.ReviveModel("fraud"))
        assert verify(log).problems == ()


def backed_up(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)
