"""Invariant 5: every change is exactly one event, with actor, reason and command id."""

from __future__ import annotations

from pathlib import Path

from tests.support.registrar import registration, running

from regista.domain import commands as c
from regista.domain.records import to_json, to_record
from regista.registrar.request import Caller
from regista.store.mapper import AvroMapper

CHANGES: list[c.Command] = [
    c.RegisterModel("fraud"),
    c.UpdateModel("fraud", title="Fraud"),
    registration("fraud"),
    registration("fraud", 1),
    c.UpdateVersion("fraud", "1", description="first"),
    c.RecordEvaluation("fraud", "1", {"auc": 0.8}),
    c.ReportCheck("fraud", "1", "bias", "passed"),
    c.Promote("fraud", "1", "staging"),
    c.Promote("fraud", "1", "production"),
    c.Promote("fraud", "2", "staging"),
    c.Promote("fraud", "2", "production"),
    c.RollBack("fraud"),
    c.AssignAlias("fraud", "champion", "1"),
    c.AssignAlias("fraud", "champion", "1"),
    c.RemoveAlias("fraud", "champion"),
    c.Archive("fraud", "1", leave_empty=True),
    c.RetireModel("fraud"),
    c.ReviveModel("fraud"),
]


async def test_every_command_is_one_event_that_says_who_why_and_by_which_command(tmp_path: Path) -> None:
    mapper = AvroMapper()
    async with running(tmp_path) as one:
        for number, command in enumerate(CHANGES):
            before = one.log.max_position()
            caller = Caller(f"actor-{number}", "asserted", traceparent=f"00-{number:032x}-{1:016x}-01")
            answer = await one.do(command, f"reason {number}", caller, command_id=f"command-{number}")
            [row] = one.log.read(before + 1, 10)
            meta = mapper.from_row(row).meta
            assert row.position == answer.position
            assert (meta.actor, meta.reason, meta.command_id) == (
                f"actor-{number}",
                f"reason {number}",
                f"command-{number}",
            )
            assert meta.identity == "asserted"
            assert meta.traceparent == caller.traceparent


async def test_a_dry_run_says_what_the_command_then_does_and_changes_nothing(tmp_path: Path) -> None:
    mapper = AvroMapper()
    async with running(tmp_path) as one:
        for command in CHANGES:
            before = one.log.max_position()
            plan = (await one.do(command, dry_run=True)).answer
            assert one.log.max_position() == before, command
            answer = await one.do(command)
            [row] = one.log.read(before + 1, 10)
            [planned] = plan["events"]
            assert answer.position == row.position
            event = mapper.from_row(row).event
            assert (planned["stream"], planned["sequence"], planned["data"]) == (
                row.stream,
                row.sequence,
                to_json(to_record(event)),
            )
