"""Going back: a stage of a model, what an endpoint serves, all of an environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli import following, parse, parse_serving, waiting
from regista.cli.arguments import RequiredReason
from regista.cli.command import command
from regista.cli.commands.versions import print_version
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.deployments import RollbackWritten

PANEL = "Stages and aliases"
PRODUCTION = "production"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "rollback", writes=True, panel=PANEL)(rollback)


def rollback(
    shell: Shell,
    reason: RequiredReason,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|ENDPOINT]",
            help="A model, or an endpoint such as prod/fraud; neither with --environment.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="REF|N",
            help="Any earlier holder of the stage; of an endpoint, the change N; else the last.",
        ),
    ] = None,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="STAGE", help="The stage of the model; production unless said.")
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option("--environment", metavar="ENVIRONMENT", help="All its endpoints and stages, together; with --at."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="MOMENT", help="With --environment: a position, or a time such as 2026-05-04T12:00:00Z."
        ),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            metavar="VERSION|N",
            help="Only if this version holds the stage now ('none': nobody); of an endpoint, only if change N is its newest.",
        ),
    ] = None,
    wait: waiting.Wait = False,
    timeout: waiting.Timeout = waiting.PATIENCE,
) -> None:
    """Bring back what was before: a stage to its last holder, an endpoint to its last change, an environment to a moment.

    After the rollback of a stage it says which endpoints went with it, which did not, and what brings them.
    """
    given = {"--to": to, "--stage": stage, "--expect": expect, "--at": at}
    if (name is None) == (environment is None):
        raise typer.BadParameter("name a model, an endpoint, or --environment ENVIRONMENT", param_hint="MODEL")
    if environment is not None:
        _only({"--at"}, given, "--environment")
        moment = parse.moment(at)
        if moment is None:
            raise typer.BadParameter("say which moment it goes back to", param_hint="--at")
        done = shell.write(shell.client.roll_back_environment, environment, at=moment, reason=reason)
        if done is not None:
            _print_environment(shell, environment, done, wait=wait, timeout=timeout)
    elif parse_serving.is_endpoint(str(name)):
        _only({"--to", "--expect"}, given, "an endpoint")
        place = parse_serving.endpoint(str(name))
        more: dict[str, Any] = {} if expect is None else {"expect_change": _change(expect, "--expect")}
        back = None if to is None else _change(to, "--to")
        written = shell.write(shell.client.roll_back_endpoint, *place, reason=reason, to=back, **more)
        if written is not None:
            waiting.finish(shell, written, "is to serve again what was served before", wait, timeout)
    else:
        _only({"--to", "--stage", "--expect"}, given, "a model")
        _roll_back_model(shell, str(name), reason, to, stage or PRODUCTION, expect, wait=wait, timeout=timeout)


def _roll_back_model(
    shell: Shell, model: str, reason: str, to: str | None, stage: str, expect: str | None, *, wait: bool, timeout: float
) -> None:
    written = shell.write(shell.client.rollback, model, reason=reason, to=to, stage=stage, **parse.expectation(expect))
    if written is not None:
        print_version(shell, written, f"is back in {stage}", followed=following.stage_named(stage), wait=wait,
                      timeout=timeout, before=written.previous_version)  # fmt: skip


def _print_environment(shell: Shell, environment: str, written: RollbackWritten, *, wait: bool, timeout: float) -> None:
    events = written.events
    streams = [(one.stream, one.sequence) for one in events] if events else [(written.stream, written.sequence)]
    if not shell.out.as_json:
        shell.out.line(f"{environment}  is back where it was")
        shell.out.fields(
            [
                ("  changed", [stream.partition("/")[2] for stream, _ in streams]),
                ("  position", written.position),
                ("  hash", written.hash),
            ]
        )
    outcomes: list[dict[str, Any]] = []
    if wait:
        by_stream = {f"endpoint/{one.environment}/{one.endpoint}".lower(): one
                     for one in shell.client.endpoints(environment=environment)}  # fmt: skip
        changes = [
            waiting.Deployed(found.environment, found.endpoint, sequence, found.targets)
            for stream, sequence in streams
            if (found := by_stream.get(stream)) is not None
        ]
        outcomes = waiting.await_deployments(shell, changes, written.position, timeout)
    if shell.out.as_json:
        shell.out.json({**written.model_dump(mode="json"), **({"deployments": outcomes} if wait else {})})
    if wait:
        waiting.exit_by(outcomes)


def _only(allowed: set[str], given: dict[str, Any], what: str) -> None:
    for option, value in given.items():
        if value is not None and option not in allowed:
            raise typer.BadParameter(f"it does not go with {what}", param_hint=option)


def _change(text: str, option: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise typer.BadParameter(f"{text!r}: name a change of the endpoint by its number", param_hint=option)
    return int(text)
