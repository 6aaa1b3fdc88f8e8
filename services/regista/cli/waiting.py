"""Waiting for what follows a write: deployments that are reported, endpoints that follow. Told by events, never polled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from regista.cli.exits import TARGET_FAILED
from regista.cli.served import print_written

if TYPE_CHECKING:
    from regista.cli.shell import Shell
    from regista.wire.deployments import EndpointWritten
    from regista.wire.resources import Event

Wait = Annotated[
    bool, typer.Option("--wait", help="Until every target has told what became of it; exit code 4 where one failed.")
]
Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="How long --wait waits at most.", min=0)]
PATIENCE: Final = 300.0
"""Seconds that ``--wait`` waits unless it is told otherwise."""
REPORTED: Final = "regista.endpoint.deployment-reported.v1"
SUCCEEDED: Final = "succeeded"


@dataclass(slots=True)
class Deployed:
    """A change of an endpoint on its way to its targets, and what each of them told so far."""

    environment: str
    endpoint: str
    change: int
    targets: list[str]
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.environment}/{self.endpoint}"

    @property
    def stream(self) -> str:
        """Where its events are."""
        return f"endpoint/{self.name}".lower()

    @property
    def open(self) -> list[str]:
        """The targets that have not told."""
        return [target for target in self.targets if target.lower() not in self.outcomes]

    @property
    def succeeded(self) -> bool:
        """Whether all is served everywhere."""
        return not self.open and all(told["state"] == SUCCEEDED for told in self.outcomes.values())

    def take(self, event: Event) -> str | None:
        """Take a report in; the target, where it settles what became of the change there.

        A report of a newer change says that this one was overtaken.
        """
        data = event.data
        if event.type != REPORTED or event.stream != self.stream or data["change"] < self.change:
            return None
        target = next((one for one in self.open if one.lower() == data["target"].lower()), None)
        if target is None:
            return None
        overtaken = data["change"] > self.change
        detail = f"change {data['change']} came after it" if overtaken else data["detail"]
        state = "superseded" if overtaken else data["state"]
        self.outcomes[target.lower()] = {
            "endpoint": self.name,
            "target": target,
            "change": self.change,
            "state": state,
            "detail": detail,
            "attempts": data["attempts"],
            "position": event.position,
        }
        return target

    def told(self) -> list[dict[str, Any]]:
        """What became of it on every target; ``unknown`` where nothing was told."""
        silent = {"endpoint": self.name, "change": self.change, "state": "unknown", "detail": "told nothing in time"}
        return [
            self.outcomes.get(target.lower(), {**silent, "target": target, "attempts": None, "position": None})
            for target in self.targets
        ]


def watch(shell: Shell, after: int, timeout: float, take: Callable[[Event], bool]) -> bool:
    """Give every event behind a position to ``take`` until it says that it has seen enough; False: time ran out.

    Raises:
        Unreachable: the registry went away and did not come back.
    """
    return asyncio.run(_watch(shell, after, timeout, take))


def await_deployments(shell: Shell, changes: Iterable[Deployed], after: int, timeout: float) -> list[dict[str, Any]]:
    """Wait until every target of the changes has told, printing each as it tells; what became of them all."""
    waiting = list(changes)

    def take(event: Event) -> bool:
        for change in waiting:
            if (target := change.take(event)) is not None and not shell.out.as_json:
                shell.out.line(_told(change.outcomes[target.lower()]))
        return not any(change.open for change in waiting)

    for change in waiting:
        if not change.targets:
            shell.out.note(f"{change.name} has no targets: there is nothing to wait for.")
    if any(change.open for change in waiting) and not watch(shell, after, timeout, take):
        for change in waiting:
            for target in change.open:
                shell.out.note(
                    f"{change.name} on {target}: nothing was told within {timeout:g} s. A deployer goes on trying, "
                    f"where one runs (`regista status`); `regista endpoint show {change.name}` says what comes of it."
                )
    return [told for change in waiting for told in change.told()]


def finish(shell: Shell, written: EndpointWritten, what: str, wait: bool, timeout: float) -> None:
    """Print what a change of an endpoint did, and with ``wait`` what became of it on every target."""
    if not wait or written.change is None:
        print_written(shell, written, what)
        return
    if not shell.out.as_json:
        print_written(shell, written, what)
    change = Deployed(written.environment, written.endpoint, written.change, written.targets)
    outcomes = await_deployments(shell, [change], written.position, timeout)
    if shell.out.as_json:
        shell.out.json({**written.model_dump(mode="json"), "deployments": outcomes})
    exit_by(outcomes)


def exit_by(outcomes: Iterable[dict[str, Any]]) -> None:
    """End with exit code 4 unless every target serves what it was given."""
    if any(told["state"] != SUCCEEDED for told in outcomes):
        raise typer.Exit(TARGET_FAILED)


async def _watch(shell: Shell, after: int, timeout: float, take: Callable[[Event], bool]) -> bool:  # noqa: ASYNC109 - asyncio.timeout is what it becomes
    from regista.client import AsyncClient  # noqa: PLC0415 - loads an HTTP client, which `--help` does without

    settings = shell.client.settings
    async with AsyncClient(settings.url, token=settings.token, actor=settings.actor) as client:
        try:
            async with asyncio.timeout(timeout):
                async for event in client.follow(after=after):
                    if take(event):
                        return True
        except TimeoutError:
            return False
    return False


def _told(outcome: dict[str, Any]) -> str:
    tries = f" at attempt {outcome['attempts']}" if (outcome["attempts"] or 0) > 1 else ""
    detail = f": {outcome['detail']}" if outcome["detail"] else ""
    return f"  {outcome['endpoint']} on {outcome['target']}  {outcome['state']}{tries}{detail}"
