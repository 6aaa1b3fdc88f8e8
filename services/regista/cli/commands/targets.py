"""Targets: put, ls, show, rm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from regista.cli import parse_serving
from regista.cli.arguments import Description, Reason, RequiredReason
from regista.cli.command import command
from regista.cli.commands.environments import PANEL
from regista.cli.printer import cell
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.deployments import TargetWritten

Name = Annotated[str, typer.Argument(metavar="TARGET", help="The target's name.", show_default=False)]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    target = typer.Typer(help="The systems that deployments are made to.", no_args_is_help=True)
    command(target, "put", writes=True)(put)
    command(target, "ls")(ls)
    command(target, "show")(show)
    command(target, "rm", writes=True)(remove)
    app.add_typer(target, name="target", rich_help_panel=PANEL)


def put(
    shell: Shell,
    target: Name,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="nginx, kserve, github, http, directory, or a plug-in's.")
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting; JSON where it is JSON, else text. Repeat it."),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", metavar="FILE", help="Settings as a JSON object; --set wins over it.")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="NAME=@FILE", help="A secret from a file, or NAME=- from stdin. Repeat it."),
    ] = None,
    forget_secret: Annotated[
        list[str] | None, typer.Option("--forget-secret", metavar="NAME", help="Forget a secret. Repeat it.")
    ] = None,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Say all of what a target is, anew each time: of what is left out only secrets are kept, while the kind stays."""
    written = shell.write(
        shell.client.put_target,
        target,
        kind=kind,
        settings=parse_serving.settings(settings, set_),
        secrets=parse_serving.secrets(secret, forget_secret),
        description=description,
        reason=reason,
    )
    if written is not None:
        _print(shell, written, f"is a target of kind {written.kind}")


def ls(shell: Shell) -> None:
    """List the targets."""
    found = list(shell.client.targets())
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((t.target, t.kind, t.description, [s.name for s in t.secrets], t.updated_at, t.updated_by) for t in found)
    shell.out.table(("target", "kind", "description", "secrets", "since", "by"), rows, empty="there is no target")


def show(shell: Shell, target: Name) -> None:
    """Show a target; of its secrets the names and fingerprints."""
    found = shell.client.target(target)
    if shell.out.as_json:
        shell.out.json(found)
        return
    shell.out.line(f"{found.target}{'   removed' if found.removed else ''}", style="bold")
    shell.out.fields(
        [
            ("kind", found.kind),
            ("description", found.description),
            ("settings", json.dumps(found.settings, indent=2, ensure_ascii=False) if found.settings else None),
            ("secrets", {secret.name: secret.fingerprint for secret in found.secrets}),
            ("since", f"{cell(found.updated_at)} by {found.updated_by}"),
            ("why", found.reason),
        ]
    )


def remove(shell: Shell, target: Name, reason: RequiredReason) -> None:
    """Remove a target that no endpoint is deployed to, and its secrets."""
    written = shell.write(shell.client.remove_target, target, reason=reason)
    if written is not None:
        _print(shell, written, "is removed")


def _print(shell: Shell, written: TargetWritten, what: str) -> None:
    if shell.out.as_json:
        shell.out.json(written)
        return
    shell.out.line(f"{written.target}  {what}")
    shell.out.fields(
        [
            ("  secrets", {secret.name: secret.fingerprint for secret in written.secrets}),
            ("  position", written.position),
            ("  hash", written.hash),
        ]
    )
