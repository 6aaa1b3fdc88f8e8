"""What a change of a model means for what serves it: which endpoints moved by following, which did not, what is left to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from regista.cli import served, waiting
from regista.cli.exits import TARGET_FAILED
from regista.domain.errors import RegistaError

if TYPE_CHECKING:
    from regista.cli.shell import Shell
    from regista.wire import deployment_views as v
    from regista.wire.resources import Event, Written

    State = Literal["moved", "serves it", "refused", "waiting", "stays"]

FOLLOWED_WITHIN: Final = 2.0
"""Seconds to wait for followers when nobody asked to wait: they move within a fraction of one."""
_MOVED: Final = "regista.endpoint.traffic-changed.v1"
_REFUSED: Final = "regista.endpoint.follow-refused.v1"


@dataclass(frozen=True, slots=True)
class Moved:
    """What changed hands in a model: ``version`` is named by ``followed`` (``@production``) since ``cause``."""

    model: str
    followed: str
    version: str
    before: str | None
    cause: str
    position: int


@dataclass(slots=True)
class Standing:
    """How an endpoint stands to what changed hands."""

    endpoint: v.Endpoint
    state: State
    change: int | None = None
    detail: str = ""
    command: str | None = None

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.endpoint.environment}/{self.endpoint.endpoint}"

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "endpoint": self.name,
            "follows": self.endpoint.follow,
            "state": self.state.replace(" ", "_"),
            "change": self.change,
            "detail": self.detail or None,
            "command": self.command,
        }


def stage_named(stage: str) -> str:
    """A stage as endpoints name what they follow."""
    return f"@{stage}" if stage in {"candidate", "staging", "production", "archived"} else f"stage:{stage}"


def tell(shell: Shell, written: Written, moved: Moved, *, wait: bool, timeout: float) -> None:
    """Tell what became of the endpoints of a model, and with ``wait`` of their deployments.

    The write is done by then: without ``wait``, a registry that cannot tell is not an error.
    """
    standings: list[Standing] = []
    try:
        standings = _followed(shell, moved, timeout if wait else FOLLOWED_WITHIN)
    except RegistaError as error:
        if wait:
            raise
        shell.out.note(f"It is done; what serves {moved.model} could not be asked for: {error.detail}")
    if not shell.out.as_json:
        for one in standings:
            shell.out.line(f"  {one.name}  {_in_words(one, moved)}")
            if one.command:
                shell.out.line(f"    {one.command}", style="cyan")
    outcomes: list[dict[str, Any]] = []
    if wait:
        changes = [
            waiting.Deployed(one.endpoint.environment, one.endpoint.endpoint, one.change, one.endpoint.targets)
            for one in standings
            if one.state == "moved" and one.change is not None
        ]
        outcomes = waiting.await_deployments(shell, changes, written.position, timeout)
    if shell.out.as_json:
        more = {"endpoints": [one.as_json() for one in standings], **({"deployments": outcomes} if wait else {})}
        shell.out.json({**written.model_dump(mode="json"), **more})
    if wait:
        waiting.exit_by(outcomes)
        if any(one.state in {"waiting", "refused"} for one in standings):
            raise typer.Exit(TARGET_FAILED)


def _followed(shell: Shell, moved: Moved, timeout: float) -> list[Standing]:
    """How the endpoints of the model stand, once each follower has decided or time has run out."""
    endpoints = [one for one in shell.client.endpoints(model=moved.model) if not one.retired]
    standings = [found for one in endpoints if (found := _at_first(one, moved)) is not None]
    undecided = {f"endpoint/{one.name}".lower(): one for one in standings if one.state == "waiting"}

    def take(event: Event) -> bool:
        standing = undecided.get(event.stream)
        if standing is not None and event.cause == moved.cause and event.type in {_MOVED, _REFUSED}:
            del undecided[event.stream]
            if event.type == _MOVED:
                standing.state, standing.change = "moved", event.sequence
            else:
                standing.state = "refused"
                standing.detail = "; ".join(reason["detail"] for reason in event.data["reasons"])
        return not undecided

    if undecided:
        waiting.watch(shell, moved.position, timeout, take)
    for one in standings:
        one.command = _rest(one, moved)
    return standings


def _at_first(endpoint: v.Endpoint, moved: Moved) -> Standing | None:
    """How it stands as far as it can be told now; None: it has nothing to do with it."""
    if endpoint.follow is not None and endpoint.follow.lower() == moved.followed.lower():
        if _serves(endpoint, moved.version) and endpoint.wanted.cause != moved.cause:
            return Standing(endpoint, "serves it", endpoint.wanted.change)
        if endpoint.wanted.cause == moved.cause:
            return Standing(endpoint, "moved", endpoint.wanted.change)
        return Standing(endpoint, "waiting")
    if moved.before is not None and any(one.version == moved.before for one in endpoint.wanted.variants):
        return Standing(endpoint, "stays", endpoint.wanted.change)
    return None


def _serves(endpoint: v.Endpoint, version: str) -> bool:
    """Whether a version alone answers there."""
    live: Iterable[Any] = [one for one in endpoint.wanted.variants if one.role != "shadow"]
    return bool(live) and all(one.version == version for one in live)


def _in_words(one: Standing, moved: Moved) -> str:
    match one.state:
        case "moved":
            return f"follows {moved.followed}: it is to serve {moved.version} (change {one.change})"
        case "serves it":
            return f"follows {moved.followed}: it serves {moved.version} already"
        case "refused":
            return f"follows {moved.followed}, and did not let {moved.version} in: {one.detail}"
        case "waiting":
            return f"follows {moved.followed}, and has not moved yet: is a deployer running? `regista status` shows it"
    return f"serves {served.variants(one.endpoint.wanted.variants)}, and does not follow {moved.followed}"


def _rest(one: Standing, moved: Moved) -> str | None:
    """What brings it there all the same."""
    if one.state == "refused":
        return f"regista endpoint show {one.name}"
    return (
        f"regista traffic {one.name} --promote {moved.version} --reason …"
        if one.state in {"stays", "waiting"}
        else None
    )
