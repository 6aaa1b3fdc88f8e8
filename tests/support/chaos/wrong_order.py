"""A relay that reads the checkpoint first and fences then: the control that a checker has to catch.

What an older relay commits between the two is published again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import regista.processes.kafka_parts
from regista.bus.clients import looking
from regista.bus.relay.checkpoint import Checkpoint
from regista.bus.relay.fenced import FencedProducer
from regista.bus.relay.notes import newest_checkpoint
from regista.bus.relay.relay import Relay
from regista.processes.workers import relay
from regista.settings import load

PROGRAM = "import sys; from tests.support.chaos.wrong_order import main; sys.exit(main({}))"
"""What Python runs to be ``regista relay`` in the wrong order; the seconds that may lie between read and fence."""


class WrongOrder(Relay):
    """Whoever is fenced starts again at once, without standing by: more changes of lead, more chances."""

    async def _term(self) -> None:
        async with looking(self._settings, "wrong", self._notes) as consumer:
            found = await newest_checkpoint(consumer, self._notes, self._outbox.name)
        await self.between(found)
        producer = FencedProducer(self._settings, self._outbox.name, self._notes.topic)
        try:
            await producer.start()
            await self._lead(producer, found or Checkpoint(self._outbox.log_id, self._outbox.name))
        finally:
            await producer.close()

    async def between(self, found: Checkpoint | None) -> None:
        """What happens between reading and fencing."""


def held(between: Callable[[Checkpoint | None], Awaitable[None]]) -> type[WrongOrder]:
    """One that does something between reading and fencing."""

    class Held(WrongOrder):
        async def between(self, found: Checkpoint | None) -> None:
            await between(found)

    return Held


def main(longest: float) -> int:
    """``regista relay`` in the wrong order, as slow between read and fence as a busy machine may be."""

    async def wait(_: Any) -> None:
        await asyncio.sleep(random.uniform(0, longest))

    setattr(regista.processes.kafka_parts, "Relay", held(wait))  # noqa: B010 - not exported
    return relay(load())
