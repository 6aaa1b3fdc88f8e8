"""Commands of a queue: decided in order, taken in once with their offset and what is told, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.payloads import version_body
from tests.support.registrar import Running, registrar_on, running

from regista.domain import commands as c
from regista.domain.errors import Invalid, Malformed, Refused, RegistaError, Unavailable
from regista.registrar.answers import Outcome
from regista.registrar.commands import Command
from regista.registrar.orders import TYPES, request_of, type_of
from regista.registrar.request import Caller, Request
from regista.registrar.routes import WRITES
from regista.registrar.service import Registrar
from regista.registrar.taking import Delivery, Taker, Verdict
from regista.store.append import IntakeMoved, Outgoing, Taken
from regista.wire.orders import SENT, Order

SOURCE = "commands/0"


def tell(delivery: Delivery, verdict: Verdict) -> tuple[Outgoing, ...]:
    """A word about each delivery: its offset, and the status or the code."""
    said = str(verdict.status) if isinstance(verdict, Outcome) else getattr(verdict, "code", type(verdict).__name__)
    return (Outgoing("result", str(delivery.offset).encode(), said.encode(), (), 0),)


def model(name: str, command_id: str | None = None, **more: Any) -> Order:
    return Order(command_id or f"new-{name}", "ann", "RegisterModel", body=json.dumps({"name": name, **more}))


def version(name: str, number: str, seed: int = 0, **more: Any) -> Order:
    body = json.dumps(version_body(number, seed=seed))
    return Order(f"{name}-{number}", "ann", "RegisterVersion", {"model": name}, body=body, **more)


def promote(name: str, ref: str, to: str = "staging") -> Order:
    body = json.dumps({"to": to, "reason": "because"})
    return Order(f"{name}-{ref}-{to}", "ann", "Promote", {"model": name, "ref": ref}, body=body)


def deliveries(*orders: Order | RegistaError, first: int = 0) -> list[Delivery]:
    return [Delivery(first + at, order) for at, order in enumerate(orders)]


class Queue:
    """What a consumer of one partition does: takes all of its deliveries in."""

    def __init__(self, one: Running, **more: Any) -> None:
        self.one = one
        self.taker = Taker(one.registrar, **more)
        self.before = one.log.intake(SOURCE) or Taken(0)
        self.rounds: list[int] = []

    async def take(self, rest: Sequence[Delivery]) -> None:
        while rest:
            taken = await self.taker.take(SOURCE, self.before, rest, tell)
            self.rounds.append(taken)
            self.before = Taken(rest[taken - 1].offset + 1, rest[taken - 1].mark)
            rest = rest[taken:]

    def told(self) -> list[tuple[int, str, int | None]]:
        """Offset, word and position of all outcomes, in the order of ids."""
        rows = self.one.log.outcomes(0, 10_000)
        return [(int(r.outgoing.key or b""), (r.outgoing.value or b"").decode(), r.position) for r in rows]


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path) as registrar:
        yield registrar


def test_there_is_an_order_for_every_write_of_the_api_and_no_other() -> None:
    assert {(write.method, write.path.removeprefix("/v1/")): type_of(write) for write in WRITES} == SENT
    assert set(TYPES) == set(SENT.values())
    commands = {kind.__name__ for kind in Command.__args__}
    assert set(TYPES) == commands


def test_an_order_and_a_request_that_say_the_same_have_the_same_digest() -> None:
    http = Request(c.Promote("m", "1.0.0", "staging", expect_current=None), Caller("x", "asserted"), "why", "id", (4,))
    body = json.dumps({"expect_current": None, "to": "staging", "reason": "why"})
    order = Order("id", "ann", "Promote", {"model": "m", "ref": "1.0.0"}, body=body, if_match='"4"')
    assert request_of(order).seal() == http.seal()
    beside = replace(order, body=json.dumps({"expect_current": None, "to": "staging"}), reason="why")
    assert request_of(beside).seal() == http.seal()
    assert request_of(replace(order, if_match='"5"')).seal() != http.seal()
    alias = Order("id", "ann", "AssignAlias", {"model": "m", "alias": "a"}, body='{"version": "1"}', if_none_match="*")
    assert request_of(alias).command == c.AssignAlias("m", "a", "1", None)


def test_what_led_to_an_order_is_kept_and_is_no_part_of_what_it_says() -> None:
    plain, caused = (request_of(replace(model("fraud"), cause=cause)) for cause in (None, "endpoint/prod/fraud@12"))
    assert caused.cause == "endpoint/prod/fraud@12"
    assert caused.seal() == plain.seal()
    with pytest.raises(Invalid) as refused:
        request_of(replace(model("fraud"), cause="model/fraud"))
    assert refused.value.code == "bad_cause"


async def test_commands_of_a_queue_are_decided_in_their_order_in_one_transaction(one: Running) -> None:
    queue = Queue(one)
    early = replace(promote("m", "1.0.0"), command_id="early")
    await queue.take(deliveries(early, model("m"), version("m", "1.0.0"), promote("m", "1.0.0"), model("m", "x")))
    assert queue.rounds == [5]
    assert [(offset, word) for offset, word, _ in queue.told()] == [
        (0, "unknown_model"),
        (1, "201"),
        (2, "201"),
        (3, "200"),
        (4, "name_taken"),
    ]
    assert one.log.intake(SOURCE) == Taken(5)


async def test_a_second_copy_in_the_same_fetch_is_answered_from_the_first(one: Running) -> None:
    queue = Queue(one)
    await queue.take(deliveries(model("m", "k"), model("n"), model("m", "k"), model("other", "k")))
    assert queue.told() == [(0, "201", 2), (1, "201", 3), (2, "200", None), (3, "idempotency_key_reused", None)]
    assert queue.rounds == [2, 2]


async def test_a_taker_that_was_replaced_takes_nothing_in_and_the_next_goes_on(one: Running) -> None:
    queue, zombie = Queue(one), Queue(one)
    await queue.take(deliveries(model("a"), model("b")))
    with pytest.raises(IntakeMoved):
        await zombie.take(deliveries(model("a"), model("b"), model("c")))
    assert one.log.max_position() == 3
    assert Queue(one).before == Taken(2)
    await Queue(one).take(deliveries(model("c"), first=2))
    assert [word for _, word, _ in queue.told()] == ["201", "201", "201"]


async def test_a_taker_that_was_frozen_while_the_queue_was_made_anew_takes_nothing_in(one: Running) -> None:
    """Also where the new queue is as far as the old one was when it was frozen: at its beginning, or behind it."""

    def marked(mark: bytes, *orders: Order) -> list[Delivery]:
        return [replace(delivery, mark=mark) for delivery in deliveries(*orders)]

    at_beginning = Queue(one)
    await Queue(one).take(marked(b"old", model("a")))
    behind = Queue(one)
    begun = await Taker(one.registrar).begin_anew(SOURCE, behind.before, 0)
    assert one.log.intake(SOURCE) == begun
    with pytest.raises(IntakeMoved):
        await at_beginning.take(marked(b"old", model("a", "x"), model("b")))
    await Queue(one).take(marked(b"new", model("c")))
    with pytest.raises(IntakeMoved):
        await behind.take([Delivery(1, model("b"), b"old")])
    assert one.log.intake(SOURCE) == Taken(1, b"new")
    assert one.log.max_position() == 3


async def test_takers_of_one_queue_at_the_same_time_take_every_command_in_once(tmp_path: Path, one: Running) -> None:
    other = registrar_on(one.log, tmp_path)
    every = deliveries(*(model(f"m{n % 20}", f"k{n}") for n in range(200)))

    async def work(taker: Running) -> None:
        while (before := taker.log.intake(SOURCE) or Taken(0)).offset < len(every):
            try:
                some = every[before.offset : before.offset + 7]
                await Taker(taker.registrar).take(SOURCE, before, some, tell)
            except IntakeMoved:
                continue

    await asyncio.gather(work(one), work(other), work(one), work(other))
    await other.writer.close()
    told = Queue(one).told()
    assert [offset for offset, _, _ in told] == list(range(200))
    assert [word for _, word, _ in told] == ["201"] * 20 + ["name_taken"] * 180
    assert one.log.max_position() == 21


async def test_a_refusal_that_others_made_wrong_meanwhile_is_decided_again(tmp_path: Path, one: Running) -> None:
    other = registrar_on(one.log, tmp_path)
    await one.do(c.RegisterModel("m"))
    await other.do(c.UpdateModel("m", description="seen"))
    await one.registrar.reload({"model/m"})
    body = json.dumps(version_body("1.0.0"))
    await other.registrar.execute(
        request_of(Order("v", "ann", "RegisterVersion", {"model": "m"}, body=body))
    )  # the first registrar has not heard of it
    queue = Queue(one)
    await queue.take(deliveries(promote("m", "1.0.0")))
    assert queue.told() == [(0, "200", 5)]
    await other.writer.close()


async def test_what_passes_holds_the_queue_up_and_nothing_is_told(
    one: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = Registrar.ready
    away = True

    async def sometimes(self: Registrar, attempt: Any) -> None:
        if away and attempt.command.model == "b":
            raise Unavailable("the artifacts cannot be asked")
        await ready(self, attempt)

    monkeypatch.setattr(Registrar, "ready", sometimes)
    queue = Queue(one)
    every = deliveries(model("a"), model("b"), model("c"))
    with pytest.raises(Unavailable):
        await queue.take(every)
    assert queue.told() == [(0, "201", 2)]
    assert one.log.intake(SOURCE) == Taken(1)
    away = False
    await queue.take(every[1:])
    assert [word for _, word, _ in queue.told()] == ["201", "201", "201"]


async def test_a_defect_is_told_and_the_queue_goes_on_with_the_states_as_they_were(one: Running) -> None:
    def broken(delivery: Delivery, verdict: Verdict) -> tuple[Outgoing, ...]:
        if delivery.offset == 1 and isinstance(verdict, Outcome):
            raise ZeroDivisionError
        return tell(delivery, verdict)

    taker = Taker(one.registrar)
    every = deliveries(model("a"), version("a", "1.0.0"), version("a", "1.0.0"))
    before = 0
    while before < 3:
        before += await taker.take(SOURCE, Taken(before), every[before:], broken)
    told = Queue(one).told()
    assert [word for _, word, _ in told] == ["201", "ZeroDivisionError", "201"]
    assert [row.sequence for row in one.log.load("model/a")] == [1, 2]


async def test_what_could_not_be_read_is_told_in_its_turn(one: Running) -> None:
    queue = Queue(one)
    await queue.take(deliveries(model("a"), Malformed("no command", code="undecodable_command"), model("b")))
    assert [word for _, word, _ in queue.told()] == ["201", "undecodable_command", "201"]
    assert queue.rounds == [3]


async def test_an_order_that_came_too_late_is_refused_unless_it_was_done_before(one: Running) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    limited = replace(model("a"), expires_at=now + timedelta(minutes=1))
    await Queue(one, clock=lambda: now).take(deliveries(limited))
    late = Queue(one, clock=lambda: now + timedelta(hours=1))
    await late.take(deliveries(limited, replace(limited, command_id="another"), first=1))
    assert [word for _, word, _ in late.told()] == ["201", "200", "command_expired"]


async def test_offsets_may_have_gaps(one: Running) -> None:
    queue = Queue(one)
    await queue.take([Delivery(7, model("a")), Delivery(12, model("b"))])
    assert one.log.intake(SOURCE) == Taken(13)


async def test_every_taken_command_is_observed_by_its_name(one: Running) -> None:
    seen: list[tuple[str, str]] = []
    queue = Queue(one, observe=lambda kind, outcome, _: seen.append((kind, outcome)))
    unreadable = Refused("no")
    await queue.take(deliveries(model("a"), model("a"), replace(model("b"), type="Nonsense"), unreadable))
    assert seen == [
        ("register_model", "done"),
        ("register_model", "replayed"),
        ("unknown", "unknown_command_type"),
        ("unknown", "refused"),
    ]


async def test_what_cannot_be_told_does_not_hold_the_queue_up(one: Running) -> None:
    def broken(delivery: Delivery, verdict: Verdict) -> tuple[Outgoing, ...]:
        if delivery.offset == 0:
            raise ZeroDivisionError
        return tell(delivery, verdict)

    assert await Taker(one.registrar).take(SOURCE, Taken(0), deliveries(model("a"), model("b")), broken) == 2
    assert Queue(one).told() == [(1, "201", 2)]
    assert one.log.intake(SOURCE) == Taken(2)
