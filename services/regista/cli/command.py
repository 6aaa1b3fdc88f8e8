"""How a function becomes a command: the options that all share, and what its errors mean to the shell.

The options are part of every command, so that they may stand before or after its name.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeAlias, get_type_hints

import typer

from regista.cli.exits import INTERRUPTED, REFUSED, code_of
from regista.cli.shell import Options, Shell
from regista.domain.errors import RegistaError

Function: TypeAlias = Callable[..., None]
_COMMON = "Options of every command"

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="Where the registry is; else REGISTA_URL.", rich_help_panel=_COMMON),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="Bearer token; else REGISTA_TOKEN.", rich_help_panel=_COMMON),
]
Actor = Annotated[
    str | None,
    typer.Option("--actor", metavar="WHO", help="Who asks; else REGISTA_ACTOR, else you.", rich_help_panel=_COMMON),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.", rich_help_panel=_COMMON)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the events it would append, and do nothing.")]
IfMatch = Annotated[
    int | None, typer.Option("--if-match", metavar="N", help="Only if the resource was last touched at sequence N.")
]
CommandId = Annotated[
    str | None, typer.Option("--command-id", metavar="ID", help="Idempotency key; repeating it does nothing twice.")
]


def command(
    app: typer.Typer, name: str, *, writes: bool = False, panel: str | None = None
) -> Callable[[Function], Function]:
    """Register a function as a command. Its first parameter is the ``Shell``; its docstring is the help."""

    def register(function: Function) -> Function:
        app.command(name, rich_help_panel=panel)(_wrapped(function, writes=writes))
        return function

    return register


def _wrapped(function: Function, *, writes: bool) -> Function:
    @functools.wraps(function)
    def run(ctx: typer.Context, **given: Any) -> None:  # noqa: ANN401 - typed by the signature below
        before = ctx.find_object(Options) or Options()
        own = Options(given.pop("url"), given.pop("token"), given.pop("actor"), given.pop("json"))
        write = {key: given.pop(key) for key in ("dry_run", "if_match", "command_id")} if writes else {}
        shell = Shell(own.over(before), **write)
        try:
            function(shell, **given)
        except RegistaError as error:
            shell.out.refusal(error)
            raise typer.Exit(code_of(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read the output has seen enough; nothing more may be written when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(REFUSED) from None
        finally:
            shell.close()

    run.__signature__ = _signature(function, writes=writes)  # type: ignore[attr-defined]  # what typer reads
    run.__annotations__ = {}
    return run


def _signature(function: Function, *, writes: bool) -> inspect.Signature:
    hints = get_type_hints(function, include_extras=True)
    _, *own = inspect.signature(function).parameters.values()
    parameters = [p.replace(annotation=hints[p.name], kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
    added: list[tuple[str, Any, Any]] = [("url", Url, None), ("token", Token, None), ("actor", Actor, None)]
    added.append(("json", Json, False))
    if writes:
        added = [("dry_run", DryRun, False), ("if_match", IfMatch, None), ("command_id", CommandId, None), *added]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    return inspect.Signature(
        [context, *parameters]
        + [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for name, annotation, default in added
        ]
    )
