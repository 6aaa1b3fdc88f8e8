"""Group commit: one writer, one durable transaction for whatever queued up while the last one ran.

No timer: waiting for company halved the throughput when it was measured. Decisions are made on the event loop when a
batch is formed, in the order of submission, so each sees what those before it decided; the commit runs in one thread.
No answer is given before what it rests on is durable: a refusal because of an event of the same batch waits too.

A batch that meets a conflict stays one: its streams are reloaded once, its commands are decided anew and appended
together. Only when that fails again is it cut in halves, until the one whose stream does not stand still is alone.

Several commands may be submitted as one, decided one after the other and appended all or not at all: what is taken in
from a queue, whose order and whose offset they share.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from time import perf_counter
from typing import TypeAlias, TypeVar

from regista.domain.errors import Unavailable
from regista.store.append import Append, CommandKey, Conflict, Duplicate, IntakeMoved
from regista.store.log import LogStore

Prepare: TypeAlias = Callable[[], Append | None]
PrepareAll: TypeAlias = Callable[[], Sequence[Append]]
Forget: TypeAlias = Callable[[set[str]], Awaitable[None]]
Observe: TypeAlias = Callable[[int, float], None]
_T = TypeVar("_T")

_ATTEMPTS = 20


def _unobserved(_commands: int, _seconds: float) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Durable. ``position`` is that of the command's first event; 0 when it had none."""

    position: int


