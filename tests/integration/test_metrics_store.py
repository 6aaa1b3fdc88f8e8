"""Counts in the work database, on SQLite and PostgreSQL: each report once, any order, any batches, several processes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, func, select
from tests.support.inference import digest_of, report
from tests.support.working import START, ScriptedLog, WorkPlace, eventually, losing_once, open_work

from regista.client import AsyncClient
from regista.domain import events as e
from regista.domain.errors import Unavailable
from regista.metrics import counting
from regista.metrics.experiments import Counting, Experiments
from regista.metrics.known import KEPT_CHANGES
from regista.metrics.live import endpoint_metrics
from regista.metrics.tables import CHANGES, SEEN, WAITING, WINDOWS
from regista.wire.inference import BusinessSum, EndpointMetrics, InferenceReport
from regista.work.consumer import Consumer
from regista.work.database import Work
from regista.work.orders import ORDERS

STREAM = "endpoint/prod/fraud"
BAD = e.Guardrail("errors", "maximum", False, 0.01, 100)


def variant(version: str, role: e.Role, weight: int) -> e.Variant:
    return e.Variant(version, 1 + int(version.split(".")[1]), digest_of(version), role, weight, 0, None)


CHAMPION, CANARY = variant("1.0.0", "champion", 9_000), variant("1.1.0", "canary", 1_000)


def story(*, targets: tuple[str, ...] = (), automatic: bool = True) -> ScriptedLog:
    """An endpoint with a champion and, since the third second, a canary beside it."""
    log = ScriptedLog()
    log.append(STREAM, e.EndpointCreated("prod", "fraud", "fraud", targets, None, automatic, (BAD,), ""))
    log.append(STREAM, e.TrafficChanged("prod", "fraud", "fraud", (CHAMPION,), None, (), None, None))
    both, canary = (CHAMPION, CANARY), e.Canary("1.1.0", 2, (e.CanaryStep(1_000, 0, 10),), 1)
    log.append(STREAM, e.TrafficChanged("prod", "fraud", "fraud", both, canary, (CHAMPION,), None, 2))
    return log


def at(second: float) -> datetime:
    """So many seconds after the log's beginning."""
    return START + timedelta(seconds=second)


@asynccontextmanager
async def known(work: Work, log: ScriptedLog) -> AsyncIterator[Experiments]:
    """Experiments that have followed a log, and look when they are told to."""
    async with AsyncClient("http://127.0.0.1:9", attempts=1) as client:
        experiments = Experiments(work, client, now=lambda: at(600))
        consumer = Consumer(work, experiments, log.feed)
        task = asyncio.create_task(consumer.run())
        try:
            await eventually(lambda: consumer.status().position == log.position)
            yield experiments
        finally:
            await consumer.close()
            await task


async def told(work: Work) -> EndpointMetrics:
    def look(connection: Connection) -> EndpointMetrics | None:
        return endpoint_metrics(connection, "prod/fraud", at(600))

    found = await work.run(look)
    assert found is not None
    return found


async def requests(work: Work) -> dict[str, tuple[int, int]]:
    """Requests and errors that count for the newest change, by version."""
    return {v.version: (v.requests, v.errors) for v in (await told(work)).variants if v.role != "unknown"}


def some_reports() -> list[InferenceReport]:
    return [
        report(version, 10, number % 3, ended_at=at(10 + number), values=[float(number)])
        for version in ("1.0.0", "1.1.0")
        for number in range(40)
    ]


async def test_any_order_any_batches_and_any_copies_count_the_same(work_place: WorkPlace) -> None:
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            sent = some_reports()
            copies = sent + random.Random(3).sample(sent, 30)
            random.Random(4).shuffle(copies)
            batches: list[Sequence[InferenceReport]] = [copies[at : at + 7] for at in range(0, len(copies), 7)]
            await asyncio.gather(*(experiments.add(batch) for batch in batches))
            errors = sum(number % 3 for number in range(40))
            assert await requests(work) == {"1.0.0": (400, errors), "1.1.0": (400, errors)}
            canary = next(v for v in (await told(work)).variants if v.version == "1.1.0")
            revenue = next(metric for metric in canary.metrics if metric.metric == "revenue")
            assert revenue.value == pytest.approx(19.5)
            assert revenue.samples == 40


