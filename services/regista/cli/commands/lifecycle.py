"""Stages and aliases: promote, archive, alias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regista.cli import following, parse, waiting
from regista.cli.arguments import Expect, LeaveEmpty, Model, Reason, Ref, RequiredReason
from regista.cli.command import command
from regista.cli.commands.versions import print_version
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.resources import AliasWritten

PANEL = "Stages and aliases"
Alias = Annotated[str, typer.Argument(metavar="ALIAS", help="The alias, such as champion.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "promote", writes=True, panel=PANEL)(promote)
    command(app, "archive", writes=True, panel=PANEL)(archive)
    alias = typer.Typer(help="Names that point at versions.", no_args_is_help=True)
    command(alias, "set", writes=True)(set_alias)
    command(alias, "rm", writes=True)(remove_alias)
    command(alias, "ls")(list_aliases)
    app.add_typer(alias, name="alias", rich_help_panel=PANEL)


def promote(
    shell: Shell,
    model: Model,
    ref: Ref,
    to: Annotated[str, typer.Option("--to", metavar="STAGE", help="staging, then production.")],
    reason: RequiredReason,
    expect: Expect = None,
    keep_existing: Annotated[bool, typer.Option("--keep-existing", help="Leave in the stage who is there.")] = False,
    wait: waiting.Wait = False,
    timeout: waiting.Timeout = waiting.PATIENCE,
) -> None:
    """Bring a version into the next stage; who held it goes to archived, and endpoints that follow the stage serve it."""
    written = shell.write(
        shell.client.promote,
        model,
        ref,
        to=to,
        reason=reason,
        keep_existing=keep_existing,
        **parse.expectation(expect),
    )
    if written is not None:
        stage = following.stage_named(written.stage)
        print_version(shell, written, f"is in {to}", followed=stage, wait=wait, timeout=timeout)


def archive(shell: Shell, model: Model, ref: Ref, reason: RequiredReason, leave_empty: LeaveEmpty = False) -> None:
    """Take a version out of the life cycle."""
    written = shell.write(shell.client.archive, model, ref, reason=reason, leave_empty=leave_empty)
    if written is not None:
        print_version(shell, written, "is archived")


def set_alias(
    shell: Shell,
    model: Model,
    alias: Alias,
    ref: Ref,
    reason: Reason = None,
    expect: Expect = None,
    wait: waiting.Wait = False,
    timeout: waiting.Timeout = waiting.PATIENCE,
) -> None:
    """Point an alias at a version; endpoints that follow the alias serve it."""
    written = shell.write(
        shell.client.set_alias,
        model,
        alias.removeprefix("@"),
        ref,
        reason=reason,
        **parse.expectation(expect),
    )
    if written is not None and written.version is not None:
        if not shell.out.as_json:
            _print_alias(shell, written)
        cause = f"{written.stream}@{written.sequence}"
        name = f"@{written.alias}"
        moved = following.Moved(written.model, name, written.version, None, cause, written.position)
        following.tell(shell, written, moved, wait=wait, timeout=timeout)


def remove_alias(shell: Shell, model: Model, alias: Alias, reason: Reason = None, expect: Expect = None) -> None:
    """Remove an alias."""
    if expect is not None and expect.lower() == parse.NOBODY:
        raise typer.BadParameter("an alias that points at nothing cannot be removed", param_hint="--expect")
    written = shell.write(
        shell.client.remove_alias,
        model,
        alias.removeprefix("@"),
        reason=reason,
        **({} if expect is None else {"expect_current": expect}),
    )
    if written is not None:
        _print_alias(shell, written)


def list_aliases(
    shell: Shell,
    model: Model,
    at: Annotated[str | None, typer.Option("--at", metavar="MOMENT", help="As of then.")] = None,
) -> None:
    """The aliases of a model."""
    found = list(shell.client.aliases(model, at=parse.moment(at)))
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((f"@{a.alias}", a.version, a.since, a.actor) for a in found)
    shell.out.table(("alias", "version", "since", "by"), rows, empty=f"{model} has no alias")


def _print_alias(shell: Shell, written: AliasWritten) -> None:
    if shell.out.as_json:
        shell.out.json(written)
        return
    now = f"points at {written.version}" if written.version else "is gone"
    shell.out.line(f"{written.model} @{written.alias}  {now}")
    shell.out.fields(
        [("  before", written.previous_version), ("  position", written.position), ("  hash", written.hash)]
    )
