"""Effects follow events once: what is recorded and how far the log was taken move together, whatever happens between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, Text, text
from sqlalchemy.schema import CreateTable
from tests.support.working import Notes, ScriptedLog, WorkPlace, eventually, noted, open_work

from regista.domain import events as e
from regista.domain.chain import Row
from regista.domain.errors import Damaged
from regista.projections.feed import START, Feed
from regista.work.consumer import Consumer, Overtaken, Taking
from regista.work.cursors import position_of
from regista.work.database import Component, Work
from regista.work.tables import CONSUMERS


@asynccontextmanager
async def following(
    work: Work, feed: Feed, effects: Notes | None = None, start: int | None = None
) -> AsyncIterator[Consumer]:
    consumer = Consumer(work, effects or Notes(), feed, start=start)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        await consumer.close()
        await task


async def caught_up(consumer: Consumer, position: int) -> None:
    await eventually(lambda: (consumer.status().position, consumer.status().state) == (position, "following"))


async def followed(place: WorkPlace, log: ScriptedLog, start: int | None = None) -> dict[int, str]:
    """What is noted once a process has followed the log to its end, and ended."""
    with closing(open_work(place)) as work:
        async with following(work, log.feed, start=start) as consumer:
            await caught_up(consumer, log.position)
        return await noted(work)


async def test_what_was_before_the_first_start_is_known_and_has_no_effects(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    log.alias()
    log.alias()
    assert await followed(work_place, log) == {1: "known", 2: "known"}
    log.alias()
    assert await followed(work_place, log) == {1: "known", 2: "known", 3: "taken"}


async def test_where_effects_begin_is_known_as_soon_as_anybody_has_begun(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work, closing(open_work(work_place)) as other:
        standing_by = Consumer(other, Notes(), log.feed)
        known = asyncio.create_task(standing_by.begun(log.log_id))
        assert not await standing_by.taking.knows(log.log_id)
        async with following(work, log.feed):
            await asyncio.wait_for(known, 10)
            assert not await standing_by.taking.knows("another log")
        assert not standing_by.claimed.is_set()


async def test_a_crash_during_the_first_fold_changes_nothing_of_where_effects_begin(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    for _ in range(3):
        log.alias()
    with closing(open_work(work_place)) as work:
        taking = Taking(work, Notes())
        await taking.claim(log.log_id, 3)
        await taking.take(log.feed.rows[:1])
    log.alias()  # while it is down
    assert await followed(work_place, log) == {1: "known", 2: "known", 3: "known", 4: "taken"}


async def test_a_step_that_fails_half_way_leaves_nothing_and_is_done_once_later(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work:
        effects = Notes()
        taking = Taking(work, effects)
        await taking.claim(log.log_id, 0)
        log.alias()
        log.alias()
        effects.fails_at = 2
        with pytest.raises(ValueError, match="a defect"):
            await taking.take(log.feed.rows)
        assert await noted(work) == {}
        effects.fails_at = 0
        await taking.take(log.feed.rows)
        await taking.take(log.feed.rows)  # a record that comes once more is left out
        assert (await noted(work), effects.woken) == ({1: "taken", 2: "taken"}, 1)


async def test_one_that_was_replaced_writes_nothing_any_more(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work, closing(open_work(work_place)) as other:
        zombie, successor = Taking(work, Notes()), Taking(other, Notes())
        await zombie.claim(log.log_id, 0)
        await successor.claim(log.log_id, 0)
        log.alias()
        with pytest.raises(Overtaken):
            await zombie.take(log.feed.rows)
        assert await noted(work) == {}
        with pytest.raises(Overtaken):
            await work.run(zombie.check)
        await successor.take(log.feed.rows)
        assert await noted(work) == {1: "taken"}


async def test_whether_rows_were_taken_is_learned_without_replacing_anybody(work_place: WorkPlace) -> None:
    """The answer to a commit may be lost, and with it the place; or the database comes back as it was before."""
    log = ScriptedLog()
    with closing(open_work(work_place)) as work:
        taking = Taking(work, Notes())
        await taking.claim(log.log_id, 0)
        for _ in range(3):
            log.alias()
        rows = list((await log.feed.read(START, 100)).rows)
        await taking.take(rows[:1])
        before = taking.mark
        await taking.renew(rows[1:2])
        assert taking.mark == before
        await taking.take(rows[1:2])
        set_back = CONSUMERS.update().values(position=before.position, hash=before.hash)
        await work.run(lambda connection: connection.execute(set_back))
        with pytest.raises(Overtaken):
            await taking.renew(rows[2:])
        await taking.claim(log.log_id, 0)
        another = Taking(work, Notes())
        await another.claim(log.log_id, 0)
        with pytest.raises(Overtaken):
            await taking.renew(rows[1:])
        await another.renew(rows[1:])


async def test_two_that_take_the_same_rows_at_the_same_moment_record_them_once(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work, closing(open_work(work_place)) as other:
        first, second = Taking(work, Notes()), Taking(other, Notes())
        await first.claim(log.log_id, 0)
        await second.claim(log.log_id, 0)
        first._cursor = second._cursor  # as if both believed in the same claim
        log.alias()
        outcomes = await asyncio.gather(first.take(log.feed.rows), second.take(log.feed.rows), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes if outcome is not None] == [Overtaken]
        assert await noted(work) == {1: "taken"}


async def test_a_second_process_stands_by_until_the_first_ends(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work, closing(open_work(work_place)) as other:
        async with following(work, log.feed) as first:
            await eventually(lambda: first.is_leading)
            async with following(other, log.feed) as second:
                log.alias()
                await caught_up(first, 1)
                assert (second.is_leading, second.status().state) == (False, "standing by")
                await first.close()
                await eventually(lambda: second.is_leading)
                log.alias()
                await caught_up(second, 2)
        assert await noted(work) == {1: "taken", 2: "taken"}


async def test_what_was_imported_is_only_known(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work:
        async with following(work, log.feed) as consumer:
            await eventually(lambda: consumer.is_leading)
            log.alias()
            log.alias(identity="import")
            log.alias()
            await caught_up(consumer, 3)
        assert await noted(work) == {1: "taken", 2: "known", 3: "taken"}


async def test_another_log_is_known_anew_and_fires_nothing_old(
    work_place: WorkPlace, caplog: pytest.LogCaptureFixture
) -> None:
    log, other = ScriptedLog(), ScriptedLog("log-2")
    await followed(work_place, log)
    log.alias()
    other.alias()
    other.alias()
    assert await followed(work_place, log) == {1: "taken"}
    with caplog.at_level(logging.WARNING):
        assert await followed(work_place, other) == {1: "known", 2: "known"}
    assert "followed the log log-1; this is log-2" in caplog.text
    other.alias()
    assert (await followed(work_place, other))[3] == "taken"


async def test_a_log_that_was_healed_is_known_anew_and_fires_nothing_old(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    await followed(work_place, log)
    for _ in range(3):
        log.alias()
    await followed(work_place, log)
    healed = ScriptedLog()
    healed.alias()
    healed.alias("of-another-name")
    healed.position = 1_000_002
    healed.alias()
    assert await followed(work_place, healed) == {1: "known", 2: "known", 1_000_003: "known"}
    healed.alias()
    assert (await followed(work_place, healed))[1_000_004] == "taken"


async def test_a_copy_that_lags_behind_is_waited_for(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    await followed(work_place, log)
    rows: list[Row] = []
    for _ in range(3):
        log.alias()
    await followed(work_place, log)
    rows = log.feed.rows
    log.feed.replace(rows[:2])
    with closing(open_work(work_place)) as work:
        async with following(work, log.feed) as consumer:
            await eventually(lambda: consumer.status().code == "log_diverged")
            log.feed.replace(rows)
            log.alias()
            await caught_up(consumer, 4)
        assert await noted(work) == dict.fromkeys((1, 2, 3, 4), "taken")


def _stored(connection: Connection) -> int:
    return position_of(connection, "notes")


async def test_what_concerns_nobody_is_passed_over_unread_and_written_down_behind_it(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work:
        effects = Notes()
        effects.looks_at = frozenset({e.AliasAssigned.TYPE})
        async with following(work, log.feed, effects) as consumer:
            await caught_up(consumer, 0)
            log.position += 1
            log.feed.append(Row(log.position, "model/other", 1, e.AliasRemoved.TYPE, b"nothing that can be read"))
            await caught_up(consumer, 1)
            while await work.run(_stored) < 1:  # noqa: ASYNC110 - the database is looked at, it tells nobody
                await asyncio.sleep(0.01)
            assert (await noted(work), effects.woken) == ({}, 0)
            log.alias()
            log.append("model/fraud", e.AliasAssigned("fraud", "champion", "1.0.0", 1, "sha256:" + "0" * 64, None))
            await caught_up(consumer, 3)
            assert (await work.run(_stored), effects.woken) == (3, 1)


async def test_many_events_that_concern_nobody_cost_few_transactions(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work:
        effects = Notes()
        effects.looks_at = frozenset()
        taking = Taking(work, effects)
        await taking.claim(log.log_id, 0)
        for _ in range(3):
            log.alias()
            assert taking.pass_over(log.feed.rows)
        assert (taking.mark.position, taking.is_ahead, await work.run(_stored)) == (3, True, 0)
        await taking.store_mark()
        assert (taking.mark.position, taking.is_ahead, await work.run(_stored)) == (3, False, 3)
        log.alias()
        assert taking.pass_over(log.feed.rows)
        effects.looks_at = None
        await taking.claim(log.log_id, 4)  # a crash: what was passed over and not written down comes once more
        assert (taking.mark.position, taking.pass_over(log.feed.rows)) == (3, False)


async def test_one_that_was_replaced_while_it_passed_over_events_stands_by(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    with closing(open_work(work_place)) as work, closing(open_work(work_place)) as other:
        effects = Notes()
        effects.looks_at = frozenset()
        zombie, successor = Taking(work, effects), Taking(other, Notes())
        await zombie.claim(log.log_id, 0)
        log.alias()
        assert zombie.pass_over(log.feed.rows)
        await successor.claim(log.log_id, 0)
        await successor.take(log.feed.rows)
        with pytest.raises(Overtaken):
            await zombie.store_mark()
        assert await work.run(_stored) == 1


async def test_from_is_an_explicit_act_that_counts_once(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    for _ in range(3):
        log.alias()
    await followed(work_place, log)
    from_two = {1: "known", 2: "taken", 3: "taken"}
    assert await followed(work_place, log, start=2) == from_two
    with closing(open_work(work_place)) as work:
        async with following(work, log.feed, effects := Notes(), start=2) as consumer:
            await eventually(lambda: consumer.is_leading)
            log.alias()
            await caught_up(consumer, 4)
        assert effects.woken == 1  # of the new one alone
        assert await noted(work) == from_two | {4: "taken"}
        started = await work.run(lambda c: c.execute(text("SELECT why, effects_from FROM starts ORDER BY 2")).all())
        assert sorted(tuple(row) for row in started) == [("first", 4), ("told", 2)]


async def test_a_defect_is_told_and_tried_again(work_place: WorkPlace, caplog: pytest.LogCaptureFixture) -> None:
    log, effects = ScriptedLog(), Notes()
    with closing(open_work(work_place)) as work:
        async with following(work, log.feed, effects) as consumer:
            await eventually(lambda: consumer.is_leading)
            effects.fails_at = 1
            log.alias()
            await eventually(lambda: consumer.status().code == "defect")
            assert "a defect" in (consumer.status().error or "")
            effects.fails_at = 0
            await caught_up(consumer, 1)
            await eventually(lambda: consumer.status().error is None)
    assert "notes waits" in caplog.text


def _table(name: str) -> Table:
    return Table(name, MetaData(), Column("word", Text, primary_key=True))


ONE = Component("words", ((CreateTable(_table("ones")),),))
TWO = replace(ONE, migrations=(*ONE.migrations, (CreateTable(_table("twos")),)))


def test_migrations_go_forward_and_several_processes_may_take_them_at_once(work_place: WorkPlace) -> None:
    def migrated(component: Component) -> None:
        with closing(open_work(work_place)) as work:
            work.migrate(component)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(migrated, [ONE] * 4))
        list(threads.map(migrated, [TWO] * 4))


async def test_a_database_of_a_newer_release_is_refused(work_place: WorkPlace) -> None:
    def write(connection: Connection) -> None:
        connection.execute(text("INSERT INTO twos VALUES ('kept')"))

    with closing(open_work(work_place)) as work:
        work.migrate(TWO)
        await work.run(write)
    with closing(open_work(work_place)) as work:
        with pytest.raises(Damaged) as refused:
            work.migrate(ONE)
        assert refused.value.code == "work_newer"
        assert await work.run(lambda c: c.execute(text("SELECT word FROM twos")).scalar()) == "kept"
