"""Serving: up, and the processes of a registry that is spread out: serve, relay, project, deploy, notify. And version."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from regista.cli.command import Function, command
from regista.cli.offline import server_part
from regista.cli.shell import Shell

PANEL = "Serving"

Host = Annotated[
    str | None, typer.Option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 unless REGISTA_HOST.")
]
Port = Annotated[
    int | None, typer.Option("--port", metavar="PORT", help="8080 unless REGISTA_PORT; 0 takes a free one.")
]
DataDirectory = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Log, views and artifacts; ./.regista unless REGISTA_DATA."),
]
Kafka = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Brokers of Kafka; none unless REGISTA_KAFKA.")
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="PostgreSQL of the log and the views, unless REGISTA_DATABASE."),
]
From = Annotated[
    int | None,
    typer.Option(
        "--from",
        metavar="POSITION",
        min=1,
        help="Act on events from this position on, once: an explicit act, which is recorded. Else on what comes after "
        "the first start.",
    ),
]
LogLevel = Annotated[str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")]


_SERVER = "regista.server"
_WORKERS = "regista.processes.workers"


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    for name, function in PROCESSES.items():
        command(app, name, panel=PANEL)(function)
    command(app, "version", panel=PANEL)(version)


def _serving(module: str, process: str, says: str) -> Function:
    """The command that runs a process; ``says`` is its help."""

    def run(
        shell: Shell,
        host: Host = None,
        port: Port = None,
        data: DataDirectory = None,
        kafka: Kafka = None,
        database: Database = None,
        log_level: LogLevel = None,
    ) -> None:
        _run(
            shell, module, process, host=host, port=port, data=data, kafka=kafka, database=database, log_level=log_level
        )

    run.__doc__ = says
    return run


def _acting(process: str, says: str) -> Function:
    """As ``_serving``, of a process that acts on events, and sends commands to a registry."""

    def run(
        shell: Shell,
        host: Host = None,
        port: Port = None,
        data: DataDirectory = None,
        kafka: Kafka = None,
        database: Database = None,
        start: From = None,
        log_level: LogLevel = None,
    ) -> None:
        _run(
            shell, _WORKERS, process, host=host, port=port, data=data, kafka=kafka, database=database,
            effects_from=start, log_level=log_level, url=shell.options.url,
        )  # fmt: skip

    run.__doc__ = f"""{says}

    Commands go to the registry at REGISTA_URL. Events come from Kafka where there is one, else from the log.
    """
    return run


PROCESSES = {
    "up": _serving(
        _SERVER,
        "run",
        "Run a registry in this process: log, views, artifacts and API; with Kafka, relay and command intake as well.",
    ),
    "serve": _serving(
        _SERVER,
        "serve",
        "Answer writes and reads, and take commands from Kafka; `project` makes the views, `relay` publishes.",
    ),
    "relay": _serving(
        _WORKERS, "relay", "Publish the log and the results of commands on Kafka. A second one stands by."
    ),
    "project": _serving(
        _WORKERS, "project", "Fold the log into the views, from Kafka where there is one. A second one stands by."
    ),
    "deploy": _acting(
        "deploy", "Bring what endpoints want to their targets, and report what runs. A second one stands by."
    ),
    "notify": _acting("notify", "Send webhooks to those who subscribed. A second one stands by."),
}
"""The processes, by the names of their commands."""


def _run(shell: Shell, module: str, process: str, **given: Any) -> None:  # noqa: ANN401 - settings of all kinds
    run = getattr(server_part(module), process)
    settings = server_part("regista.settings").load(**given, token=shell.options.token)
    raise typer.Exit(run(settings))


def version(shell: Shell) -> None:
    """The release of this program."""
    shell.out.json({"version": release()}) if shell.out.as_json else shell.out.line(release())


def release() -> str:
    """Such as 0.1.0."""
    from importlib.metadata import version as installed  # noqa: PLC0415 - other commands do without

    return installed("regista")
