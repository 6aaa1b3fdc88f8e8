"""Versions: register, update, evaluate, check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from regista.cli import following, parse, waiting
from regista.cli.arguments import Description, Metrics, Model, Reason, Ref, Tags, Untag
from regista.cli.command import command
from regista.cli.shell import Shell
from regista.domain.errors import Invalid
from regista.domain.errors import Reason as WhyNot

if TYPE_CHECKING:
    from regista.client import Run
    from regista.wire.resources import VersionWritten

PANEL = "Versions"
WAYS = {
    "artifact": "regista register MODEL PATH   (or --from run.json with artifact.uri and artifact.files)",
    "code": "--git .   (commit, repository and dirty state of a directory)   or --commit SHA",
    "datasets": "--dataset NAME@VERSION, or --dataset NAME=PATH, whose contents are digested",
    "metrics": "--metric auc=0.93",
    "trained_at": "--trained-at 2026-05-04T12:00:00Z   (or now)",
    "author": "--author IDENTIFIER   (who trained it, such as m.rossi or ci/fraud)",
}
"""The option that supplies each piece of required metadata."""
_ADD = {
    "artifact": "PATH",
    "code": "--git .",
    "datasets": "--dataset NAME=PATH",
    "metrics": "--metric accuracy=0.93",
    "trained_at": "--trained-at now",
    "author": "--author WHO",
}


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "register", writes=True, panel=PANEL)(register)
    command(app, "update", writes=True, panel=PANEL)(update)
    command(app, "evaluate", writes=True, panel=PANEL)(evaluate)
    command(app, "check", writes=True, panel=PANEL)(check)


def register(  # the fields of the API
    shell: Shell,
    model: Model,
    path: Annotated[
        Path | None, typer.Argument(metavar="PATH", help="The model's file or folder.", show_default=False)
    ] = None,
    version: Annotated[str, typer.Option("--version", metavar="X", help="A number, or auto.")] = "auto",
    base: Annotated[str | None, typer.Option("--base", metavar="REF", help="What auto compares with.")] = None,
    change: Annotated[
        str | None, typer.Option("--change", metavar="KIND", help="interface, retrained or configuration.")
    ] = None,
    from_run: Annotated[
        Path | None, typer.Option("--from", metavar="RUN.JSON", help="What run.save() of regista.capture() wrote.")
    ] = None,
    git: Annotated[
        Path | None, typer.Option("--git", metavar="DIR", help="Take commit, repository and dirty state from here.")
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", metavar="SHA", help="The training code's commit.")] = None,
    repository: Annotated[str | None, typer.Option("--repository", metavar="URL", help="And its repository.")] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option("--dataset", metavar="SPEC", help="NAME@VERSION, NAME@sha256:… or NAME=PATH; repeat it."),
    ] = None,
    metric: Metrics = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", metavar="KEY=VALUE", help="A hyperparameter; repeat it.")
    ] = None,
    config: Annotated[
        list[str] | None, typer.Option("--config", metavar="KEY=VALUE", help="A threshold or the like; repeat it.")
    ] = None,
    parent: Annotated[
        list[str] | None,
        typer.Option("--parent", metavar="MODEL@VERSION", help="What it was made from; :RELATION may follow."),
    ] = None,
    tag: Tags = None,
    author: Annotated[str | None, typer.Option("--author", metavar="WHO", help="Who trained it.")] = None,
    trained_at: Annotated[str | None, typer.Option("--trained-at", metavar="TIME", help="When; or now.")] = None,
    description: Description = None,
    create: Annotated[bool, typer.Option("--create/--no-create", help="Take the name where it is new.")] = True,
    reason: Reason = None,
) -> None:
    """Upload a model's files, register them as a version, and say which number it got and why."""
    kinds: dict[str, Literal["interface", "retrained", "configuration"]] = {
        "interface": "interface",
        "retrained": "retrained",
        "configuration": "configuration",
    }
    chosen = None if change is None else parse.one_of(change, kinds, "--change")
    with shell.out.progress("uploading", size=True) as progress:
        try:
            written = shell.write(
                shell.client.register,
                model,
                path,
                version=version,
                base=base,
                change=chosen,
                run=_saved(from_run),
                create=create,
                code=_code(git, commit, repository),
                metrics=parse.pairs(metric, parse.number, "--metric") or None,
                params=parse.pairs(param, parse.scalar, "--param") or None,
                configuration=parse.pairs(config, parse.scalar, "--config") or None,
                datasets=[parse.dataset(text) for text in dataset or ()] or None,
                parents=[parse.parent(text) for text in parent or ()] or None,
                tags=parse.pairs(tag, str, "--tag") or None,
                author=author,
                trained_at=parse.time(trained_at, "--trained-at"),
                description=description,
                reason=reason,
                progress=progress,
            )
        except Invalid as error:
            raise _in_options(error) from None
    if written is not None:
        _print_registered(shell, written)


