"""What a dry run prints."""

from __future__ import annotations

from regista.cli.printer import Printer, cell
from regista.domain.sentences import sentence
from regista.wire.resources import Plan


def print_plan(out: Printer, plan: Plan) -> None:
    """The events that would be appended, in words; with JSON as they would stand in the log."""
    if out.as_json:
        out.json(plan)
        return
    for event in plan.events:
        out.line(f"would append {event.type} as {event.stream} {event.sequence}: {sentence(event.type, event.data)}")
        numbering = event.data.get("numbering")
        for reason in (numbering or {}).get("explanation", ()):
            out.line(f"  {cell(reason)}")
    if not plan.events:
        out.line("would append nothing")
