"""Endpoints: create, ls, show, update, retire, log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli import parse, parse_serving, served
from regista.cli.arguments import At, Description, Reason, RequiredReason
from regista.cli.command import command
from regista.cli.commands.environments import PANEL
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regista.wire import deployment_views as v

Name = Annotated[
    str, typer.Argument(metavar="ENDPOINT", help="Its environment and name: prod/fraud.", show_default=False)
]
Targets = Annotated[
    list[str] | None, typer.Option("--target", metavar="TARGET", help="Where it is deployed to; repeat it.")
]
Follow = Annotated[
    str | None,
    typer.Option("--follow", metavar="REF", help="The stage or alias that it serves by itself: @production."),
]
Guardrails = Annotated[
    list[str] | None,
    typer.Option(
        "--guardrail",
        metavar="BOUND",
        help="'errors<=0.02 min=500' or 'latency_p95<=1.2x champion'; min=100 samples unless said. Repeat it.",
    ),
]
ExpectChange = Annotated[
    int | None, typer.Option("--expect-change", metavar="N", help="Only if change N is the newest of the endpoint.")
]


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    endpoint = typer.Typer(help="Where versions of a model are served: prod/fraud.", no_args_is_help=True)
    command(endpoint, "create", writes=True)(create)
    command(endpoint, "ls")(ls)
    command(endpoint, "show")(show)
    command(endpoint, "log")(log)
    command(endpoint, "metrics")(metrics)
    command(endpoint, "update", writes=True)(update)
    command(endpoint, "retire", writes=True)(retire)
    app.add_typer(endpoint, name="endpoint", rich_help_panel=PANEL)


def create(
    shell: Shell,
    endpoint: Name,
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="The model whose versions it serves.")],
    target: Targets = None,
    follow: Follow = None,
    automatic: Annotated[
        bool,
        typer.Option("--automatic", help="Canary steps go on, and what breaks a guardrail is rolled back, by itself."),
    ] = False,
    guardrail: Guardrails = None,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Take a name for versions of a model. What it serves is said by `regista traffic`."""
    environment, name = parse_serving.endpoint(endpoint)
    written = shell.write(
        shell.client.create_endpoint,
        environment,
        name,
        model=model,
        targets=target or (),
        follow=follow,
        automatic=automatic,
        guardrails=[parse_serving.guardrail(text) for text in guardrail or ()],
        description=description,
        reason=reason,
    )
    if written is not None:
        served.print_written(shell, written, f"is created for {written.model}")


def update(
    shell: Shell,
    endpoint: Name,
    target: Targets = None,
    no_targets: Annotated[bool, typer.Option("--no-targets", help="Deploy it nowhere any more.")] = False,
    follow: Follow = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Follow nothing any more.")] = False,
    automatic: Annotated[
        bool | None, typer.Option("--automatic/--no-automatic", help="Whether it goes on and rolls back by itself.")
    ] = None,
    guardrail: Guardrails = None,
    no_guardrails: Annotated[bool, typer.Option("--no-guardrails", help="Take all guardrails away.")] = False,
    description: Description = None,
    reason: Reason = None,
) -> None:
    """Change what describes an endpoint; what is left out stays, and so does what is served.

    Targets and guardrails that are given replace all that were there.
    """
    environment, name = parse_serving.endpoint(endpoint)
    changes: dict[str, Any] = {}
    for option, given, none in (
        ("--target", target, no_targets),
        ("--follow", follow, no_follow),
        ("--guardrail", guardrail, no_guardrails),
    ):
        if given and none:
            raise typer.BadParameter("give it, or take it away", param_hint=option)
    if target or no_targets:
        changes["targets"] = target or []
    if follow or no_follow:
        changes["follow"] = follow
    if guardrail or no_guardrails:
        changes["guardrails"] = [parse_serving.guardrail(text) for text in guardrail or ()]
    written = shell.write(
        shell.client.update_endpoint,
        environment,
        name,
        automatic=automatic,
        description=description,
        reason=reason,
        **changes,
    )
    if written is not None:
        served.print_written(shell, written, "is changed")


