"""Group commit: one writer, one durable transaction for whatever queued up while the last one ran.

No timer: waiting for company halved the throughput when it was measured. Decisions are made on the event loop when a
batch is formed, in the order of submission, so each sees what those before it decided; the commit runs in one thread.
No answer is given before what it rests on is durable: a refusal because of an event of the same batch waits too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from regista.domain.errors import Unavailable
from regista.store.append import Append, CommandKey, Conflict, Duplicate
from regista.store.log import LogStore

Prepare: TypeAlias = Callable[[], Append | None]
Forget: TypeAlias = Callable[[set[str]], Awaitable[None]]
_T = TypeVar("_T")

_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Committed:
    """Durable. ``position`` is that of the command's first event; 0 when it had none."""

    position: int


@dataclass(eq=False, slots=True)
class _Member:
    """A command between its submission and its answer."""

    key: CommandKey
    prepare: Prepare
    on_conflict: Forget
    answer: asyncio.Future[Committed]
    twin: _Member | None = None
    append: Append | None = field(default=None, init=False)
    refusal: Exception | None = field(default=None, init=False)
    position: int = field(default=0, init=False)

    def decide(self) -> None:
        """Call ``prepare``; what it returned or raised is kept until it may be told."""
        self.append = self.refusal = None
        try:
            self.append = self.prepare()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller, the batch goes on
            self.refusal = error

    def settle(self, position: int = 0) -> None:
        """Tell the caller; ``position`` is remembered for a twin even when the caller has gone."""
        self.position = position
        if self.refusal is not None:
            self.fail(self.refusal)
        elif not self.answer.done():
            self.answer.set_result(Committed(position))

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class GroupCommit:
    """The one way by which commands reach the log store of this process."""

    def __init__(self, store: LogStore, *, max_batch: int = 1000, max_waiting: int = 10_000) -> None:
        self._store = store
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._waiting: deque[_Member] = deque()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._driver: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, prepare: Prepare, on_conflict: Forget, *, key: CommandKey) -> Committed:
        """Decide and append one command; durable when this returns.

        ``prepare`` is called on the event loop when the batch is formed, after those submitted before. It returns the
        append, None when there is nothing to append, or raises what the caller is to see. It is called again when the
        decision has to be made anew. ``on_conflict`` is awaited first, with the streams whose remembered state is not
        to be trusted any more: after a conflict, and after any append that failed.

        Raises:
            Duplicate: the log has the command, or a twin of it submitted a moment before: answer from its events.
            Unavailable: the store cannot be written (its own code), the queue is full (``overloaded``), streams
                moved under the decision again and again (``log_contended``), or the registrar is going down.
        """
        if self._closed:
            raise Unavailable("The registrar is shutting down.", code="shutting_down")
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many commands wait for the log.", code="overloaded")
        loop = asyncio.get_running_loop()
        member = _Member(key, prepare, on_conflict, loop.create_future())
        self._waiting.append(member)
        if self._driver is None:
            self._driver = loop.create_task(self._drain())
        return await member.answer

    async def close(self) -> None:
        """Take no more commands, answer those that wait, end the writer thread."""
        self._closed = True
        if self._driver is not None:
            await asyncio.wait([self._driver])
        self._writer.shutdown()

    async def _drain(self) -> None:
        batch: list[_Member] = []
        try:
            while self._waiting:
                batch = self._form()
                await self._commit(batch)
        finally:
            self._driver = None
            for member in (*batch, *self._waiting):
                member.answer.cancel()

    def _form(self) -> list[_Member]:
        """Take from the queue, in order, and decide. Of two with the same key the second waits for the next batch."""
        batch: list[_Member] = []
        keys: dict[tuple[str, str], _Member] = {}
        twins: list[_Member] = []
        while self._waiting and len(batch) < self._max_batch:
            member = self._waiting.popleft()
            if member.answer.done():
                continue
            if member.twin is not None and member.twin.position:
                member.fail(Duplicate(*member.key.scoped))
                continue
            member.twin = keys.setdefault(member.key.scoped, member)
            if member.twin is not member:
                twins.append(member)
                continue
            member.twin = None
            member.decide()
            batch.append(member)
        self._waiting.extendleft(reversed(twins))
        return batch

    async def _commit(self, batch: Sequence[_Member]) -> None:
        appends = [member.append for member in batch if member.append is not None]
        try:
            positions = iter(await self._blocking(self._store.append, appends) if appends else ())
        except (Conflict, Duplicate):
            await self._forget(batch)
            for member in batch:
                await self._commit_alone(member)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers, the writer goes on
            await self._resolve(batch, error)
        else:
            for member in batch:
                member.settle(next(positions) if member.append is not None else 0)

    async def _commit_alone(self, member: _Member) -> None:
        """Decide anew and append, until the streams stand still."""
        for _ in range(_ATTEMPTS):
            if member.answer.done():
                return
            member.decide()
            if member.append is None:
                member.settle()
                return
            try:
                [position] = await self._blocking(self._store.append, [member.append])
            except Conflict:
                await self._forget([member])
            except Duplicate as error:
                member.fail(error)
                await self._forget([member])
                return
            except Exception as error:  # noqa: BLE001 - as in _commit
                await self._resolve([member], error)
                return
            else:
                member.settle(position)
                return
        member.fail(Unavailable("Other writers were faster, again and again.", code="log_contended"))

    async def _resolve(self, batch: Sequence[_Member], error: Exception) -> None:
        """After an error that may have come out of the commit itself, the command index says what happened."""
        appends = [member.append for member in batch if member.append is not None]
        try:
            found = await self._blocking(self._find, appends)
        except Exception:  # noqa: BLE001 - the store cannot be asked: the first error is the one to tell
            found = None
        if found is None:
            for member in batch:
                member.fail(error)
            await self._forget(batch)
            return
        positions = iter(found)
        for member in batch:
            member.settle(next(positions) if member.append is not None else 0)

    def _find(self, appends: Iterable[Append]) -> list[int] | None:
        """Where the log holds exactly these appends; None when it does not."""
        positions = []
        for append in appends:
            found = self._store.find_command(*append.command.scoped)
            row = found and self._store.row(found.position)
            if not found or not row or row.value != append.rows[0].state:
                return None
            positions.append(found.position)
        return positions

    async def _forget(self, batch: Sequence[_Member]) -> None:
        streams = {stream for member in batch if member.append is not None for stream in member.append.streams}
        for member in batch:
            try:
                await member.on_conflict(streams)
            except Exception as error:  # noqa: BLE001 - belongs to its caller, the batch goes on
                member.fail(error)

    async def _blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)
