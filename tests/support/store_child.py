"""Writers that are to be killed: run as a program, it starts one for each line on its standard input.

The modules are loaded once, and each writer is a fork of this one-threaded program: a round takes milliseconds. A line
is a JSON object: ``data`` (directory), ``round`` (unique), ``retry`` (command id to model, of commands without answer).
A writer says ``pid N``, ``try ID MODEL`` before a command is submitted and ``done ID POSITION`` when it was answered;
after its end the program says ``over``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.support.chained_log import Writer

from regista.store.append import Duplicate
from regista.store.group_commit import GroupCommit
from regista.store.sqlite import SQLiteLogStore

CALLERS = 8


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Busy:
    """Callers that write, each to its own model and to one they share."""

    def __init__(self, data: Path) -> None:
        self.store = SQLiteLogStore(data)
        self.writer = Writer(self.store)
        self.commits = GroupCommit(self.store)

    async def forget(self, streams: set[str]) -> None:
        for stream in streams:
            self.writer.tips.pop(stream, None)

    async def command(self, command_id: str, *models: str) -> None:
        say("try", command_id, ",".join(models))
        key = self.writer.append_key(command_id)
        try:
            done = await self.commits.submit(
                lambda: self.writer.append(*models, command_id=command_id), self.forget, key=key
            )
            position = done.position
        except Duplicate:
            found = self.store.find_command(*key.scoped)
            assert found is not None
            position = found.position
        say("done", command_id, position)

    async def caller(self, name: str, number: int) -> None:
        count = 0
        while True:
            count += 1
            models = (f"own-{number}", "shared") if count % 3 == 0 else (f"own-{number}",)
            await self.command(f"{name}-{number}-{count}", *models)

    async def run(self, name: str, retry: dict[str, str]) -> None:
        await asyncio.gather(*(self.command(id_, *models.split(",")) for id_, models in retry.items()))
        await asyncio.gather(*(self.caller(name, number) for number in range(CALLERS)))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            say("pid", os.getpid())
            asyncio.run(Busy(Path(order["data"])).run(order["round"], order["retry"]))
        os.waitpid(child, 0)
        say("over")


if __name__ == "__main__":
    main()
