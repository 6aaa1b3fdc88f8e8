"""Commands on environments, targets and endpoints: what they read is named, what they write is one set."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.registrar import NothingStored, Running, registrar_on, registration, running

from regista.artifacts.manifest import FileEntry, Manifest
from regista.domain import commands as m
from regista.domain.endpoint import commands as c
from regista.domain.environment.commands import DefineEnvironment, RollBackEnvironment
from regista.domain.errors import BeyondLog, Invalid, NotFound, PreconditionFailed, Refused
from regista.domain.target.commands import PutTarget, RemoveTarget
from regista.registrar.answers import Outcome
from regista.registrar.artifacts import Described
from regista.registrar.commands import Command
from regista.registrar.request import check_cause
from regista.store.append import Append
from regista.store.mapper import AvroMapper

FULL = 10_000


async def prepared(one: Running, endpoints: tuple[str, ...] = ("fraud",)) -> None:
    """``prod`` with the target ``edge``, two versions of ``fraud`` in staging, and endpoints for it."""
    await one.do(m.RegisterModel("fraud"))
    for number in range(2):
        await one.do(registration("fraud", number))
        await one.do(m.Promote("fraud", str(number + 1), "staging", keep_existing=True))
    await one.do(DefineEnvironment("Prod", ("staging", "production")))
    await one.do(PutTarget("edge", "nginx"))
    for name in endpoints:
        await one.do(c.CreateEndpoint("prod", name, "fraud", ("edge",)))


def serve(ref: str, endpoint: str = "fraud", **more: Any) -> c.ChangeTraffic:
    return c.ChangeTraffic("prod", endpoint, (c.VariantRequest(ref, FULL),), **more)


def appends(one: Running, monkeypatch: pytest.MonkeyPatch) -> list[Append]:
    """What is appended from now on."""
    seen: list[Append] = []
    append = one.log.append

    def watched(some: Any) -> list[int]:
        seen.extend(some)
        return append(some)

    monkeypatch.setattr(one.log, "append", watched)
    return seen


async def test_a_change_of_traffic_names_all_that_it_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        cold = registrar_on(one.log, tmp_path)
        try:
            seen = appends(one, monkeypatch)
            answer = await cold.do(serve("2"))
        finally:
            await cold.writer.close()
        [append] = seen
        assert set(append.reads) == {"environment/prod", "model/fraud", "target/edge"}
        assert all(sequence == sum(1 for _ in one.log.load(stream)) for stream, sequence in append.reads.items())
        assert set(append.tips) == {"endpoint/prod/fraud", *append.reads}
        assert answer.answer["variants"][0]["ordinal"] == 2


async def test_what_was_read_moved_by_another_registrar_is_read_again(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        other = registrar_on(one.log, tmp_path)
        try:
            await other.do(serve("2"))  # it knows the environment now
            await one.do(DefineEnvironment("prod", ("production",)))
            with pytest.raises(Refused) as refused:
                await other.do(serve("1"))
            assert {reason.code for reason in refused.value.reasons} == {"stage_not_allowed"}
        finally:
            await other.writer.close()


async def test_a_refusal_is_looked_at_again_when_what_it_rests_on_had_moved(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        other = registrar_on(one.log, tmp_path)
        try:
            with pytest.raises(Refused):
                await other.do(c.UpdateEndpoint("prod", "fraud", ("edge", "cloud")))
            await one.do(PutTarget("cloud", "kserve"))
            answer = await other.do(c.UpdateEndpoint("prod", "fraud", ("edge", "cloud")))
            assert answer.answer["targets"] == ["edge", "cloud"]
        finally:
            await other.writer.close()


async def test_a_rollback_of_an_environment_is_one_set_over_all_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as one:
        await prepared(one, ("a", "b"))
        for name in "ab":
            moment = (await one.do(serve("1", name))).position
        for name in "ab":
            await one.do(serve("2", name))
        await one.do(m.Archive("fraud", "1"))
        cold = registrar_on(one.log, tmp_path)
        try:
            seen = appends(one, monkeypatch)
            answer = await cold.do(RollBackEnvironment("prod", str(moment)), command_id="back")
        finally:
            await cold.writer.close()
        [append] = seen
        assert set(append.reads) == {"environment/prod"}
        rows = one.log.read(moment, 100)[-3:]
        assert [row.stream for row in rows] == ["endpoint/prod/a", "endpoint/prod/b", "model/fraud"]
        assert [row.position for row in rows] == list(range(rows[0].position, rows[0].position + 3))
        assert {AvroMapper().from_row(row).meta.command_id for row in rows} == {"back"}
        assert [told["stream"] for told in answer.answer["events"]] == [row.stream for row in rows]
        assert (await one.do(serve("1", "a"), "again")).answer["variants"][0]["version"] == "1.0.0"
        replayed = await one.do(RollBackEnvironment("prod", str(moment)), command_id="back")
        assert replayed.answer == {**answer.answer, "replayed": True}
        found = await one.registrar.find("ann", "back")
        assert found is not None
        assert found.answer == replayed.answer


async def test_a_time_stands_for_what_was_before_it(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        first = await one.do(serve("1"))
        row = one.log.row(first.position)
        assert row is not None
        at = AvroMapper().from_row(row).meta.time
        await one.do(serve("2"))
        early = at - timedelta(microseconds=1)
        for moment, code, said in (
            (early, "as_it_was", "served nothing then is left alone: Prod/fraud"),
            (datetime(2000, 1, 1, tzinfo=at.tzinfo), "not_there_then", "stream=environment/prod"),
        ):
            with pytest.raises(Refused) as refused:
                await one.do(RollBackEnvironment("prod", moment.isoformat()))
            assert refused.value.code == code
            assert said in (refused.value.hint or "")
        answer = await one.do(RollBackEnvironment("prod", at.isoformat()))
        assert (answer.answer["stream"], answer.answer["variants"][0]["version"]) == ("endpoint/prod/fraud", "1.0.0")


async def test_a_moment_that_is_none_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        with pytest.raises(BeyondLog):
            await one.do(RollBackEnvironment("prod", "100000"))
        with pytest.raises(NotFound):
            await one.do(RollBackEnvironment("dev", "1"))


async def test_a_target_that_is_served_is_not_removed(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one, ("a", "b"))
        cold = registrar_on(one.log, tmp_path)
        try:
            with pytest.raises(Refused) as refused:
                await cold.do(RemoveTarget("edge"))
        finally:
            await cold.writer.close()
        assert (refused.value.code, len(refused.value.reasons)) == ("target_in_use", 2)
        for name in "ab":
            await one.do(c.RetireEndpoint("prod", name))
        assert (await one.do(RemoveTarget("edge"))).answer["removed"]


async def everything(one: Running) -> list[Outcome]:
    """A command of every kind, each with a key of its own."""
    both = (c.VariantRequest("1", 9_000), c.VariantRequest("2", 1_000))
    commands: tuple[Command, ...] = (
        DefineEnvironment("dev", ("staging",)),
        PutTarget("cloud", "kserve", '{"namespace":"ml"}'),
        PutTarget("cloud", "kserve"),
        c.UpdateEndpoint("prod", "fraud", follow="@staging"),
        c.ChangeTraffic("prod", "fraud", both),
        c.ReportDeployment("prod", "fraud", "edge", 3, "succeeded"),
        c.ConcludeExperiment("prod", "fraud", 3, "inconclusive"),
        serve("2"),
        c.RollBackEndpoint("prod", "fraud"),
        c.FollowVersion("prod", "fraud", "@staging"),
        c.RetireEndpoint("prod", "fraud"),
        RemoveTarget("cloud"),
    )
    return [await one.do(command, command_id=f"k{number}") for number, command in enumerate(commands)]


async def test_a_replay_answers_as_the_first_time_whatever_came_since(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        first = await everything(one)
        again = await everything(one)
        assert [outcome.answer for outcome in again] == [{**o.answer, "replayed": True} for o in first]
        assert [outcome.status for outcome in again] == [200] * len(first)


async def test_an_entity_tag_that_moved_on_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        with pytest.raises(PreconditionFailed):
            await one.do(serve("1"), if_match=(7,))
        with pytest.raises(PreconditionFailed):
            await one.do(PutTarget("new", "nginx"), if_match="*")
        assert (await one.do(serve("1"), if_match=(1,))).status == 200


async def test_the_cause_is_kept_in_the_event(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        answer = await one.do(serve("1"), cause="model/fraud@5")
        row = one.log.row(answer.position)
        assert row is not None
        assert AvroMapper().from_row(row).meta.cause == "model/fraud@5"


@pytest.mark.parametrize("cause", ["", "model/fraud", "model/fraud@0", "other/fraud@1", "model/fraud@1 ", "model/@1x"])
def test_a_cause_that_names_no_event_is_refused(cause: str) -> None:
    with pytest.raises(Invalid):
        check_cause(cause)


async def test_commands_on_one_endpoint_at_once_are_done_one_after_the_other(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        await prepared(one)
        cold = registrar_on(one.log, tmp_path)
        try:
            outcomes = await asyncio.gather(
                *(who.do(serve(ref)) for who, ref in [(one, "1"), (cold, "2"), (one, "2"), (cold, "1")] * 5)
            )
        finally:
            await cold.writer.close()
        assert sorted(outcome.answer["sequence"] for outcome in outcomes) == list(range(2, 22))


class AllStored(NothingStored):
    """An artifact store that has one file of each version, until it is told that it is gone."""

    async def describe(self, digest: str) -> Described:
        return Described(next(whole for whole in MANIFESTS if whole.digest == digest), "onnx", None, None)


MANIFESTS = [Manifest.announced([FileEntry("model.onnx", 1, f"sha256:{number:064x}")]) for number in range(2)]


async def test_what_is_to_be_served_is_looked_for_in_the_artifact_store(tmp_path: Path) -> None:
    async with running(tmp_path) as plain:
        source = AllStored()
        one = registrar_on(plain.log, tmp_path, source)
        try:
            await prepared(one, ())
            for number, manifest in enumerate(MANIFESTS):
                artifact = m.AnnouncedArtifact(digest=manifest.digest)
                await one.do(registration("fraud", artifact=artifact))
                await one.do(m.Promote("fraud", str(number + 3), "staging", keep_existing=True))
            await one.do(c.CreateEndpoint("prod", "fraud", "fraud", ("edge",)))
            moment = (await one.do(serve("3"))).position
            await one.do(serve("4"))
            source.gone = {MANIFESTS[0].digest}
            for command in (serve("3"), c.RollBackEndpoint("prod", "fraud"), RollBackEnvironment("prod", str(moment))):
                with pytest.raises(Refused) as refused:
                    await one.do(command)
                assert "artifact_missing" in {refused.value.code, *(r.code for r in refused.value.reasons)}
            source.gone = set()
            assert (await one.do(c.RollBackEndpoint("prod", "fraud"))).answer["variants"][0]["ordinal"] == 3
        finally:
            await one.writer.close()
