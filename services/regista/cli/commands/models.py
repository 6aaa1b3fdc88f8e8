"""Models: create, update, retire, revive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from regista.cli import parse
from regista.cli.arguments import Description, LeaveEmpty, Model, Reason, RequiredReason, Tags, Untag
from regista.cli.command import command
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.resources import ModelWritten

PANEL = "Models"
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="A title, in any script.")]
Owner = Annotated[str | None, typer.Option("--owner", metavar="WHO", help="Who answers for it: an identifier.")]
Policy = Annotated[str | None, typer.Option("--policy", metavar="NAME", help="The rules its versions follow.")]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    model = typer.Typer(help="Create and describe models.", no_args_is_help=True)
    command(model, "create", writes=True)(create)
    command(model, "update", writes=True)(update)
    app.add_typer(model, name="model", rich_help_panel=PANEL)
    command(app, "retire", writes=True, panel=PANEL)(retire)
    command(app, "revive", writes=True, panel=PANEL)(revive)


def create(
    shell: Shell,
    model: Model,
    title: Title = None,
    description: Description = None,
    owner: Owner = None,
    tag: Tags = None,
    policy: Policy = None,
    reason: Reason = None,
) -> None:
    """Take a name. `regista register` does so by itself."""
    tags = parse.pairs(tag, str, "--tag") or None
    written = shell.write(
        shell.client.create_model,
        model,
        title=title,
        description=description,
        owner=owner,
        tags=tags,
        policy=policy,
        reason=reason,
    )
    _print(shell, written, "is registered")


def update(
    shell: Shell,
    model: Model,
    title: Title = None,
    description: Description = None,
    owner: Owner = None,
    tag: Tags = None,
    untag: Untag = None,
    policy: Policy = None,
    reason: Reason = None,
) -> None:
    """Change what describes a model."""
    written = shell.write(
        shell.client.update_model,
        model,
        title=title,
        description=description,
        owner=owner,
        tags=parse.tag_changes(tag, untag),
        policy=policy,
        reason=reason,
    )
    _print(shell, written, "is changed")


def retire(shell: Shell, model: Model, reason: RequiredReason, leave_empty: LeaveEmpty = False) -> None:
    """Take no more writes; name and numbers stay taken, reads go on."""
    _print(shell, shell.write(shell.client.retire_model, model, reason=reason, leave_empty=leave_empty), "is retired")


def revive(shell: Shell, model: Model, reason: Reason = None) -> None:
    """Take writes again; the numbers go on."""
    _print(shell, shell.write(shell.client.revive_model, model, reason=reason), "is revived")


def _print(shell: Shell, written: ModelWritten | None, what: str) -> None:
    if written is None:
        return
    if shell.out.as_json:
        shell.out.json(written)
        return
    shell.out.line(f"{written.model}  {what}")
    shell.out.fields([("  position", written.position), ("  hash", written.hash)])
