"""Who, when, why: history and log."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from regista.cli import parse
from regista.cli.arguments import Model
from regista.cli.command import command
from regista.cli.printer import Printer, cell
from regista.cli.shell import Shell
from regista.domain.sentences import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from regista.domain.errors import RegistaError
    from regista.wire.resources import Event

PANEL = "Looking"
_RECENT = 20
_NAMED = frozenset({"endpoint", "environment", "target"})
"""Kinds of streams whose events say by themselves what they are about."""
_COLUMNS = ("position", "when", "who", "what", "why")


def add_to(app: typer.Typer) -> None:
    """Register these commands."""
    command(app, "history", panel=PANEL)(history)
    command(app, "log", panel=PANEL)(log)


def history(
    shell: Shell,
    model: Model,
    version: Annotated[
        str | None, typer.Option("--version", metavar="REF", help="Only what touched this version.")
    ] = None,
) -> None:
    """All that ever happened to a model: when, who, what, why."""
    shell.client.model(model)  # an unknown name is an error, not an empty history
    if shell.out.as_json:
        _print_lines(shell.out, shell.client.events(model=model, version=version), 0)
        return
    found = shell.client.events(model=model, version=version)
    rows = ((e.position, e.time, e.actor, sentence(e.type, e.data), e.reason) for e in found)
    shell.out.table(_COLUMNS, rows, empty="nothing happened to it")


def log(  # the filters of the API
    shell: Shell,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with each event as it happens.")] = False,
    after: Annotated[
        int | None, typer.Option("--after", metavar="N", help="All behind this position; 0: from the beginning.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", metavar="N", help="The newest so many, unless --after or --since.")
    ] = _RECENT,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Of this model.")] = None,
    stream: Annotated[str | None, typer.Option("--stream", metavar="STREAM", help="Of this stream.")] = None,
    who: Annotated[str | None, typer.Option("--by", metavar="WHO", help="Caused by this actor.")] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="Of this type, such as regista.version.promoted.v1.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="MOMENT", help="From this moment on.")] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="MOMENT", help="Up to this moment.")] = None,
) -> None:
    """The events of the log; with --follow without end, from then on through broken connections."""
    if follow and until is not None:
        raise typer.BadParameter("it has no end with --follow", param_hint="--until")
    client = shell.client
    ranged = after is not None or since is not None or until is not None
    past: Iterable[Event]
    if ranged:
        past = client.events(
            after=after,
            model=model,
            stream=stream,
            actor=who,
            type=kind,
            since=parse.moment(since, "--since"),
            until=parse.moment(until, "--until"),
        )
    else:
        # Pages are as large as the registry allows; the newest come first and are shown last.
        page = client.events.page(
            model=model, stream=stream, actor=who, type=kind, order="desc", page_size=max(1, min(limit, 1000))
        )
        past = list(reversed(page.items))[-limit:] if limit > 0 else []
    if not follow:
        _print_events(shell.out, past, empty="no such event")
        return
    last = _print_lines(shell.out, past, after or 0)
    # All up to the position that the past was read at has been shown, whether or not the last event passed the filter.
    begin = max(last, client.position)
    asyncio.run(_follow(shell, begin, {"models": model, "streams": stream, "actors": who, "types": kind}))


async def _follow(shell: Shell, begin: int, filters: dict[str, Any]) -> None:
    """Print events without end: a registry that was there and is gone is waited for, as through a restart."""
    from regista.bus.subscriber.subscriber import Subscriber  # noqa: PLC0415 - only where events are followed
    from regista.wire.resources import Event  # noqa: PLC0415 - as above

    waiting = _Waiting(shell.out)
    settings = shell.client.settings
    subscriber = Subscriber(
        settings.url, token=settings.token, actor=settings.actor, from_=begin, on_outage=waiting, **filters
    )
    async with subscriber:
        async for event in subscriber:
            _print_lines(shell.out, [Event.model_validate(event.as_json())], event.position)
            await event.done()


class _Waiting:
    """Says once that the registry is away. One failure alone is a connection that ended, and is opened again."""

    def __init__(self, out: Printer) -> None:
        self._out = out
        self._failures = 0

    def __call__(self, error: RegistaError | None) -> None:
        self._failures = 0 if error is None else self._failures + 1
        if self._failures == 2:
            self._out.note("The registry does not answer; going on when it does. Ctrl+C ends this.")


def _print_events(out: Printer, events: Iterable[Event], *, empty: str) -> None:
    """A timeline: a table for people, one line of JSON for each event for programs."""
    if out.as_json:
        _print_lines(out, events, 0)
        return
    out.table(_COLUMNS, (_row(event) for event in events), empty=empty)


def _row(event: Event) -> tuple[object, ...]:
    kind, _, subject = event.stream.partition("/")
    what = sentence(event.type, event.data)
    return event.position, event.time, event.actor, what if kind in _NAMED else f"{subject}: {what}", event.reason


def _print_lines(out: Printer, events: Iterable[Event], last: int) -> int:
    """Print each event at once; the position of the last one."""
    for event in events:
        if out.as_json:
            out.json(event, line=True)
        else:
            position, when, who, what, why = (cell(value) for value in _row(event))
            out.line(f"{position:>8}  {when}  {who}  {what}" + (f"  ({why})" if event.reason else ""))
        last = event.position
    return last
