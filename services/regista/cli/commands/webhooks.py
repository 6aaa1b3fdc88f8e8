"""Webhooks: add, ls, show, update, rotate, enable, disable, rm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from regista.cli import parse, parse_serving
from regista.cli.arguments import Description, Reason, RequiredReason
from regista.cli.command import command
from regista.cli.commands import deliveries
from regista.cli.commands.deliveries import Id
from regista.cli.printer import cell
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.deployments import SecretKept
    from regista.wire.subscriptions import SubscriptionWritten

PANEL = "Webhooks"
Types = Annotated[
    list[str] | None, typer.Option("--type", metavar="TYPE", help="Of this type: version.promoted. Repeat it.")
]
Models = Annotated[list[str] | None, typer.Option("--model", metavar="MODEL", help="About this model. Repeat it.")]
Streams = Annotated[
    list[str] | None, typer.Option("--stream", metavar="STREAM", help="Of this stream: endpoint/prod/fraud. Repeat it.")
]
Environments = Annotated[
    list[str] | None, typer.Option("--environment", metavar="ENVIRONMENT", help="Of this environment. Repeat it.")
]
Actors = Annotated[list[str] | None, typer.Option("--by", metavar="WHO", help="Caused by this actor. Repeat it.")]
Template = Annotated[str | None, typer.Option("--template", metavar="FORM", help="cloudevents (the default) or slack.")]
Secret = Annotated[
    str | None,
    typer.Option(
        "--secret",
        metavar="@FILE",
        help="What deliveries are signed with, whsec_…, from a file or - for stdin; else made.",
    ),
]
_TEMPLATES = {"cloudevents": "cloudevents", "slack": "slack"}


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    webhook = typer.Typer(help="Have events sent to an address, signed, in order, until taken.", no_args_is_help=True)
    command(webhook, "add", writes=True)(add)
    command(webhook, "ls")(ls)
    command(webhook, "show")(show)
    command(webhook, "update", writes=True)(update)
    command(webhook, "rotate", writes=True)(rotate)
    command(webhook, "enable", writes=True)(enable)
    command(webhook, "disable", writes=True)(disable)
    command(webhook, "rm", writes=True)(remove)
    deliveries.add_to(webhook)
    app.add_typer(webhook, name="webhook", rich_help_panel=PANEL)


def add(
    shell: Shell,
    address: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="Where to; one that is a secret itself from a file (@FILE) or stdin (-).",
            show_default=False,
        ),
    ],
    name: Annotated[str | None, typer.Option("--id", metavar="ID", help="The subscription's id; else made.")] = None,
    type_: Types = None,
    model: Models = None,
    stream: Streams = None,
    environment: Environments = None,
    by: Actors = None,
    template: Template = None,
    secret: Secret = None,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Have events sent to an address: all of them, or those that every filter lets through.

    A secret that was made is printed this once: it cannot be read again, only rotated.
    """
    written = shell.write(
        shell.client.create_subscription,
        _address(address),
        id=name,
        secret=None if secret is None else parse_serving.secret(secret),
        types=type_,
        models=model,
        streams=stream,
        environments=environment,
        actors=by,
        template=_template(template),
        description=description,
        reason=reason,
    )
    _print(shell, written, "is sent events from now on")


