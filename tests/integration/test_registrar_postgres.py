"""A registrar whose log is on another machine: while that does not answer, everything else goes on."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import psycopg
import pytest
from tests.support.registrar import registration, running
from tests.support.tcp_proxy import TcpProxy

from regista.domain import commands as c
from regista.domain.errors import KeyReused, Refused

pytestmark = pytest.mark.engine("postgres")


async def test_the_event_loop_goes_on_while_the_database_says_nothing(tmp_path: Path, postgres_database: str) -> None:
    info = psycopg.conninfo.conninfo_to_dict(postgres_database)
    with TcpProxy(str(info["host"]), int(str(info["port"]))) as proxy:
        url = f"postgresql://{info['user']}@{proxy.address}/{info['dbname']}"
        async with running(tmp_path, url) as one:
            await one.do(c.RegisterModel("fraud"))
            proxy.freeze()
            rescue = threading.Timer(5, proxy.thaw)  # of a loop that stands still
            rescue.start()
            waiting = [
                asyncio.create_task(one.do(registration("fraud"), command_id="new")),
                asyncio.create_task(one.do(c.RegisterModel("fraud"), command_id="taken")),
                asyncio.create_task(one.registrar.find("ann", "unknown")),
            ]
            loop = asyncio.get_running_loop()
            late = 0.0
            for _ in range(30):
                due = loop.time() + 0.01
                await asyncio.sleep(0.01)
                late = max(late, loop.time() - due)
            assert not [task for task in waiting if task.done()]
            assert late < 2, "the loop stood still"
            rescue.cancel()
            proxy.thaw()
            async with asyncio.timeout(20):
                done, refused, unknown = await asyncio.gather(*waiting, return_exceptions=True)
        assert not isinstance(done, BaseException)
        assert isinstance(refused, Refused)
        assert unknown is None


async def test_a_repeated_command_is_answered_as_the_first_time_by_any_registrar(
    tmp_path: Path, postgres_database: str
) -> None:
    async with running(tmp_path / "one", postgres_database) as one, running(tmp_path / "two", postgres_database) as two:
        await one.do(c.RegisterModel("fraud"))
        first = await one.do(registration("fraud"), command_id="c-1")
        again = await two.do(registration("fraud"), command_id="c-1")
        assert again.answer["position"] == first.answer["position"]
        assert again.answer["hash"] == first.answer["hash"]
        with pytest.raises(KeyReused):
            await two.do(registration("fraud", 1), command_id="c-1")
        both = await asyncio.gather(*(who.do(registration("fraud", 2), command_id="c-2") for who in (one, two)))
        assert len({outcome.answer["position"] for outcome in both}) == 1
