"""What is to be served: ``traffic``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli import parse_serving, waiting
from regista.cli.arguments import RequiredReason
from regista.cli.command import command
from regista.cli.commands.endpoints import ExpectChange, Name
from regista.cli.commands.environments import PANEL
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.cli.parse_serving import Structure
    from regista.wire import deployment_views as v


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    command(app, "traffic", writes=True, panel=PANEL)(traffic)


def traffic(
    shell: Shell,
    endpoint: Name,
    reason: RequiredReason,
    variants: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REF=WEIGHT]...",
            help="The whole set: a version and its share in percent; one without a share gets what is left.",
            show_default=False,
        ),
    ] = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option("--shadow", metavar="REF[=SHARE]", help="Mirrored requests only, all unless said. Repeat it."),
    ] = None,
    canary: Annotated[
        str | None,
        typer.Option(
            "--canary",
            metavar="REF:STEPS",
            help="Brings a version in step by step: 1.5.0:5/10m/500,25/10m,100 (share/time/requests at least).",
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="REGION", help="In this region; the others stay as they are. Repeat it."),
    ] = None,
    promote: Annotated[
        str | None, typer.Option("--promote", metavar="REF", help="Give this version everything; the others leave.")
    ] = None,
    advance: Annotated[bool, typer.Option("--advance", help="Go to the next step of the canary under way.")] = False,
    expect_change: ExpectChange = None,
    wait: waiting.Wait = False,
    timeout: waiting.Timeout = waiting.PATIENCE,
) -> None:
    """Say what is to be served: a whole set of versions, one version alone, or the canary's next step."""
    environment, name = parse_serving.endpoint(endpoint)
    ways = (bool(variants or shadow or canary), promote is not None, advance)
    if ways.count(True) != 1:
        raise typer.BadParameter("give one of REF=WEIGHT…, --promote REF and --advance", param_hint="REF=WEIGHT")
    if region and not ways[0]:
        raise typer.BadParameter("it goes with REF=WEIGHT…: REF=100 gives a version the region", param_hint="--region")
    body: dict[str, Any] = {"promote": promote} if promote else {"advance": True}
    expected: dict[str, Any] = {} if expect_change is None else {"expect_change": expect_change}
    if ways[0]:
        entering = None if canary is None else parse_serving.canary(canary)
        present = None
        if region or (entering is not None and not variants):
            present = shell.client.endpoint(environment, name)
            expected = {"expect_change": present.wanted.change, **expected}
        body = {
            "variants": _whole_set(variants or [], shadow or [], entering, region or [], present),
            "canary": entering[1] if entering else (),
        }
    written = shell.write(shell.client.change_traffic, environment, name, reason=reason, **body, **expected)
    if written is not None:
        waiting.finish(shell, written, "is to serve this from now on" if not wait else "changes", wait, timeout)


def _whole_set(
    texts: list[str],
    shadows: list[str],
    entering: tuple[str, list[Structure]] | None,
    regions: list[str],
    present: v.Endpoint | None,
) -> list[Structure]:
    """The variants of a change. What is there now stays in regions that were not named, and beside a canary."""
    there = [] if present is None else present.wanted.variants
    named = {region.lower() for region in regions}
    kept = [_kept(one) for one in there if regions and one.region not in named]
    places: list[str | None] = list(dict.fromkeys(regions)) or [None]
    if not texts and entering is not None:
        places = [*dict.fromkeys(one.region for one in there if not regions or one.region in named)]
        if not places:
            raise typer.BadParameter(
                "nothing is served there yet: name the version it comes in beside", param_hint="REF"
            )
    found = []
    for place in places:
        own = list(texts)
        beside = [parse_serving.shadow(text) for text in shadows]
        if not texts and entering is not None:
            own = [one.version for one in there if one.region == place and one.role == "champion"]
            beside += [_kept(one) for one in there if one.region == place and one.role == "shadow" and not shadows]
        found += [
            {**one, **({"region": place} if place else {})} for one in parse_serving.live_set(own, entering) + beside
        ]
    return kept + found


def _kept(one: Any) -> Structure:  # noqa: ANN401 - a variant as it is answered
    share = {"mirror": one.mirror} if one.role == "shadow" else {"weight": one.weight}
    place = {"region": one.region} if one.region else {}
    return {"version": one.version, "role": one.role, **share, **place}