async def test_several_processes_that_count_at_once_lose_nothing(work_place: WorkPlace) -> None:
    with closing(open_work(work_place)) as one, closing(open_work(work_place)) as other:
        async with known(one, story()) as experiments:
            beside, sent = Counting(other), some_reports()
            await asyncio.gather(
                *(counts.add(sent[at : at + 5]) for at in range(0, 80, 5) for counts in (experiments, beside))
            )
            assert [count for count, _ in (await requests(one)).values()] == [400, 400]


async def test_processes_that_count_judge_and_learn_at_once_lose_nothing_and_double_nothing(
    work_place: WorkPlace,
) -> None:
    names, log, chance = [f"e{n}" for n in range(4)], ScriptedLog(), random.Random(9)
    for name in names:
        stream = f"endpoint/prod/{name}"
        log.append(stream, e.EndpointCreated("prod", name, "fraud", ("edge",), None, True, (BAD,), ""))
        log.append(stream, e.TrafficChanged("prod", name, "fraud", (CHAMPION, CANARY), None, (), None, None))
    sent = [
        report(version, 10, 1, endpoint=name, ended_at=at(100 + number * 20))
        for name in names
        for version in ("1.0.0", "1.1.0")
        for number in range(20)
    ]
    with closing(open_work(work_place)) as one, closing(open_work(work_place)) as other:
        async with known(one, log) as experiments, AsyncClient("http://127.0.0.1:9", attempts=1) as client:
            beside = Experiments(other, client, now=lambda: at(4_000))  # for whom windows are old already

            async def count(counts: Counting) -> None:
                for at_ in range(0, len(sent), 20):
                    await counts.add(chance.sample(sent[at_ : at_ + 20], 20) + chance.sample(sent, 20))

            async def judge(judging: Experiments) -> None:
                while not all(task.done() for task in counted):
                    judging._tidied = float("-inf")
                    await judging.look()

            counted = [asyncio.create_task(count(counts)) for counts in (experiments, beside, Counting(other))]
            judged = [asyncio.create_task(judge(judging)) for judging in (experiments, beside)]
            for name in names:
                done = e.DeploymentReported("prod", name, "fraud", "edge", 2, "succeeded", (), "", 1, None, None)
                log.append(f"endpoint/prod/{name}", done)
                await asyncio.sleep(0.02)
            await asyncio.gather(*counted, *judged)
            for _ in range(2):
                await experiments.look()

        def of(connection: Connection) -> list[tuple[int, int]]:
            found = [endpoint_metrics(connection, f"prod/{name}", at(600)) for name in names]
            shown = [(v.requests, v.errors) for metrics in found if metrics is not None for v in metrics.variants]
            return [*shown, (int(connection.execute(select(func.count()).select_from(WAITING)).scalar_one()), 0)]

        assert await one.run(of) == [*[(200, 20)] * 2 * len(names), (0, 0)]
        verdicts = select(func.count()).where(ORDERS.c.operation == "conclude_experiment")
        assert await one.run(lambda connection: connection.execute(verdicts).scalar_one()) == len(names)


async def test_a_report_belongs_to_the_change_that_was_in_effect_all_the_time(work_place: WorkPlace) -> None:
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            inside = report("1.1.0", 1, ended_at=at(5), seconds=2)
            across = report("1.1.0", 20, ended_at=at(5), seconds=2.5)
            before = report("1.0.0", 300, ended_at=at(3), seconds=1)
            strange = report("1.1.0", 4_000, ended_at=at(5), digest=digest_of("7.0.0"))
            await experiments.add([inside, across, before, strange])
            assert await requests(work) == {"1.0.0": (0, 0), "1.1.0": (1, 0)}


