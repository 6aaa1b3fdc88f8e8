"""What became of webhooks: deliveries, redeliver, replay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from regista.cli.arguments import Reason
from regista.cli.command import command
from regista.cli.shell import Shell

if TYPE_CHECKING:
    from regista.wire.deliveries import DeliveryDetail

Id = Annotated[str, typer.Argument(metavar="ID", help="The subscription's id.", show_default=False)]


def add_to(webhook: typer.Typer) -> None:
    """Register these commands, below those of webhooks."""
    command(webhook, "deliveries")(deliveries)
    command(webhook, "redeliver")(redeliver)
    command(webhook, "replay")(replay)


def deliveries(
    shell: Shell,
    subscription: Id,
    delivery: Annotated[
        int | None,
        typer.Argument(metavar="N", help="One, by its event's position, with every attempt.", show_default=False),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="STATE", help="pending, running, delivered, failed, dead or skipped."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="The newest so many.", min=1, max=1000)] = 50,
) -> None:
    """What was sent to a subscription, and is to be: the newest first, or one with what is sent and every attempt."""
    if delivery is not None:
        detail = shell.client.delivery(subscription, delivery)
        shell.out.json(detail) if shell.out.as_json else _print_delivery(shell, detail)
        return
    found = shell.client.deliveries.page(subscription, state=state, page_size=limit).items
    if shell.out.as_json:
        shell.out.json(found)
        return
    rows = ((d.delivery, d.type, d.stream, d.state, d.attempts, d.status, d.error, d.next_attempt_at) for d in found)
    columns = ("position", "type", "stream", "state", "attempts", "status", "error", "next")
    shell.out.table(columns, rows, empty="no such delivery")


def redeliver(
    shell: Shell,
    subscription: Id,
    delivery: Annotated[int, typer.Argument(metavar="N", help="The event's position.", show_default=False)],
    reason: Reason = None,
) -> None:
    """Send one delivery again, whatever became of it; one that waits for another attempt has it now."""
    detail = shell.client.redeliver(subscription, delivery, reason=reason)
    if shell.out.as_json:
        shell.out.json(detail)
    else:
        shell.out.line(f"{subscription} {detail.delivery}  is {detail.state}: it is sent again as {detail.message_id}")


def replay(
    shell: Shell,
    subscription: Id,
    start: Annotated[int, typer.Option("--from", metavar="N", help="From this position on.")],
    end: Annotated[
        int | None, typer.Option("--to", metavar="N", help="Up to this position; else to the newest.")
    ] = None,
    reason: Reason = None,
) -> None:
    """Send the events of a range of positions that pass the filters, with the ids of the first time."""
    asked = shell.client.replay(subscription, start, end, reason=reason)
    if shell.out.as_json:
        shell.out.json(asked)
    else:
        shell.out.line(f"{subscription}  is sent the events from {asked.from_} to {asked.to} again")


def _print_delivery(shell: Shell, found: DeliveryDetail) -> None:
    shell.out.line(f"{found.subscription} {found.delivery}   {found.state}", style="bold")
    shell.out.fields(
        [
            ("type", found.type),
            ("stream", found.stream),
            ("id", found.message_id),
            ("because of", None if found.origin == "event" else found.origin),
            ("error", found.error),
            ("next", found.next_attempt_at),
            ("event", json.dumps(found.event, indent=2, ensure_ascii=False)),
        ]
    )
    if found.history:
        shell.out.line()
        rows = ((a.number, a.started_at, f"{a.duration:.3f} s", a.status, a.error or a.excerpt) for a in found.history)
        shell.out.table(("attempt", "when", "took", "status", "answer"), rows)
