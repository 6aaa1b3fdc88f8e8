"""Serving: up, serve, version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from regista.cli.command import command
from regista.cli.offline import server_part
from regista.cli.shell import Shell

PANEL = "Serving"


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "up", panel=PANEL)(up)
    command(app, "serve", panel=PANEL)(up)
    command(app, "version", panel=PANEL)(version)


def up(
    shell: Shell,
    host: Annotated[
        str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 unless REGISTA_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", help="8080 unless REGISTA_PORT; 0 takes a free one.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Log, views and artifacts; ./.regista unless REGISTA_DATA."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")
    ] = None,
) -> None:
    """Run a registry in this process: log, views, artifacts and API."""
    server = server_part("regista.server")
    settings = server_part("regista.settings").load(
        host=host, port=port, data=data, log_level=log_level, token=shell.options.token
    )
    raise typer.Exit(server.run(settings))


def version(shell: Shell) -> None:
    """The release of this program."""
    shell.out.json({"version": release()}) if shell.out.as_json else shell.out.line(release())


def release() -> str:
    """Such as 0.1.0."""
    from importlib.metadata import version as installed  # noqa: PLC0415 - other commands do without

    return installed("regista")