def _code(git: Path | None, commit: str | None, repository: str | None) -> dict[str, Any] | None:
    """The code that was named; the address of a repository without credentials."""
    from regista.client.training.git import NoGit, read_state, strip_credentials  # noqa: PLC0415 - loads the SDK

    found: dict[str, Any] = {}
    if git is not None:
        try:
            state = read_state(git)
        except NoGit as error:
            way = "name the code with --commit SHA, or store it: regista.capture(snapshot=True), then --from run.json"
            raise typer.BadParameter(f"{git}: {error}; {way}", param_hint="--git") from None
        found = {"repository": state.repository, "commit": state.commit, "dirty": state.dirty}
    if commit:
        found["commit"] = commit
    if repository:
        found["repository"] = strip_credentials(repository)
    return {name: value for name, value in found.items() if value is not None} or None


def _saved(path: Path | None) -> Run | None:
    from regista.client import Run  # noqa: PLC0415 - loads the SDK, which `--help` does without

    return None if path is None else Run.load(path)


def _in_options(error: Invalid) -> Invalid:
    """The same refusal, with the options of this program in place of lines of Python."""
    if error.code != "missing_metadata":
        return error
    reasons = [WhyNot(r.code, r.detail, r.field, WAYS.get(r.field or "", r.hint)) for r in error.reasons]
    add = " ".join(_ADD[r.field] for r in error.reasons if r.field in _ADD)
    hint = f"Add: {add}\nOr let the training run say it: regista.capture(), run.save('run.json'), then --from run.json."
    return Invalid(error.detail, code=error.code, hint=hint, reasons=reasons)


def _print_registered(shell: Shell, written: VersionWritten) -> None:
    if shell.out.as_json:
        shell.out.json(written)
        return
    again = " (registered before)" if written.replayed else ""
    shell.out.line(f"{written.model} {written.version}{again}", style="bold")
    for reason in written.numbering.explanation if written.numbering else ():
        shell.out.line(f"  {reason}")
    shell.out.fields(
        [
            ("  stage", written.stage),
            ("  artifact", written.artifact.digest),
            ("  missing", written.incomplete),
            ("  position", written.position),
            ("  hash", written.hash),
        ]
    )