@dataclass(eq=False, slots=True)
class _Member:
    """A command between its submission and its answer, or several that stay together.

    ``landed`` says where the events of which of its commands begin: for a twin, even when the caller has gone.
    """

    keys: tuple[tuple[str, str], ...]
    prepare: Callable[[], Append | Sequence[Append] | None]
    on_conflict: Forget
    answer: asyncio.Future[tuple[int, ...]]
    twin: _Member | None = None
    appends: tuple[Append, ...] = field(default=(), init=False)
    refusal: Exception | None = field(default=None, init=False)
    landed: dict[tuple[str, str], int] = field(default_factory=dict, init=False)

    def decide(self) -> None:
        """Call ``prepare``; what it returned or raised is kept until it may be told."""
        self.appends, self.refusal = (), None
        try:
            decided = self.prepare()
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the caller, the batch goes on
            self.refusal = error
        else:
            self.appends = () if decided is None else (decided,) if isinstance(decided, Append) else tuple(decided)

    def settle(self, positions: tuple[int, ...] = ()) -> None:
        """Tell the caller the first position of each append."""
        for append, position in zip(self.appends, positions, strict=True):
            if append.command is not None:
                self.landed[append.command.scoped] = position
        if self.refusal is not None:
            self.fail(self.refusal)
        elif not self.answer.done():
            self.answer.set_result(positions)

    def repeat(self, key: tuple[str, str], position: int) -> None:
        """Tell the caller that the log has the command, at ``position``."""
        self.landed[key], self.twin = position, None
        self.fail(Duplicate(*key))

    def is_repeated(self) -> bool:
        """Whether the twin has brought a command of this one into the log; the caller is told."""
        for key in self.keys if self.twin is not None else ():
            if self.twin is not None and (position := self.twin.landed.get(key)):
                self.repeat(key, position)
                return True
        return False

    def takes_from(self, source: str) -> bool:
        return any(append.intake is not None and append.intake.source == source for append in self.appends)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class GroupCommit:
    """The one way by which commands reach the log store of this process."""

    def __init__(
        self, store: LogStore, *, max_batch: int = 1000, max_waiting: int = 10_000, observe: Observe = _unobserved
    ) -> None:
        """``observe`` is told of every commit: the number of its commands, and the seconds it took in the store."""
        self._store = store
        self._observe = observe
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
        positions = await self._submitted((key.scoped,), prepare, on_conflict)
        return Committed(positions[0] if positions else 0)

    async def submit_all(
        self, prepare: PrepareAll, on_conflict: Forget, *, keys: Iterable[CommandKey]
    ) -> tuple[int, ...]:
        """Decide and append several commands as one, all or nothing: the first position of each append, 0 without events.

        ``prepare`` and ``on_conflict`` as in ``submit``; ``prepare`` may append for some of the commands only.

        Raises:
            Duplicate: the log has one of the commands: look again which.
            IntakeMoved: a queue is not where an append believes it.
            Unavailable: as ``submit``.
        """
        return await self._submitted(tuple(key.scoped for key in keys), prepare, on_conflict)

    async def _submitted(
        self,
        keys: tuple[tuple[str, str], ...],
        prepare: Callable[[], Append | Sequence[Append] | None],
        on_conflict: Forget,
    ) -> tuple[int, ...]:
        if self._closed:
            raise Unavailable("The registrar is shutting down.", code="shutting_down")
        if len(self._waiting) >= self._max_waiting:
            raise Unavailable("Too many commands wait for the log.", code="overloaded")
        loop = asyncio.get_running_loop()
        # The first copy of a command that is repeated too early may be in the commit that runs now.
        twin = next((self._newest[key] for key in keys if key in self._newest), None)
        member = _Member(keys, prepare, on_conflict, loop.create_future(), twin)
        self._newest.update(dict.fromkeys(keys, member))
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
            if member.is_repeated() or member.answer.done():
                self._let_go([member])
                continue
            member.twin = next((keys[key] for key in member.keys if key in keys), None)
            if member.twin is not None:
                twins.append(member)
                continue
            keys.update(dict.fromkeys(member.keys, member))
            member.decide()
            batch.append(member)
        self._waiting.extendleft(reversed(twins))
        return batch

    def _let_go(self, members: Iterable[_Member]) -> None:
        for member in members:
            for key in member.keys:
                if self._newest.get(key) is member:
                    del self._newest[key]

    async def _commit(self, batch: Sequence[_Member], failures: int = 0) -> None:
        """Append what was decided; ``failures`` of these very members had met other writers before."""
        appends = [append for member in batch for append in member.appends]
        try:
            positions = await self._blocking(self._append, appends) if appends else []
        except (Conflict, Duplicate, IntakeMoved) as error:
            await self._again(batch, error, failures + 1)
        except Exception as error:  # noqa: BLE001 - whatever it is belongs to the callers, the writer goes on
            await self._resolve(batch, error)
        else:
            _settle(batch, positions)

    async def _again(self, batch: Sequence[_Member], error: Conflict | Duplicate | IntakeMoved, failures: int) -> None:
        """Leave out what the log has, and who is not the taker of a queue; decide the others anew and append them."""
        try:
            await self._leave_out(batch, error)
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

    async def _leave_out(self, batch: Sequence[_Member], error: Conflict | Duplicate | IntakeMoved) -> None:
        """Answer those whose commands the log has, or whose queue another takes in."""
        if isinstance(error, IntakeMoved):
            for member in batch:
                if member.takes_from(error.source):
                    member.fail(error)
        if not isinstance(error, Duplicate):
            return
        named = [(m, append.command.scoped) for m in batch for append in m.appends if append.command is not None]
        found = await self._blocking(lambda: [self._store.find_command(*key) for _, key in named])
        for (member, key), command in zip(named, found, strict=True):
            if command is not None:
                member.repeat(key, command.position)

    async def _fail(self, batch: Sequence[_Member], error: Exception) -> None:
        for member in batch:
            member.fail(error)
        await self._forget(batch)

    async def _resolve(self, batch: Sequence[_Member], error: Exception) -> None:
        """After an error that may have come out of the commit itself, the command index says what happened."""
        appends = [append for member in batch for append in member.appends]
        try:
            found = await self._blocking(self._find, appends)
        except Exception:  # noqa: BLE001 - the store cannot be asked: the first error is the one to tell
            found = None
        if found is None:
            await self._fail(batch, error)
        else:
            _settle(batch, found)

    def _find(self, appends: Sequence[Append]) -> list[int] | None:
        """Where the log holds exactly these appends; None when it does not, or when that cannot be told.

        They are there all or not at all, so events tell of those without any. Where none has events, a queue that is
        where they leave it does: who took from it meanwhile must look again.
        """
        if not any(append.rows for append in appends):
            left = {append.intake.source: append.intake.leaves for append in appends if append.intake is not None}
            moved = all(self._store.intake(source) == taken for source, taken in left.items())
            return [0] * len(appends) if moved else None
        positions = []
        for append in appends:
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
        streams = {stream for member in batch for append in member.appends for stream in append.streams}
        for on_conflict in dict.fromkeys(member.on_conflict for member in batch):
            try:
                await on_conflict(streams)
            except Exception as error:  # noqa: BLE001 - belongs to its callers, the batch goes on
                for member in batch:
                    if member.on_conflict == on_conflict:
                        member.fail(error)

    def _append(self, appends: Sequence[Append]) -> list[int]:
        started = perf_counter()
        positions = self._store.append(appends)
        self._observe(len(appends), perf_counter() - started)
        return positions

    async def _blocking(self, function: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)


def _settle(batch: Iterable[_Member], positions: Iterable[int]) -> None:
    """Tell every caller the positions of its own appends."""
    rest = iter(positions)
    for member in batch:
        member.settle(tuple(islice(rest, len(member.appends))))
