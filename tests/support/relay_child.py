"""A relay in a process of its own, to be killed or frozen: run as a program, with a JSON object as its argument.

``data`` (directory of the log), ``kafka``, ``prefix``, ``largest`` (entries of a transaction), ``lock`` (a file, or
null for no lock). It says each new state, ``leading 12``, on a line. With ``die`` it kills itself in the transaction
of that number, at the point ``at``:

* ``sent``: every record was taken, nothing is committed
* ``commit``: the request to commit is on its way
* ``done``: committed, and nobody here knows yet
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import regista.bus.relay.relay
from regista.bus.relay.fenced import FencedProducer, Keyed, Message
from regista.bus.relay.outbox import EventsOutbox
from regista.bus.relay.relay import Relay
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics
from regista.store.leadership import FileLeadership
from regista.store.sqlite import SQLiteLogReader

POINTS = ("sent", "commit", "done")


def killing(number: int, point: str) -> type[FencedProducer]:
    """A producer that ends this process in the transaction of that number (the barriers count too)."""

    class Killing(FencedProducer):
        begun = 0

        async def publish(self, messages: Sequence[Message], note: Keyed) -> None:
            Killing.begun += 1
            if Killing.begun == number:
                self._producer.commit_transaction = self._die
            await super().publish(messages, note)

        async def _die(self) -> None:
            commit: Any = type(self._producer).commit_transaction(self._producer)
            if point != "sent":
                task = asyncio.ensure_future(commit)
                if point == "done":
                    await task
                else:
                    await asyncio.sleep(0)
                    await asyncio.sleep(0.001)
            os.kill(os.getpid(), signal.SIGKILL)

    return Killing


async def main(order: dict[str, Any]) -> None:
    settings = KafkaSettings(kafka=order["kafka"], kafka_prefix=order["prefix"])
    if "die" in order:
        setattr(regista.bus.relay.relay, "FencedProducer", killing(order["die"], order["at"]))  # noqa: B010 - not exported
    log = SQLiteLogReader(Path(order["data"]) / "log.db")
    leadership = FileLeadership(Path(order["lock"])) if order.get("lock") else None
    outbox = EventsOutbox(log, Topics(settings.kafka_prefix).events)
    relay = Relay(outbox, settings, leadership=leadership, largest=order.get("largest", 2000))
    task = asyncio.create_task(relay.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: asyncio.ensure_future(relay.close()))
    said = ""
    while not task.done():
        state = relay.state()
        says = f"{state.state} {state.position}"
        if says != said:
            print(says, flush=True)
            said = says
        await asyncio.wait([task], timeout=0.02)
    await task
    log.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
