"""Several registrars on one database: each place in a stream has one winner, and whoever follows the log misses nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from threading import Barrier

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from tests.support.chained_log import Writer

from regista.domain.chain import Row
from regista.store.append import Append, CommandKey, Conflict
from regista.store.feed import StoreFeed
from regista.store.group_commit import GroupCommit
from regista.store.postgres import PostgresLeadership, PostgresLogReader, PostgresLogStore, PostgresWakeup
from regista.store.verify import verify

pytestmark = pytest.mark.engine("postgres")

WRITERS = 5
ROUNDS = 25


def test_one_writer_wins_each_round_and_the_others_are_told(postgres_database: str) -> None:
    start = Barrier(WRITERS, timeout=30)

    def race(writer: int) -> list[bool]:
        won: list[bool] = []
        with closing(PostgresLogStore(postgres_database, lock_timeout=30)) as store:
            for number in range(1, ROUNDS + 1):
                # Each writes to its own stream and to the shared one.
                own = StoredEvent(f"model/{writer}", sum(won) + 1, "t", b"own")
                row = StoredEvent("model/shared", number, "t", str(writer).encode())
                command = CommandKey(f"writer-{writer}", f"command-{number}", bytes(32))
                start.wait()
                try:
                    store.append([Append((own, row), command, {"policy/none": 0})])
                except Conflict:
                    won.append(False)
                else:
                    won.append(True)
        return won

    with ThreadPoolExecutor(WRITERS) as threads:
        results = list(threads.map(race, range(WRITERS)))
    assert [sum(wins) for wins in zip(*results, strict=True)] == [1] * ROUNDS
    with closing(PostgresLogReader(postgres_database)) as reader:
        rows = reader.read(2, 10_000)
    assert [row.position for row in rows] == list(range(2, 2 * ROUNDS + 2))
    assert_contiguous(rows)


def test_a_decision_never_stands_on_a_read_that_moved(postgres_database: str) -> None:
    start = Barrier(2, timeout=30)

    def policy(number: int) -> Append:
        command = CommandKey("policy", str(number), bytes(32))
        return Append((StoredEvent("policy/p", number, "t", b"policy"),), command)

    def model(number: int) -> Append:
        command = CommandKey("model", str(number), bytes(32))
        row = StoredEvent(f"model/{number}", 1, "t", str(number - 1).encode())
        return Append((row,), command, {"policy/p": number - 1})

    def race(make: object) -> None:
        assert callable(make)
        with closing(PostgresLogStore(postgres_database, lock_timeout=30)) as store:
            for number in range(1, 60):
                start.wait()
                try:
                    store.append([make(number)])
                except Conflict:
                    assert make is model

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(race, (policy, model)))
    current = 0
    with closing(PostgresLogReader(postgres_database)) as reader:
        for row in reader.read(2, 1000):
            if row.stream == "policy/p":
                current = row.sequence
            else:
                assert int(row.value) == current
    assert current == 59


def test_whoever_follows_the_log_while_several_write_sees_every_event_in_order(postgres_database: str) -> None:
    done = threading.Event()
    seen: list[Row] = []

    def write(name: int) -> None:
        with closing(PostgresLogStore(postgres_database, lock_timeout=30)) as store:
            writer = Writer(store, f"writer-{name}")
            for number in range(40):
                store.append([writer.append(f"own-{name}-{each}") for each in range(number % 4 + 1)])

    def follow() -> None:
        with closing(PostgresLogReader(postgres_database)) as reader:
            while True:
                ended = done.is_set()
                found = reader.read(seen[-1].position + 1 if seen else 0, 7)
                seen.extend(found)
                if ended and not found:
                    return

    PostgresLogStore(postgres_database).close()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        following = threads.submit(follow)
        try:
            list(threads.map(write, range(WRITERS)))
        finally:
            done.set()
        following.result(timeout=30)
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert seen == reader.read(0, 10_000)
        assert len(seen) == WRITERS * 100 + 1
        assert verify(reader).ok


CHILD = """
import asyncio, json, sys
from tests.support.chained_log import Writer
from regista.store.group_commit import GroupCommit
from regista.store.postgres import PostgresLogStore

