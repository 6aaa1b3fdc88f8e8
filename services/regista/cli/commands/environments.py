"""Environments: define, ls, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regista.cli import parse
from regista.cli.arguments import At, Description, Reason
from regista.cli.command import command
from regista.cli.printer import cell
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regista.wire.deployment_views import Environment

PANEL = "Deployments"
Name = Annotated[str, typer.Argument(metavar="ENVIRONMENT", help="The environment's name.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    environment = typer.Typer(
        help="Where versions are served, and which stages are let in there.", no_args_is_help=True
    )
    command(environment, "define", writes=True)(define)
    command(environment, "ls")(ls)
    command(environment, "show")(show)
    app.add_typer(environment, name="environment", rich_help_panel=PANEL)


def define(
    shell: Shell,
    environment: Name,
    stages: Annotated[
        str, typer.Option("--stages", metavar="STAGE,…", help="The stages whose versions may be served there.")
    ],
    regions: Annotated[
        str | None, typer.Option("--regions", metavar="REGION,…", help="Its regions; left out: it is one place.")
    ] = None,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Say all of what an environment is, anew each time: what is left out is not kept."""
    written = shell.write(
        shell.client.define_environment,
        environment,
        stages=listed(stages),
        regions=listed(regions),
        description=description,
        reason=reason,
    )
    if written is None:
        return
    if shell.out.as_json:
        shell.out.json(written)
        return
    regional = f" in {cell(written.regions)}" if written.regions else ""
    shell.out.line(f"{written.environment}  serves {cell(written.stages)}{regional}")
    shell.out.fields([("  position", written.position), ("  hash", written.hash)])


def ls(shell: Shell) -> None:
    """List the environments."""
    found = list(shell.client.environments())
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((e.environment, e.stages, e.regions, e.description, e.updated_at, e.updated_by) for e in found)
    columns = ("environment", "stages", "regions", "description", "since", "by")
    shell.out.table(columns, rows, empty="no environment is defined")


def show(shell: Shell, environment: Name, at: At = None) -> None:
    """Show an environment, and what is served there."""
    found = shell.client.environment(environment, at=parse.moment(at))
    if shell.out.as_json:
        shell.out.json(found)
        return
    print_environment(shell, found)
    if at is None:
        from regista.cli.served import print_endpoints  # noqa: PLC0415 - needs the views of endpoints

        shell.out.line()
        print_endpoints(shell, shell.client.endpoints(environment=environment), empty="it has no endpoints")


def print_environment(shell: Shell, found: Environment) -> None:
    """What it is."""
    shell.out.line(found.environment, style="bold")
    shell.out.fields(
        [
            ("description", found.description),
            ("stages", found.stages),
            ("regions", found.regions),
            ("defined", f"{cell(found.updated_at)} by {found.updated_by}"),
            ("why", found.reason),
            ("as of", found.at and f"position {found.at}"),
        ]
    )


def listed(text: str | None) -> Sequence[str]:
    """``A,B``."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
