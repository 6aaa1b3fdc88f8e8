"""Group commit: one writer, one durable transaction for whatever queued up while the last one ran.

No timer: waiting for company halved the throughput when it was measured. Decisions are made on the event loop when a
batch is formed, in the order of submission, so each sees what those before it decided; the commit runs in one thread.
No answer is given before what it rests on is durable: a refusal because of an event of the same batch waits too.

A batch that meets a conflict stays one: its streams are reloaded once, its commands are decided anew and appended
together. Only when that fails again is it cut in halves, until the one whose stream does not stand still is alone.
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

    def repeat(self, position: int) -> None:
        """Tell the caller that the log has the command, at ``position``."""
        self.position, self.twin = position, None
        self.fail(Duplicate(*self.key.scoped))

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
        self._newest: dict[tuple[str, str], _Member] = {}
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
        # The first copy of a command that is repeated too early may be in the commit that runs now.
        member = _Member(key, prepare, on_conflict, loop.create_future(), self._newest.get(key.scoped))
        self._newest[key.scoped] = member
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
                self._let_go(batch)
        finally:
            self._driver = None
            self._newest.clear()
            for member in (*batch, *self._waiting):
                member.answer.cancel()

    def _form(self) -> list[_Member]:
        """Take from the queue, in order, and decide. Of two with the same key the second waits for the next batch."""
        batch: list[_Member] = []
        keys: dict[tuple[str, str], _Member] = {}
        twins: list[_Member] = []
        while self._waiting and len(batch) < self._max_batch:
            member = self._waiting.popleft()
            if member.twin is not None and member.twin.position:
                member.repeat(member.twin.position)
            if member.answer.done():
                self._let_go([member])
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

    def _let_go(self, members: Iterable[_Member]) -> None:
        for member in members:
            if self._newest.get(member.key.scoped) is member:
                del self._newest[member.key.scoped]

    async def _commit(self, batch: Sequence[_Member], failures: int = 0) -> None:
        """Append what was decided; ``failures`` of these very members had met other writers before."""
        appends = [member.append for member in batch if member.append is not None]
        try:
            positions = iter(await self._blocking(self._store.append, appends) if appends else ())
        except (Conflict, Duplicate) as error:
            await self._again(batch, error, failures + 1)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers, the writer goes on
            await self._resolve(batch, error)
        else:
            for member in batch:
                member.settle(next(positions) if member.append is not None else 0)

    async def _again(self, batch: Sequence[_Member], error: Conflict | Duplicate, failures: int) -> None:
        """Leave out what the log has, decide the others anew and append them."""
        if isinstance(error, Duplicate):
            try:
                await self._leave_out(batch)
            except Exception as unreadable:  # noqa: BLE001 - as in _commit
                await self._fail(batch, unreadable)
                return
        await self._forget(batch)
        left = [member for member in batch if not member.answer.done()]
        if len(left) < len(batch):
            failures = 0
        if failures >= _ATTEMPTS:
            for member in left:
                member.fail(Unavailable("Other writers were faster, again and again.", code="log_contended"))
            return
        halfway = len(left) // 2 if failures > 1 else 0
        for part in (left[:halfway], left[halfway:]):
            for member in part:
                member.decide()
            if part:
                # A half begins with the failure that cut it, so that the next one cuts it again.
                await self._commit(part, failures if len(left) == 1 else min(failures, 1))

    async def _leave_out(self, batch: Sequence[_Member]) -> None:
        """Answer those whose commands the log has."""
        appending = [member for member in batch if member.append is not None]
        keys = [member.key.scoped for member in appending]
        found = await self._blocking(lambda: [self._store.find_command(*key) for key in keys])
        for member, command in zip(appending, found, strict=True):
            if command is not None:
                member.repeat(command.position)

    async def _fail(self, batch: Sequence[_Member], error: Exception) -> None:
        for member in batch:
            member.fail(error)
        await self._forget(batch)

    async def _resolve(self, batch: Sequence[_Member], error: Exception) -> None:
        """After an error that may have come out of the commit itself, the command index says what happened."""
        appends = [member.append for member in batch if member.append is not None]
        try:
            found = await self._blocking(self._find, appends)
        except Exception:  # noqa: BLE001 - the store cannot be asked: the first error is the one to tell
            found = None
        if found is None:
            await self._fail(batch, error)
            return
        positions = iter(found)
        for member in batch:
            member.settle(next(positions) if member.append is not None else 0)

    def _find(self, appends: Sequence[Append]) -> list[int] | None:
        """Where the log holds exactly these appends; None when it does not.

        What has no events is known by its queue having moved: only its own intake, or that of another registrar, which
        the next append of this one then meets, moves it.
        """
        positions = []
        sources: set[str] = set()
        for append in appends:
            if append.intake is not None and append.intake.source not in sources:
                sources.add(append.intake.source)
                if (self._store.intake_offset(append.intake.source) or 0) == append.intake.before:
                    return None
            if append.command is None:
                positions.append(0)
                continue
            found = self._store.find_command(*append.command.scoped)
            row = found and self._store.row(found.position)
            if not found or not row or row.value != append.rows[0].state:
                return None
            positions.append(found.position)
        return positions

    async def _forget(self, batch: Sequence[_Member]) -> None:
        """Tell every owner of remembered state once, whatever the number of its commands."""
        streams = {stream for member in batch if member.append is not None for stream in member.append.streams}
        for on_conflict in dict.fromkeys(member.on_conflict for member in batch):
            try:
                await on_conflict(streams)
            except Exception as error:  # noqa: BLE001 - belongs to its callers, the batch goes on
                for member in batch:
                    if member.on_conflict == on_conflict:
                        member.fail(error)

    async def _blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)