def retire(shell: Shell, endpoint: Name, reason: RequiredReason, expect_change: ExpectChange = None) -> None:
    """Serve nothing any more; the name stays taken, reads go on."""
    environment, name = parse_serving.endpoint(endpoint)
    expected: dict[str, Any] = {} if expect_change is None else {"expect_change": expect_change}
    written = shell.write(shell.client.retire_endpoint, environment, name, reason=reason, **expected)
    if written is not None:
        served.print_written(shell, written, "is retired")


def ls(
    shell: Shell,
    environment: Annotated[
        str | None, typer.Argument(metavar="ENVIRONMENT", help="Of one; left out: of all.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Those that serve this model.")] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="TARGET", help="Those that are deployed to this target.")
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state", metavar="STATE", help="deployed, pending, drifting, failed, idle, untargeted, retired."
        ),
    ] = None,
) -> None:
    """List endpoints: what each is to serve, and how far that has come."""
    found = list(shell.client.endpoints(environment=environment, model=model, target=target, state=state))
    if shell.out.as_json:
        shell.out.json(found)
        return
    served.print_endpoints(shell, found, empty="there is no endpoint")


def show(shell: Shell, endpoint: Name, at: At = None) -> None:
    """Show an endpoint: what is wanted, what is pending, what runs, and the difference."""
    environment, name = parse_serving.endpoint(endpoint)
    found = shell.client.endpoint(environment, name, at=parse.moment(at))
    shell.out.json(found) if shell.out.as_json else served.print_endpoint(shell, found)


def log(
    shell: Shell,
    endpoint: Name,
    deployments: Annotated[
        bool, typer.Option("--deployments", help="What became of each change on each target, instead.")
    ] = False,
) -> None:
    """What was to be served from when to when, the newest first: who, why, because of what."""
    environment, name = parse_serving.endpoint(endpoint)
    if deployments:
        _print_deployments(shell, shell.client.deployments(environment, name))
        return
    found = list(shell.client.endpoint_changes(environment, name))
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = (
        (c.change, c.since, c.until, c.how.replace("-", " "), served.variants(c.variants), c.actor, c.reason, c.cause)
        for c in found
    )
    columns = ("change", "since", "until", "how", "served", "by", "why", "because of")
    shell.out.table(columns, rows, empty="nothing was ever to be served there")


def _print_deployments(shell: Shell, deployments: Iterable[v.Deployment]) -> None:
    found = list(deployments)
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((d.change, d.target, d.state, d.drifting, d.attempts, d.changed_at, d.at, d.detail) for d in found)
    columns = ("change", "target", "state", "drifts", "attempts", "wanted", "told", "detail")
    shell.out.table(columns, rows, empty="nothing was ever to be deployed there")


def metrics(shell: Shell, endpoint: Name) -> None:
    """What is measured of the variants since the newest change took effect, how guardrails stand, what follows."""
    environment, name = parse_serving.endpoint(endpoint)
    found = shell.client.endpoint_metrics(environment, name)
    if shell.out.as_json:
        shell.out.json(found)
        return
    change = found.change
    shell.out.line(f"{found.environment}/{found.endpoint}", style="bold")
    shell.out.fields(
        [
            ("change", change and f"{change.change}{f', step {change.step}' if change.step else ''}"),
            ("in effect", change and (change.effective_at or "not yet")),
            ("verdict", change and (change.verdict or "watched further").replace("_", " ")),
            ("because", "\n".join(change.explanation) if change else None),
            ("acted", change and change.acted),
        ]
    )
    if not found.variants:
        return
    shell.out.line()
    rows = (
        (
            served.measured(one),
            one.requests,
            one.errors,
            [
                f"{m.metric} {m.value:.4g} ({m.low:.4g} to {'?' if m.high is None else f'{m.high:.4g}'})"
                for m in one.metrics
            ],
            "; ".join(f"{rail.metric} {rail.state}: {rail.said}" for rail in one.guardrails),
        )
        for one in found.variants
    )
    shell.out.table(("variant", "requests", "errors", "metrics", "guardrails"), rows)
