"""What every command is given: the options that all share, a client when it needs one, and a way to print."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from regista.cli.printer import Printer

if TYPE_CHECKING:
    from regista.client import Client
    from regista.client.bind import WriteMethod
    from regista.wire.resources import Plan, Written

P = ParamSpec("P")
W = TypeVar("W", bound="Written")


@dataclass(frozen=True, slots=True)
class Options:
    """The options of every command; None or False where they were not given."""

    url: str | None = None
    token: str | None = None
    actor: str | None = None
    json: bool = False

    def over(self, other: Options) -> Options:
        """These where they were given, else those of ``other``."""
        return Options(
            self.url or other.url, self.token or other.token, self.actor or other.actor, self.json or other.json
        )


@dataclass
class Shell:
    """One command's surroundings. ``dry_run``, ``if_match`` and ``command_id`` are those of a write."""

    options: Options
    dry_run: bool = False
    if_match: int | None = None
    command_id: str | None = None
    _opened: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def out(self) -> Printer:
        """Where results and messages go."""
        return Printer(as_json=self.options.json)

    @cached_property
    def client(self) -> Client:
        """The registry; closed with the command."""
        from regista.client import Client  # noqa: PLC0415 - loads an HTTP client, which `--help` does without

        options = self.options
        return self._opened.enter_context(Client(options.url, token=options.token, actor=options.actor))

    def write(self, operation: WriteMethod[P, W], *args: P.args, **kwargs: P.kwargs) -> W | None:
        """Make a write, or with ``--dry-run`` print what it would do and return None.

        On return the views show it, so that the next command of a script reads what this one wrote; unless they are
        behind for longer than a moment.
        """
        more: dict[str, Any] = {"command_id": self.command_id}
        if self.if_match is not None:
            more["if_match"] = self.if_match
        if self.dry_run:
            self.show_plan(operation.dry_run(*args, **kwargs | more))  # type: ignore[arg-type]  # all writes take these
            return None
        written = operation(*args, **kwargs | more)  # type: ignore[arg-type]  # all writes take these
        self.client.visible()
        return written

    def show_plan(self, plan: Plan) -> None:
        """Print the events that a write would append."""
        from regista.cli.plans import print_plan  # noqa: PLC0415 - only for a dry run

        print_plan(self.out, plan)

    def keep(self, resource: AbstractContextManager[Any]) -> Any:  # noqa: ANN401 - what it is as a context
        """Open something until the command ends."""
        return self._opened.enter_context(resource)

    def close(self) -> None:
        """End the command."""
        self._opened.close()
