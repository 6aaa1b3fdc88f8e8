"""Answers that wait until what they answer is on Kafka: nothing answered can then be lost with the store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from regista.domain.errors import Unavailable
from regista.registrar.answers import Outcome
from regista.registrar.request import Request


class Executor(Protocol):
    """What carries out commands, as the routes need it."""

    async def execute(self, request: Request) -> Outcome:
        """Carry out a command, or answer what it led to when its id was used before."""
        ...

    async def find(self, actor: str, command_id: str) -> Outcome | None:
        """What an earlier command of this actor led to; None when there was none."""
        ...


class Published(Protocol):
    """Knows how far Kafka has the log."""

    async def wait_for(self, position: int, timeout: float) -> bool:  # noqa: ASYNC109 - a result, not an exception
        """Whether a consumer can read the event at ``position``, waited for no longer than ``timeout`` seconds."""
        ...


class Acknowledged:
    """An executor whose answers wait for Kafka."""

    def __init__(
        self, executor: Executor, published: Published, *, within: float, of_the_relay: Callable[[], str]
    ) -> None:
        """``of_the_relay`` says, in a sentence or two, what is known of whoever publishes; asked when it is late."""
        self._executor = executor
        self._published = published
        self._within = within
        self._of_the_relay = of_the_relay

    async def execute(self, request: Request) -> Outcome:
        """Carry out a command; when this returns, its events are on Kafka.

        Raises:
            Unavailable: ``not_acknowledged``: the command is done and stays done, and Kafka does not have it yet.
            RegistaError: as the executor.
        """
        outcome = await self._executor.execute(request)
        if outcome.position and not await self._published.wait_for(outcome.position, self._within):
            raise Unavailable(
                f"Position {outcome.position} is in the log, and not on Kafka after {self._within:g} s.",
                code="not_acknowledged",
                hint="Ask again with the same Idempotency-Key: nothing is done twice, and the answer waits for Kafka. "
                f"{self._of_the_relay()}",
                retry_after=1.0,
            )
        return outcome

    async def find(self, actor: str, command_id: str) -> Outcome | None:
        """What an earlier command of this actor led to, on Kafka or not."""
        return await self._executor.find(actor, command_id)
