"""The same command id and body is carried out once, and answered as the first time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.registrar import registrar_on, registration, running

from regista.domain import commands as c
from regista.domain.errors import Invalid, KeyReused, Refused
from regista.registrar.request import Caller
from regista.registrar.states import States, StreamState


def first_answer(answer: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in answer.items() if name != "replayed"}


async def test_a_replay_gives_the_first_answer_though_much_has_happened_since(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"))
        first = await one.do(registration("fraud"), command_id="k")
        await one.do(registration("fraud", 1))
        await one.do(c.Promote("fraud", "1.0.0", "staging"))
        await one.do(c.AssignAlias("fraud", "champion", "1.0.0"))
        again = await one.do(registration("fraud"), command_id="k")
        assert first_answer(again.answer) == first_answer(first.answer)
        assert (first.status, first.answer["replayed"]) == (201, False)
        assert (again.status, again.answer["replayed"]) == (200, True)


async def test_a_replay_works_in_another_registrar_and_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        first = await one.do(c.RegisterModel("fraud"), command_id="k")
    async with running(tmp_path) as one:
        again = await one.do(c.RegisterModel("fraud"), command_id="k")
        assert first_answer(again.answer) == first_answer(first.answer)


async def test_twins_at_the_same_moment_lead_to_one_event(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        answers = await asyncio.gather(*(one.do(c.RegisterModel("fraud"), command_id="k") for _ in range(20)))
        assert len({a.position for a in answers}) == 1
        assert sum(not a.answer["replayed"] for a in answers) == 1
        assert one.log.max_position() == answers[0].position


async def test_twins_at_two_registrars_lead_to_one_event(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        other = registrar_on(one.log, tmp_path)
        both = [who.do(c.RegisterModel("fraud"), command_id="k") for _ in range(10) for who in (one, other)]
        assert len({a.position for a in await asyncio.gather(*both)}) == 1
        await other.writer.close()


@pytest.mark.parametrize(
    "command",
    [c.RegisterModel("other"), c.RegisterModel("fraud", title="x"), c.RetireModel("fraud")],
    ids=["another name", "another field", "another kind"],
)
async def test_the_same_id_with_another_body_is_refused(tmp_path: Path, command: c.Command) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"), command_id="k")
        with pytest.raises(KeyReused):
            await one.do(command, command_id="k")
        with pytest.raises(KeyReused):
            await one.do(c.RegisterModel("fraud"), reason="another", command_id="k")


async def test_ids_are_the_actors_own(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"), command_id="k")
        bob = await one.do(c.RegisterModel("churn"), caller=Caller("bob", "asserted"), command_id="k")
        assert bob.status == 201


async def test_a_refused_command_leaves_its_id_free(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await one.do(c.RegisterModel("fraud"))
        with pytest.raises(Refused):
            await one.do(c.RegisterModel("fraud"), command_id="k")
        assert (await one.do(c.RegisterModel("churn"), command_id="k")).status == 201


async def test_a_dry_run_appends_nothing_and_takes_no_id(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        before = one.log.max_position()
        plan = await one.do(c.RegisterModel("fraud"), command_id="k", dry_run=True)
        assert plan.answer["events"][0]["type"] == "regista.model.registered.v1"
        assert one.log.max_position() == before
        assert (await one.do(c.RegisterModel("fraud"), command_id="k")).status == 201


@pytest.mark.parametrize("key", ["", "a b", "a\n", "é", "x" * 256])
async def test_a_key_that_is_none_is_refused(tmp_path: Path, key: str) -> None:
    async with running(tmp_path) as one:
        with pytest.raises(Invalid, match="idempotency key"):
            await one.do(c.RegisterModel("fraud"), command_id=key)


@pytest.mark.parametrize("touch", [False, True], ids=["untouched since", "touched since"])
async def test_a_replay_in_a_long_stream_is_told_without_a_fold_where_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, touch: bool
) -> None:
    async with running(tmp_path) as one:
        await one.do(registration("fraud", create=True))
        first = await one.do(c.Promote("fraud", "1.0.0", "staging"), command_id="k")
        for n in range(1, 5):
            await one.do(registration("fraud", n))
        if touch:
            await one.do(c.AssignAlias("fraud", "champion", "1.0.0"))
        folds: list[str] = []
        fold = States.at

        def counted(states: States, stream: str, sequence: int) -> StreamState:
            folds.append(stream)
            return fold(states, stream, sequence)

        monkeypatch.setattr(States, "at", counted)
        again = await one.do(c.Promote("fraud", "1.0.0", "staging"), command_id="k")
        assert first_answer(again.answer) == first_answer(first.answer)
        assert len(folds) == touch


async def test_events_of_the_log_itself_are_no_commands_of_a_caller(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        assert await one.registrar.find("system", "log-created") is None
