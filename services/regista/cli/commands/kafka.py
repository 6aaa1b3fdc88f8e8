"""Kafka: the topics of a log, and a log that comes back from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli.arguments import Reason
from regista.cli.command import command
from regista.cli.exits import REFUSED
from regista.cli.offline import server_part
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.administration import Healed

PANEL = "Kafka"

Brokers = Annotated[
    str | None, typer.Option("--kafka", metavar="HOST:PORT", help="Brokers to begin with, unless REGISTA_KAFKA.")
]
Prefix = Annotated[
    str | None, typer.Option("--prefix", metavar="NAME", help="Beginning of all names, unless REGISTA_KAFKA_PREFIX.")
]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    topics = typer.Typer(name="topics", help="The topics of a log: create, check, plan.", no_args_is_help=True)
    command(topics, "create")(create)
    command(topics, "check")(check)
    command(topics, "plan")(plan)
    app.add_typer(topics, rich_help_panel=PANEL)
    command(app, "heal", panel=PANEL)(heal)


def create(shell: Shell, kafka: Brokers = None, prefix: Prefix = None) -> None:
    """Create the topics that are missing, and check those that are there."""
    created = server_part("regista.topics").create(_settings(kafka, prefix))
    if shell.out.as_json:
        shell.out.json({"created": created})
        return
    for name in created:
        shell.out.line(f"{name} created")
    shell.out.note("every topic is there, with the partitions and the policy that it must have")


def check(shell: Shell, kafka: Brokers = None, prefix: Prefix = None) -> None:
    """Compare the topics with what they must be; what differs is named (exit code 1)."""
    problems = server_part("regista.topics").check(_settings(kafka, prefix))
    if shell.out.as_json:
        shell.out.json({"problems": problems})
    elif problems:
        shell.out.table(("topic", "what is wrong"), ((found["topic"], found["detail"]) for found in problems))
    else:
        shell.out.line("every topic is there, with the partitions and the policy that it must have", style="green")
    if problems:
        raise typer.Exit(REFUSED)


def plan(
    shell: Shell,
    form: Annotated[str, typer.Option("--format", metavar="FORM", help="commands, terraform or strimzi.")] = "commands",
    prefix: Prefix = None,
    users: Annotated[
        list[str] | None,
        typer.Option("--user", metavar="ROLE=USER", help="Who plays a role, such as relay=publisher; repeat it."),
    ] = None,
) -> None:
    """Print topics, ACLs, transactional ids and groups, for those who create them elsewhere. Asks no Kafka."""
    text = server_part("regista.topics").plan_text(_settings(None, prefix), form, users or [])
    shell.out.json({"format": form, "plan": text}) if shell.out.as_json else shell.out.raw(text)


def heal(
    shell: Shell,
    kafka: Brokers = None,
    prefix: Prefix = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data directory to heal; it may be new.")
    ] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="The PostgreSQL to heal, instead of a directory.")
    ] = None,
    quarantine: Annotated[
        Path | None,
        typer.Option("--quarantine", metavar="FILE", help="Where events go that Kafka contradicts; a new file."),
    ] = None,
    reason: Reason = None,
) -> None:
    """Make a lost, lagging or forked store equal to what Kafka has of its log, byte for byte. Nothing may be running."""
    from regista.client.settings import default_actor  # noqa: PLC0415 - loads the SDK

    given: dict[str, Any] = {"kafka": kafka, "kafka_prefix": prefix, "data": data, "database": database}
    if data is not None and database is None:
        given |= {"database": "", "views": ""}
    settings = server_part("regista.settings").load(**given)
    found: Healed = server_part("regista.copies").offline_heal(
        settings, actor=shell.options.actor or default_actor(), reason=reason, quarantine=quarantine
    )
    if shell.out.as_json:
        shell.out.json(found)
        return
    if found.queues and not (found.restored or found.quarantined):
        shell.out.line(
            f"{found.kept} events are equal; what is remembered of commands by Kafka is what Kafka says again"
        )
        return
    if not (found.restored or found.quarantined):
        shell.out.line(f"nothing to heal: {found.kept} events are equal, {found.unpublished} are not published yet")
        return
    shell.out.line(f"{found.restored} events restored, {found.kept} kept; the log goes on behind {found.position}")
    if found.quarantine is not None:
        shell.out.note(f"{found.quarantined} events that Kafka contradicts are in {found.quarantine}")


def _settings(kafka: str | None, prefix: str | None) -> Any:  # noqa: ANN401 - of the server, if installed
    return server_part("regista.settings").load(kafka=kafka, kafka_prefix=prefix)
