"""The database stops, vanishes behind the network or is locked: what callers are told, and that nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Protocol

import psycopg
import pytest
from psycopg import errors
from tests.support.chained_log import Writer
from tests.support.postgres_server import PostgresServer
from tests.support.tcp_proxy import TcpProxy

from regista.domain.errors import Damaged, Unavailable
from regista.store.append import Duplicate
from regista.store.feed import StoreFeed
from regista.store.group_commit import GroupCommit
from regista.store.postgres import PostgresLogReader, PostgresLogStore
from regista.store.postgres.address import Address
from regista.store.postgres.faults import translate
from regista.store.verify import verify


class MakePostgres(Protocol):
    def __call__(self, *, durable: bool = False, **settings: object) -> PostgresServer: ...


@contextmanager
def session(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        yield connection


@pytest.mark.engine("postgres-native")
def test_a_server_that_is_killed_and_comes_back_is_used_again_without_reopening(own_postgres: MakePostgres) -> None:
    server = own_postgres(durable=True)
    with closing(PostgresLogStore(server.url)) as store:
        writer = Writer(store)
        assert writer.write("a") == 2
        server.kill()
        for act in (lambda: Writer(store).write("b"), store.max_position, store.check_writable):
            with pytest.raises(Unavailable) as gone:
                act()
            assert gone.value.code == "log_unavailable"
        server.start()
        assert [row.position for row in store.read(0, 10)] == [1, 2]
        store.check_writable()
        assert writer.write("a") == 3


class Commands:
    """A registrar's way to write: each command is repeated with its id until it is answered."""

    def __init__(self, store: PostgresLogStore) -> None:
        self.store = store
        self.writer = Writer(store)
        self.commits = GroupCommit(store)
        self.answered: dict[str, int] = {}
        self.grown = asyncio.Condition()

    async def forget(self, streams: set[str]) -> None:
        for stream in streams:
            self.writer.tips.pop(stream, None)

    async def carry_out(self, command: str, *models: str) -> None:
        while (position := await self._once(command, *models)) is None:  # noqa: ASYNC110 - a client that tries again
            await asyncio.sleep(0.01)
        self.answered[command] = position
        async with self.grown:
            self.grown.notify_all()

    async def reach(self, number: int) -> None:
        """Wait until so many are answered."""
        async with self.grown:
            await self.grown.wait_for(lambda: len(self.answered) >= number)

    async def _once(self, command: str, *models: str) -> int | None:
        key = self.writer.append_key(command)
        try:
            done = await self.commits.submit(
                lambda: self.writer.append(*models, command_id=command), self.forget, key=key
            )
        except Duplicate:
            with suppress(Unavailable):
                found = await asyncio.to_thread(self.store.find_command, *key.scoped)
                assert found is not None
                return found.position
            return None
        except Unavailable:
            return None
        return done.position


@pytest.mark.engine("postgres-native")
async def test_what_was_answered_survives_kills_of_the_server_and_nothing_is_there_twice(
    own_postgres: MakePostgres,
) -> None:
    server = own_postgres(durable=True)
    with closing(PostgresLogStore(server.url)) as store:
        commands = Commands(store)
        ended = asyncio.Event()

        async def caller(number: int) -> None:
            count = 0
            while not ended.is_set():
                count += 1
                await commands.carry_out(f"{number}-{count}", "shared", f"own-{number}")

        async with asyncio.timeout(90), asyncio.TaskGroup() as callers:
            for number in range(6):
                callers.create_task(caller(number))
            for _ in range(3):
                await commands.reach(len(commands.answered) + 60)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            ended.set()
        await commands.commits.close()
    with closing(PostgresLogReader(server.url)) as reader:
        assert verify(reader).ok
        shared = [row.position for row in reader.read(2, 1_000_000) if row.stream == "model/shared"]
        assert sorted(commands.answered.values()) == shared


@pytest.mark.engine("postgres")
def test_a_connection_that_is_cut_is_noticed_before_the_next_append(postgres_database: str) -> None:
    with proxied(postgres_database) as (proxy, url), closing(PostgresLogStore(url)) as store:
        writer = Writer(store)
        for position in range(2, 6):
            proxy.cut()
            assert writer.write("a") == position
            proxy.cut()
            assert store.max_position() == position