async def main(url, name, count):
    store = PostgresLogStore(url, lock_timeout=30)
    writer, commits = Writer(store, name), GroupCommit(store)

    async def forget(streams):
        for stream in streams:
            writer.tips.pop(stream, None)

    async def caller(number):
        answers = []
        for each in range(count):
            command = f"{number}-{each}"
            done = await commits.submit(
                lambda: writer.append("shared", f"own-{name}-{number}", command_id=command),
                forget, key=writer.append_key(command))
            answers.append(done.position)
        return answers

    answers = await asyncio.gather(*(caller(number) for number in range(8)))
    await commits.close()
    store.close()
    print(json.dumps(sorted(sum(answers, []))))

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


def test_processes_that_write_to_one_stream_all_get_through_and_none_twice(postgres_database: str) -> None:
    with ExitStack() as running:
        children = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", CHILD, postgres_database, name, "6"], stdout=subprocess.PIPE, text=True
                )
            )
            for name in ("one", "two", "three")
        ]
        answers = [json.loads(child.communicate(timeout=60)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    positions = sorted(position for answer in answers for position in answer)
    assert len(set(positions)) == len(positions) == 3 * 8 * 6
    with closing(PostgresLogReader(postgres_database)) as reader:
        rows = reader.read(2, 10_000)
        assert_contiguous(rows)
        assert [row.position for row in rows if row.stream == "model/shared"] == positions
        assert verify(reader).ok


def assert_contiguous(rows: list[Row]) -> None:
    last: dict[str, int] = defaultdict(int)
    for row in rows:
        last[row.stream] += 1
        assert row.sequence == last[row.stream]


async def test_an_append_of_another_process_wakes_whoever_follows(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as one, closing(PostgresLogStore(postgres_database)) as other:
        feed = StoreFeed(one, poll=60)
        woken = asyncio.Event()
        listening = asyncio.create_task(PostgresWakeup(postgres_database, feed.notify, woken.set).run())
        async with asyncio.timeout(20):
            await woken.wait()  # it listens
            for position in range(1, 4):
                waiting = asyncio.create_task(feed.wait(position, 60))
                await asyncio.to_thread(Writer(other, f"round-{position}").write, "a")
                await waiting
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_lost_connection_of_the_wake_up_is_made_again_and_wakes_at_once(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as store:
        woken = asyncio.Event()
        listening = asyncio.create_task(PostgresWakeup(postgres_database, woken.set).run())
        async with asyncio.timeout(20):
            await woken.wait()
            woken.clear()
            await asyncio.to_thread(end_other_sessions, postgres_database)
            await woken.wait()
            woken.clear()
            await asyncio.to_thread(Writer(store).write, "a")
            await woken.wait()
        listening.cancel()
        await asyncio.wait([listening])


async def test_one_leads_and_the_next_takes_over_when_its_session_ends(postgres_database: str) -> None:
    first, second = PostgresLeadership(postgres_database), PostgresLeadership(postgres_database)
    beside = PostgresLeadership(postgres_database, "another")
    async with asyncio.timeout(30):
        await first.acquire()
        await first.acquire()
        await beside.acquire()
        waiting = asyncio.create_task(second.acquire())
        done, _ = await asyncio.wait([waiting], timeout=0.7)
        assert not done
        # Not that of the one who waits: it might lead a moment before its session is ended too.
        await asyncio.to_thread(end_leading_sessions, postgres_database)
        await waiting
        again = asyncio.create_task(first.acquire())
        done, _ = await asyncio.wait([again], timeout=0.7)
        assert not done
        await second.release()
        await again
    for each in (first, second, beside):
        await each.release()


def end_leading_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND granted AND datname = current_database()"
        )
        assert ended.fetchall() == [(True,), (True,)]


def end_other_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


async def test_a_group_commit_goes_on_after_its_session_was_ended(postgres_database: str) -> None:
    with closing(PostgresLogStore(postgres_database)) as store:
        writer, commits = Writer(store), GroupCommit(store)

        async def forget(streams: set[str]) -> None:
            for stream in streams:
                writer.tips.pop(stream, None)

        for number in range(3):
            command = f"command-{number}"
            await commits.submit(
                lambda command=command: writer.append("a", command_id=command),  # type: ignore[misc]  # bound now
                forget,
                key=writer.append_key(command),
            )
            await asyncio.to_thread(end_other_sessions, postgres_database)
        await commits.close()
        assert [row.sequence for row in store.load("model/a")] == [1, 2, 3]