def update(
    shell: Shell,
    model: Model,
    ref: Ref,
    description: Description = None,
    tag: Tags = None,
    untag: Untag = None,
    model_card: Annotated[
        Path | None, typer.Option("--model-card", metavar="FILE", help="Text of the model card.", exists=True)
    ] = None,
    waive: Annotated[
        list[str] | None,
        typer.Option("--waive", metavar="FIELD", help="Do without what an import lacks; with a reason. Repeat it."),
    ] = None,
    commit: Annotated[str | None, typer.Option("--commit", metavar="SHA", help="Complete an import: the code.")] = None,
    repository: Annotated[str | None, typer.Option("--repository", metavar="URL", help="And its repository.")] = None,
    dataset: Annotated[
        list[str] | None, typer.Option("--dataset", metavar="SPEC", help="Complete an import: a data set.")
    ] = None,
    metric: Metrics = None,
    author: Annotated[str | None, typer.Option("--author", metavar="WHO", help="Complete an import: who.")] = None,
    trained_at: Annotated[
        str | None, typer.Option("--trained-at", metavar="TIME", help="Complete an import: when.")
    ] = None,
    reason: Reason = None,
) -> None:
    """Change what describes a version; complete an incomplete import, or waive what it lacks."""
    written = shell.write(
        shell.client.update_version,
        model,
        ref,
        description=description,
        tags=parse.tag_changes(tag, untag),
        model_card=model_card.read_text(encoding="utf-8") if model_card else None,
        code=_code(None, commit, repository),
        datasets=[parse.dataset(text) for text in dataset or ()] or None,
        metrics=parse.pairs(metric, parse.number, "--metric") or None,
        author=author,
        trained_at=parse.time(trained_at, "--trained-at"),
        waive=waive,
        reason=reason,
    )
    if written is not None:
        print_version(shell, written, "changed")


def evaluate(
    shell: Shell,
    model: Model,
    ref: Ref,
    metric: Annotated[list[str], typer.Option("--metric", metavar="KEY=NUMBER", help="A metric; repeat it.")],
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="SPEC", help="Measured on NAME@VERSION or NAME=PATH.")
    ] = None,
    slice_: Annotated[str | None, typer.Option("--slice", metavar="SLICE", help="Of which part of it.")] = None,
    reason: Reason = None,
) -> None:
    """Add metrics to a version."""
    source = parse.dataset(dataset) if dataset else None
    metrics = parse.pairs(metric, parse.number, "--metric")
    written = shell.write(shell.client.evaluate, model, ref, metrics, dataset=source, slice=slice_, reason=reason)
    if written is not None:
        print_version(shell, written, "evaluated")


def check(
    shell: Shell,
    model: Model,
    ref: Ref,
    name: Annotated[str, typer.Argument(metavar="CHECK", help="The check's name.", show_default=False)],
    status: Annotated[str, typer.Argument(metavar="STATUS", help="passed, failed or running.", show_default=False)],
    report: Annotated[str | None, typer.Option("--report", metavar="URL", help="Where its report is.")] = None,
    summary: Annotated[str | None, typer.Option("--summary", metavar="TEXT", help="What it found.")] = None,
    reason: Reason = None,
) -> None:
    """Report the status of a check. A failed one blocks promotion until the same check passes."""
    choices = {"passed": "passed", "failed": "failed", "running": "running"}
    chosen = cast("parse.CheckStatus", parse.one_of(status, choices, "STATUS"))
    written = shell.write(shell.client.check, model, ref, name, chosen, url=report, summary=summary, reason=reason)
    if written is not None:
        print_version(shell, written, f"check {name}: {chosen}")


def print_version(
    shell: Shell,
    written: VersionWritten,
    what: str,
    *,
    followed: str | None = None,
    before: str | None = None,
    wait: bool = False,
    timeout: float = waiting.PATIENCE,
) -> None:
    """What a write on a version did. ``followed`` names it now, and ``before`` was named: what that means for endpoints."""
    if not shell.out.as_json:
        again = " (done before)" if written.replayed else ""
        shell.out.line(f"{written.model} {written.version}  {what}{again}")
        details: list[tuple[str, Any]] = [
            ("  stage", written.stage),
            ("  before", written.previous_version),
            ("  displaced", [f"{one.version} to {one.to_stage}" for one in written.displaced]),
            ("  missing", written.incomplete),
            ("  position", written.position),
            ("  hash", written.hash),
        ]
        shell.out.fields(details)
    elif followed is None:
        shell.out.json(written)
    if followed is not None:
        cause = f"{written.stream}@{written.sequence}"
        moved = following.Moved(written.model, followed, written.version, before, cause, written.position)
        following.tell(shell, written, moved, wait=wait, timeout=timeout)
