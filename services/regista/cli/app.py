"""The ``regista`` program: its commands, in the order of a model's life."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from regista.cli.command import Actor, Json, Token, Url
from regista.cli.commands import (
    endpoints,
    environments,
    events,
    files,
    kafka,
    lifecycle,
    log,
    models,
    production,
    reads,
    rollback,
    server,
    targets,
    traffic,
    versions,
    webhooks,
)
from regista.cli.shell import Options

HELP = """A registry for machine-learning models: every change is an event that says who, why and when.

Exit codes: 0 done, 1 refused, 2 usage, 3 unreachable, 4 done but a target failed (--wait).
"""


def _tell_release(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"{server.release()}\n")
        raise typer.Exit


Release = Annotated[
    bool, typer.Option("--version", callback=_tell_release, is_eager=True, help="The release of this program.")
]


def build() -> typer.Typer:
    """The program, with all its commands."""
    app = typer.Typer(
        name="regista",
        help=HELP,
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def remember(
        ctx: typer.Context,
        url: Url = None,
        token: Token = None,
        actor: Actor = None,
        json: Json = False,
        version: Release = False,  # noqa: ARG001 - its callback has done everything
    ) -> None:
        ctx.obj = Options(url, token, actor, json)

    serving = (environments, targets, endpoints, traffic)
    looking = (reads, production, events)
    for part in (versions, lifecycle, rollback, *serving, models, *looking, webhooks, files, log, kafka, server):
        part.add_to(app)
    return app


def main() -> None:
    """Run the command line with the arguments of this process."""
    for stream in (sys.stdout, sys.stderr):
        # A name in another script is no reason to fail on a terminal that cannot show it.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    build()()
