"""What is in production, and what serves it."""

from __future__ import annotations

from typing import Annotated

import typer

from regista.cli import parse, served
from regista.cli.arguments import At
from regista.cli.command import command
from regista.cli.commands.reads import PANEL
from regista.cli.shell import Shell


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "production", panel=PANEL)(production)


def production(
    shell: Shell,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Of one model; left out: of all.", show_default=False)
    ] = None,
    at: At = None,
) -> None:
    """What is in production, since when, by whom and why, and which endpoints serve it; now, or at a moment in the past."""
    found = list(shell.client.production(model, at=parse.moment(at)))
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((p.model, p.version, p.since, p.actor, p.reason, p.previous_version) for p in found)
    nothing = f"nothing {'was' if at else 'is'} in production"
    shell.out.table(("model", "version", "since", "by", "why", "before"), rows, empty=nothing)
    serving = [(p, endpoint) for p in found for endpoint in p.endpoints]
    if serving:
        shell.out.line()
        shell.out.table(
            ("endpoint", "model", "state", "wanted", "runs", "since"),
            (
                (
                    f"{one.environment}/{one.endpoint}",
                    p.model,
                    one.state,
                    served.variants(one.desired),
                    [f"{a.target}: {served.actual(a)}" for a in one.actual],
                    one.since,
                )
                for p, one in serving
            ),
        )