@pytest.mark.engine("postgres")
async def test_commits_whose_answer_was_lost_are_resolved_by_the_index(postgres_database: str) -> None:
    with proxied(postgres_database) as (proxy, url), closing(PostgresLogStore(url)) as store:
        commands = Commands(store)
        async with asyncio.timeout(90):
            for number in range(48):
                # Cut at another moment of each append: while connecting, before, in and after the commit.
                cut = threading.Timer(number % 12 * 0.0007, proxy.cut)
                cut.start()
                await commands.carry_out(f"command-{number}", "a")
                await asyncio.to_thread(cut.join)
        await commands.commits.close()
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert [row.sequence for row in reader.load("model/a")] == list(range(1, 49))
        assert verify(reader).ok


HOLDER = """
import sys
from regista.store.postgres.address import Address
from regista.store.postgres.datastore import LogDatastore
from regista.store.postgres.recorder import PostgresLogRecorder

with PostgresLogRecorder(LogDatastore(Address(sys.argv[1]))).writing() as connection:
    connection.execute("INSERT INTO regista.events VALUES (2, 'model/a', 1, 't', '')")
    connection.execute("SELECT 1").fetchone()
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.mark.engine("postgres")
def test_a_registrar_that_is_killed_within_an_append_leaves_neither_events_nor_lock(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database, lock_timeout=30)) as store:
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, postgres_database], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "holds\n"
            assert store.max_position() == 1
            holder.kill()
        assert Writer(store).write("a") == 2
        assert verify(store).ok


@contextmanager
def proxied(url: str) -> Iterator[tuple[TcpProxy, str]]:
    info = psycopg.conninfo.conninfo_to_dict(url)
    with TcpProxy(str(info["host"]), int(str(info["port"]))) as proxy:
        yield proxy, f"postgresql://{info['user']}@{proxy.address}/{info['dbname']}"


@pytest.mark.engine("postgres")
def test_a_database_that_may_only_be_read_says_so_and_is_read(postgres_database: str) -> None:
    PostgresLogStore(postgres_database).close()
    with session(postgres_database) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with closing(PostgresLogStore(postgres_database)) as store:
        for act in (lambda: Writer(store).write("a"), store.check_writable):
            with pytest.raises(Unavailable) as refused:
                act()
            assert refused.value.code == "log_read_only"
        assert store.max_position() == 1


@pytest.mark.engine("postgres")
def test_a_user_who_may_only_read_reads(postgres_database: str) -> None:
    PostgresLogStore(postgres_database).close()
    with session(postgres_database) as connection:
        connection.execute("DROP ROLE IF EXISTS regista_onlooker")
        connection.execute("CREATE ROLE regista_onlooker LOGIN PASSWORD 'onlooker'")
        connection.execute("GRANT USAGE ON SCHEMA regista TO regista_onlooker")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA regista TO regista_onlooker")
        info = connection.info
        url = f"postgresql://regista_onlooker:onlooker@{info.host}:{info.port}/{info.dbname}"
        with closing(PostgresLogStore(url)) as store:
            assert store.max_position() == 1
            with pytest.raises(Unavailable) as refused:
                Writer(store).write("a")
            assert refused.value.code == "log_read_only"
        connection.execute("DROP OWNED BY regista_onlooker")
        connection.execute("DROP ROLE regista_onlooker")


@pytest.mark.engine("postgres")
async def test_waiting_on_a_log_that_cannot_be_asked_ends_in_time(postgres_database: str) -> None:
    with proxied(postgres_database) as (proxy, url), closing(PostgresLogStore(url)) as store:
        feed = StoreFeed(store, poll=0.05)
        proxy.freeze()
        async with asyncio.timeout(5):
            await feed.wait(0, 0.3)
        proxy.thaw()
        async with asyncio.timeout(20):
            await feed.wait(0, 20)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (errors.DiskFull("could not extend file"), Unavailable, "log_full"),
        (errors.ReadOnlySqlTransaction("cannot execute"), Unavailable, "log_read_only"),
        (errors.InsufficientPrivilege("permission denied"), Unavailable, "log_read_only"),
        (errors.LockNotAvailable("canceling statement due to lock timeout"), Unavailable, "log_locked"),
        (errors.AdminShutdown("terminating connection"), Unavailable, "log_unavailable"),
        (psycopg.OperationalError("connection refused"), Unavailable, "log_unavailable"),
        (errors.DataCorrupted("invalid page in block 7"), Damaged, "damaged"),
        (errors.IndexCorrupted("index is corrupted"), Damaged, "damaged"),
    ],
)
def test_what_the_server_reports_says_what_to_do(error: psycopg.Error, kind: type[Exception], code: str) -> None:
    told = translate(error, Address("postgresql://ann:secret@db.example/regista"))
    assert isinstance(told, kind)
    assert (told.code, bool(told.hint)) == (code, True)
    assert "db.example/regista" in told.detail
    assert "secret" not in str(told)
