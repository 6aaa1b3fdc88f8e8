"""Asking a log something small from the event loop: where it is answered in microseconds at once, else in a thread.

What every request asks is asked together: with 32 callers on PostgreSQL, a look-up each cost the server more than all
of their commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from regista.store.append import CommandFound
from regista.store.log import LogReader

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def ask(log: LogReader, question: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """The answer of ``question``, which asks ``log`` and blocks; the event loop goes on meanwhile."""
    if log.immediate:
        return question(*args, **kwargs)
    return await asyncio.to_thread(question, *args, **kwargs)


class CommandLookup:
    """Looks commands up in a log; those that are asked for while a look runs share the next. Of one event loop."""

    def __init__(self, log: LogReader) -> None:
        self._log = log
        self._waiting: list[tuple[tuple[str, str], asyncio.Future[CommandFound | None]]] = []
        self._looking: asyncio.Task[None] | None = None

    async def find(self, actor: str, command_id: str) -> CommandFound | None:
        """As ``LogReader.find_command``, looked up after this was called."""
        if self._log.immediate:
            return self._log.find_command(actor, command_id)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[CommandFound | None] = loop.create_future()
        self._waiting.append(((actor, command_id), answer))
        if self._looking is None:
            self._looking = loop.create_task(self._look())
        return await answer

    async def _look(self) -> None:
        asked: list[tuple[tuple[str, str], asyncio.Future[CommandFound | None]]] = []
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                try:
                    found = await asyncio.to_thread(self._log.find_commands, {key for key, _ in asked})
                except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers
                    for _, answer in asked:
                        if not answer.done():
                            answer.set_exception(error)
                else:
                    for key, answer in asked:
                        if not answer.done():
                            answer.set_result(found.get(key))
        finally:
            self._looking = None
            for _, answer in (*asked, *self._waiting):
                answer.cancel()