def update(
    shell: Shell,
    subscription: Id,
    to: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Another address; @FILE or - for one that is a secret.")
    ] = None,
    type_: Types = None,
    model: Models = None,
    stream: Streams = None,
    environment: Environments = None,
    by: Actors = None,
    all_: Annotated[
        list[str] | None,
        typer.Option(
            "--all", metavar="FILTER", help="Take a filter away: types, models, streams, environments, actors."
        ),
    ] = None,
    template: Template = None,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Change a subscription; what is left out stays, and a filter that is given replaces the one before."""
    filters = {"types": type_, "models": model, "streams": stream, "environments": environment, "actors": by}
    for cleared in all_ or ():
        parse.one_of(cleared, filters, "--all")
        if filters[cleared]:
            raise typer.BadParameter(f"{cleared} are given, and taken away", param_hint="--all")
        filters[cleared] = []
    written = shell.write(
        shell.client.update_subscription,
        subscription,
        url=None if to is None else _address(to),
        template=_template(template),
        description=description,
        reason=reason,
        types=filters["types"],
        models=filters["models"],
        streams=filters["streams"],
        environments=filters["environments"],
        actors=filters["actors"],
    )
    _print(shell, written, "is changed")


def rotate(
    shell: Shell,
    subscription: Id,
    secret: Secret = None,
    keep: Annotated[
        str | None,
        typer.Option("--keep", metavar="TIME", help="How long the one before counts: 30m, 12h; a day unless said."),
    ] = None,
    reason: Reason = None,
) -> None:
    """Sign with another secret. One that was made is printed this once."""
    written = shell.write(
        shell.client.rotate_subscription_secret,
        subscription,
        secret=None if secret is None else parse_serving.secret(secret),
        keep_seconds=None if keep is None else parse_serving.seconds(keep, "--keep"),
        reason=reason,
    )
    _print(shell, written, "is signed with another secret")


def enable(
    shell: Shell,
    subscription: Id,
    reason: RequiredReason,
) -> None:
    """Send again, from now on; what happened meanwhile is sent by `replay`."""
    _print(
        shell, shell.write(shell.client.update_subscription, subscription, disabled=False, reason=reason), "is enabled"
    )


def disable(
    shell: Shell,
    subscription: Id,
    reason: RequiredReason,
) -> None:
    """Send nothing until it is enabled."""
    _print(
        shell, shell.write(shell.client.update_subscription, subscription, disabled=True, reason=reason), "is disabled"
    )


def remove(shell: Shell, subscription: Id, reason: RequiredReason) -> None:
    """Send nothing any more; the id stays taken, the secrets are erased."""
    _print(shell, shell.write(shell.client.remove_subscription, subscription, reason=reason), "is removed")


def ls(shell: Shell) -> None:
    """List the subscriptions."""
    found = list(shell.client.subscriptions())
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = (
        (
            s.subscription,
            s.url,
            _filters(s.types, s.models, s.streams, s.environments, s.actors),
            _state(s.disabled, s.removed),
            s.description,
        )
        for s in found
    )
    shell.out.table(("id", "to", "events", "state", "description"), rows, empty="nobody is sent events")


def show(shell: Shell, subscription: Id) -> None:
    """Show a subscription; of its address the host, of its secrets the fingerprints."""
    found = shell.client.subscription(subscription)
    if shell.out.as_json:
        shell.out.json(found)
        return
    shell.out.line(f"{found.subscription}   {_state(found.disabled, found.removed)}", style="bold")
    shell.out.fields(
        [
            ("to", found.url),
            ("description", found.description),
            ("types", found.types),
            ("models", found.models),
            ("streams", found.streams),
            ("environments", found.environments),
            ("actors", found.actors),
            ("template", found.template),
            ("disabled", found.disabled_reason),
            ("secrets", "\n".join(map(_secret, found.secrets))),
            ("since", f"{cell(found.updated_at)} by {found.updated_by}"),
            ("why", found.reason),
        ]
    )


def _print(shell: Shell, written: SubscriptionWritten | None, what: str) -> None:
    if written is None:
        return
    if shell.out.as_json:
        shell.out.json(written)
        return
    shell.out.line(f"{written.subscription}  {what}{' (done before)' if written.replayed else ''}")
    filters = _filters(written.types, written.models, written.streams, written.environments, written.actors)
    shell.out.fields(
        [
            ("  to", written.url),
            ("  events", None if written.removed else filters),
            ("  secret", written.secret),
            ("  position", written.position),
            ("  hash", written.hash),
        ]
    )
    if written.secret:
        shell.out.note("The secret is not shown again: keep it where the receiver finds it.")


def _filters(
    types: list[str], models: list[str], streams: list[str], environments: list[str], actors: list[str]
) -> str:
    said = {"type": types, "model": models, "stream": streams, "environment": environments, "by": actors}
    return "; ".join(f"{name} {cell(names)}" for name, names in said.items() if names) or "all"


def _secret(kept: SecretKept) -> str:
    counts = f", counts until {cell(kept.expires_at)}" if kept.expires_at else ""
    return f"{kept.name} {kept.fingerprint}{counts}"


def _state(disabled: bool, removed: bool) -> str:
    return "removed" if removed else "disabled" if disabled else "active"


def _address(text: str) -> str:
    return parse_serving.secret(text, "URL") if text == "-" or text.startswith("@") else text


def _template(text: str | None) -> Literal["cloudevents", "slack"] | None:
    if text is None:
        return None
    return cast('Literal["cloudevents", "slack"]', parse.one_of(text, _TEMPLATES, "--template"))
