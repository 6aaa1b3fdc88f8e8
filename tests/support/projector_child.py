"""A projector in a process of its own, to be stopped and killed; run with ``python -m tests.support.projector_child``.

It says on its standard output, a line of JSON each, whenever it begins or ceases to be the one that projects. Told a
position with ``--stop-at``, it stops itself (SIGSTOP) once it has read events beyond it and not yet written them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.histories import History, wander
from tests.support.projecting import Place, open_views

from regista.bus.events.feed import KafkaFeed
from regista.bus.settings import KafkaSettings
from regista.projections.feed import Batch, Feed, Mark
from regista.projections.memory import MemoryFeed
from regista.projections.runner import Projector

PATIENCE = 30.0
ROOT = Path(__file__).parents[2]


class Child:
    """A projector process of a test. Over Kafka where there are settings, else over a history that it makes itself."""

    def __init__(
        self,
        views: Place,
        kafka: KafkaSettings | None = None,
        *,
        stop_at: int | None = None,
        seed: int = 0,
        steps: int = 0,
    ) -> None:
        arguments = [str(views), f"--seed={seed}", f"--steps={steps}"]
        if kafka is not None:
            arguments += [f"--kafka={kafka.kafka}", f"--prefix={kafka.kafka_prefix}"]
        if stop_at is not None:
            arguments.append(f"--stop-at={stop_at}")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.projector_child", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    async def said(self) -> dict[str, Any]:
        """What it says next; waits for it."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await asyncio.to_thread(self._process.stdout.readline)
        assert line, f"the projector has ended with {self._process.wait()}"
        return dict(json.loads(line))

    async def is_stopped(self) -> None:
        """Wait until it has stopped itself."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.to_thread(os.waitid, os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        """Let a stopped one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it with SIGKILL, as often as one likes."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def history_of(seed: int, steps: int) -> History:
    """The history that a child without Kafka has."""
    history = History()
    for _ in wander(history, random.Random(seed), steps):
        pass
    return history


class _Stopping:
    """A feed that stops the process between reading and writing, once."""

    def __init__(self, feed: Feed, at: int) -> None:
        self._feed = feed
        self._at: int | None = at

    async def log_id(self) -> str:
        return await self._feed.log_id()

    async def newest(self) -> int:
        return await self._feed.newest()

    async def wait(self, position: int, timeout: float) -> None:  # noqa: ASYNC109 - the port's signature
        await self._feed.wait(position, timeout)

    async def read(self, after: Mark, limit: int) -> Batch:
        batch = await self._feed.read(after, limit if self._at is None else 10)
        if self._at is not None and batch.rows and batch.rows[-1].position > self._at:
            self._at = None
            os.kill(os.getpid(), signal.SIGSTOP)
        return batch


async def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("views")
    parser.add_argument("--kafka")
    parser.add_argument("--prefix", default="regista")
    parser.add_argument("--stop-at", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--steps", type=int)
    given = parser.parse_args()
    feed: Feed
    if given.kafka:
        feed = KafkaFeed(KafkaSettings(kafka=given.kafka, kafka_prefix=given.prefix))
    else:
        memory = feed = MemoryFeed("log-1")
        for rows in history_of(given.seed, given.steps).sets:
            memory.append(*rows)
    if given.stop_at is not None:
        feed = _Stopping(feed, given.stop_at)
    projector = Projector(feed, open_views(given.views if "://" in given.views else Path(given.views)))
    running = asyncio.create_task(projector.run())
    said = False
    while not running.done():
        if projector.is_leading != said:
            said = projector.is_leading
            sys.stdout.write(json.dumps({"leading": said, "position": projector.status().head.position}) + "\n")
            sys.stdout.flush()
        await projector.wait_for(10**15, 0.02)


if __name__ == "__main__":
    asyncio.run(_main())