async def test_what_comes_before_the_targets_told_waits_for_them(work_place: WorkPlace) -> None:
    log = story(targets=("Edge", "other"))
    with closing(open_work(work_place)) as work:
        async with known(work, log) as experiments:
            await experiments.add(
                [report("1.1.0", 5, ended_at=at(4.5), seconds=0.1), report("1.1.0", 70, ended_at=at(9))]
            )
            await experiments.look()
            assert ((await told(work)).waiting, await requests(work)) == (2, {"1.0.0": (0, 0), "1.1.0": (0, 0)})
            for target in ("edge", "other"):
                log.append(
                    STREAM,
                    e.DeploymentReported("prod", "fraud", "fraud", target, 3, "succeeded", (), "", 1, None, None),
                )
            log.append(STREAM, e.DeploymentReported("prod", "fraud", "fraud", "edge", 3, "failed", (), "", 1, 3, None))

            async def settled() -> bool:
                await experiments.look()
                return (await told(work)).waiting == 0

            until = asyncio.get_running_loop().time() + 10
            while not await settled():
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.01)
            assert await requests(work) == {"1.0.0": (0, 0), "1.1.0": (70, 0)}, "in effect when both had told: second 5"


async def test_endpoints_that_are_not_known_yet_wait_and_do_not_fill_the_database(
    work_place: WorkPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_WAITING", 5)
    with closing(open_work(work_place)) as work:
        counts = Counting(work)
        await counts.add([report("1.1.0", 1, ended_at=at(10 + i)) for i in range(9)])
        async with known(work, story()) as experiments:
            await experiments.look()
            assert (await requests(work))["1.1.0"] == (5, 0)


async def test_a_verdict_is_written_once_with_the_command_that_tells_it(work_place: WorkPlace) -> None:
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            await experiments.add([report("1.1.0", 500, 100, ended_at=at(10))])
            for _ in range(3):
                await experiments.look()

            def orders(connection: Connection) -> list[tuple[str, str, str]]:
                columns = ORDERS.c
                return [tuple(row) for row in connection.execute(select(columns.operation, columns.key, columns.cause))]

            assert await work.run(orders) == [
                ("conclude_experiment", f"experiments:log-1:{STREAM}@3:roll_back", f"{STREAM}@3")
            ]


async def test_a_conclusion_leads_to_one_command_and_none_where_it_is_only_known(work_place: WorkPlace) -> None:
    log = story()
    concluded = e.ExperimentConcluded("prod", "fraud", "fraud", 3, 1, "promote", (), ("it was good",), None)
    log.append(STREAM, concluded)
    with closing(open_work(work_place)) as work:

        def orders(connection: Connection) -> list[tuple[str, str | None]]:
            return [
                (row.operation, row.cause) for row in connection.execute(select(ORDERS.c.operation, ORDERS.c.cause))
            ]

        async with known(work, log):
            assert await work.run(orders) == [], "what was before the first start is known, and done no more"
            log.append(STREAM, concluded)
            until = asyncio.get_running_loop().time() + 10
            while not (found := await work.run(orders)):
                assert asyncio.get_running_loop().time() < until
                await asyncio.sleep(0.01)
            assert found == [("change_traffic", f"{STREAM}@5")]
            log.append(STREAM, concluded, identity="import")
            log.alias()
        async with known(work, log):
            assert await work.run(orders) == found, "imports and restarts lead to nothing"


async def test_what_was_not_done_yet_is_left_to_people_once_they_say_so(work_place: WorkPlace) -> None:
    log = story()
    described = ("prod", "fraud", "fraud", ())
    with closing(open_work(work_place)) as work:

        def waiting(connection: Connection) -> list[str]:
            return list(connection.execute(select(ORDERS.c.operation).where(ORDERS.c.state == "pending")).scalars())

        async def until(operations: list[str]) -> None:
            async with asyncio.timeout(10):
                while await work.run(waiting) != operations:  # noqa: ASYNC110 - it is in a database
                    await asyncio.sleep(0.01)

        async with known(work, log):
            log.append(STREAM, e.ExperimentConcluded("prod", "fraud", "fraud", 3, 1, "roll_back", (), ("harm",), None))
            await until(["roll_back_endpoint"])
            by_hand = e.EndpointUpdated(*described, None, False, (BAD,), "", (), None, True, (BAD,), "")
            log.append(STREAM, by_hand)
            await until([])


async def test_regions_are_the_same_whatever_their_spelling(work_place: WorkPlace) -> None:
    log = ScriptedLog()
    log.append(STREAM, e.EndpointCreated("prod", "fraud", "fraud", (), None, True, (BAD,), ""))
    there = replace(CHAMPION, weight=10_000, region="eu")
    log.append(STREAM, e.TrafficChanged("prod", "fraud", "fraud", (there,), None, (), None, None))
    with closing(open_work(work_place)) as work:
        async with known(work, log) as experiments:
            await experiments.add([report("1.0.0", 3, ended_at=at(10), region=region) for region in ("EU", "eu", None)])
            assert await requests(work) == {"1.0.0": (6, 0)}


async def test_what_nobody_can_send_again_is_forgotten(work_place: WorkPlace) -> None:
    with closing(open_work(work_place)) as work:
        async with known(work, story(targets=("edge",))) as experiments:
            await experiments.add([report("1.1.0", 1, ended_at=at(10 + i)) for i in range(3)])

            def rows(connection: Connection) -> list[int]:
                counted = (select(func.count()).select_from(table) for table in (SEEN, WAITING, WINDOWS))
                return [connection.execute(query).scalar_one() for query in counted]

            assert await work.run(rows) == [3, 3, 1]
            await work.run(lambda connection: counting.tidy(connection, at(7_200)))
            assert await work.run(rows) == [3, 3, 0]
            await work.run(lambda connection: counting.tidy(connection, datetime(2027, 1, 1, tzinfo=UTC)))
            assert await work.run(rows) == [0, 0, 0]


async def test_more_metrics_than_a_variant_can_have_are_not_kept(
    work_place: WorkPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_METRICS", 3)
    one = BusinessSum(1, 1.0, 1.0)
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            for names in ("bx", "aby", "cdez"):
                made = report("1.1.0", 1, ended_at=at(10))
                await experiments.add([replace(made, business=dict.fromkeys(names, one))])
            canary = next(v for v in (await told(work)).variants if v.version == "1.1.0")
    kept = {found.metric: found.samples for found in canary.metrics if len(found.metric) == 1}
    assert kept == {"b": 2, "x": 1, "a": 1}, "those that were there first go on"


async def test_more_variants_than_an_endpoint_can_have_make_no_windows(
    work_place: WorkPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_VARIANTS", 3)
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            made = report("1.0.0", 1, ended_at=at(10))
            await experiments.add([replace(made, id=str(i), artifact_digest=digest_of(str(i))) for i in range(9)])
            windows = select(func.count()).select_from(WINDOWS)
            assert await work.run(lambda connection: connection.execute(windows).scalar_one()) == 3


async def test_an_endpoint_that_changes_for_ever_is_kept_to_its_newest_changes(work_place: WorkPlace) -> None:
    log = story()
    for _ in range(KEPT_CHANGES + 200):
        log.append(
            STREAM, e.TrafficChanged("prod", "fraud", "fraud", (CHAMPION,), None, (CHAMPION,), None, log.position)
        )
    with closing(open_work(work_place)) as work:
        async with known(work, log):
            kept = await work.run(lambda c: sorted(c.execute(select(CHANGES.c.change)).scalars()))
    assert KEPT_CHANGES <= len(kept) <= KEPT_CHANGES + 64
    assert kept == list(range(log.position - len(kept) + 1, log.position + 1))


async def test_what_a_lost_transaction_forgot_is_forgotten_by_the_next_one(work_place: WorkPlace) -> None:
    old = {"key": "prod/fraud", "id": "old", "ended_at": at(-1_000_000).timestamp()}
    with closing(open_work(work_place)) as work:
        async with known(work, story()) as experiments:
            await work.run(lambda connection: connection.execute(SEEN.insert(), old))
            with losing_once("DELETE FROM metrics_seen"), pytest.raises(Unavailable):
                await experiments.look()
            await experiments.look()
            seen = await work.run(lambda c: c.execute(select(func.count()).select_from(SEEN)).scalar_one())
    assert seen == 0
