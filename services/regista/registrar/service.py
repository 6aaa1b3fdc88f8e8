"""The registrar: the one place where commands become events.

A command is decided on the event loop while a batch is formed, and answered when its event is durable. A decision
that met another registrar's events is made again on the reloaded state; a caller sees the outcome only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from regista.domain import commands as c
from regista.domain.chain import Row, event_hash
from regista.domain.context import State
from regista.domain.errors import KeyReused, RegistaError, Unavailable
from regista.domain.identifiers import new_id
from regista.domain.kinds import KINDS
from regista.domain.model import KnownArtifact
from regista.domain.times import Clock, utc_now
from regista.registrar.answers import Outcome, Written, needs_past, written
from regista.registrar.artifacts import Artifacts, is_stored
from regista.registrar.attempt import Attempt, Stale
from regista.registrar.commands import Command
from regista.registrar.moments import position_at
from regista.registrar.request import Request, Seal, check_command_id
from regista.registrar.snapshots import Snapshots
from regista.registrar.states import States
from regista.store.append import Append, CommandFound, CommandKey, Duplicate
from regista.store.group_commit import GroupCommit
from regista.store.log import LogReader
from regista.store.lookup import CommandLookup, ask
from regista.store.mapper import AvroMapper

_DECIDED = tuple(f"{prefix}/" for prefix in KINDS)
ATTEMPTS = 20
"""How often a command is decided at the most when other registrars keep moving what it rests on."""


Erase: TypeAlias = Callable[[Collection[str]], Awaitable[None]]
"""Forgets the secrets with these ids; it does not fail."""


async def _leave(ids: Collection[str]) -> None:
    """Forget nothing: there is no private table."""


class Registrar:
    """Executes commands. Safe beside other registrars on the same log.

    ``committed`` is called with the position after every commit: what follows the log wakes up by it. ``erase`` forgets
    the secrets that no event names any more.
    """

    def __init__(
        self,
        log: LogReader,
        writer: GroupCommit,
        artifacts: Artifacts,
        snapshots: Snapshots,
        *,
        committed: Callable[[int], None],
        erase: Erase = _leave,
        clock: Clock = utc_now,
        capacity: int = 10_000,
    ) -> None:
        self._log = log
        self._commands = CommandLookup(log)
        self._writer = writer
        self._artifacts = artifacts
        self._committed = committed
        self._erase = erase
        self._clock = clock
        self._mapper = AvroMapper()
        self._states = States(log, self._mapper, snapshots, capacity=capacity)

    async def execute(self, request: Request) -> Outcome:
        """Carry out a command, or answer what it led to when its id was used before.

        When it returns, the event is durable and its position, sequence and hash are final. A dry run goes the same
        way up to the append.

        Raises:
            RegistaError: refused, not found, lost race, key reused with another body, log unavailable.
        """
        command_id = new_id() if request.command_id is None else check_command_id(request.command_id)
        if request.dry_run:
            command_id = new_id()  # what is not done takes no key, and meets nothing done under one
        seal = request.seal()
        key = CommandKey(request.caller.actor, command_id, seal.digest)
        if found := await self._done_before(request, key):
            return await self.replay(found, key)
        attempt = self.attempt(request, key, seal)
        for remaining in reversed(range(ATTEMPTS)):
            try:
                return await self._carry_out(attempt, request, key)
            except Stale:
                continue
            except Duplicate:
                return await self._answer_duplicate(key)
            except Unavailable:
                raise
            except RegistaError:
                if found := await self._done_before(request, key):
                    return await self.replay(found, key)
                if not remaining or not await self._was_stale(attempt):
                    raise
        raise Unavailable("The state of the model left memory again and again.", code="overloaded")

    async def find(self, actor: str, command_id: str) -> Outcome | None:
        """What an earlier command of this actor led to; None when there was none."""
        found = await self._commands.find(actor, check_command_id(command_id))
        if found is None or not any(row.stream.startswith(_DECIDED) for row in await self._rows(found)):
            return None
        return await self._answer(found, command_id)

    async def save_snapshots(self) -> None:
        """Take snapshots of long streams, so that the next start finds them."""
        await asyncio.to_thread(self._states.save)

    def attempt(self, request: Request, key: CommandKey, seal: Seal) -> Attempt:
        """A request on its way, not made ready yet."""
        return Attempt(self._states, self._mapper, self._clock, request, key, plain=seal.plain)

    async def ready(self, attempt: Attempt) -> None:
        """Load and look up what deciding needs.

        Raises:
            RegistaError: the log or the artifact store cannot be asked; a name is none.
        """
        if attempt.prefix is not None:
            attempt.found = await ask(self._log, self._log.streams, attempt.prefix)
        await self._load(attempt)
        if attempt.moment is not None:
            attempt.then = await asyncio.to_thread(self._then, attempt.streams, attempt.moment)
        attempt.known = await self._known_artifact(attempt.command)
        await self._look_up(attempt)

    async def append_all(self, prepare: Callable[[], Sequence[Append]], keys: Iterable[CommandKey]) -> None:
        """Decide and append several commands as one, as ``GroupCommit.submit_all`` does."""
        positions = await self._writer.submit_all(prepare, self.reload, keys=keys)
        if last := max(positions, default=0):
            self._committed(last)

    async def reload(self, streams: set[str]) -> None:
        """Load streams anew whose remembered states are not to be trusted."""
        self._states.forget(streams)
        await self._states.ensure(streams)

    async def forget(self, attempts: Iterable[Attempt]) -> None:
        """Erase the secrets that count no more, now that the events of these are in the log."""
        for attempt in attempts:
            if displaced := attempt.displaced:
                await self._erase(displaced)

    def distrust(self, attempt: Attempt) -> None:
        """Drop the states that a decision moved which will not be appended."""
        self._states.forget(attempt.streams)

    async def done(self, key: CommandKey) -> CommandFound | None:
        """Where the log has the events of a command, if it was carried out."""
        return await self._commands.find(*key.scoped)

    async def replay(self, found: CommandFound, key: CommandKey) -> Outcome:
        """The first answer again.

        Raises:
            KeyReused: the command that has this id is another one.
        """
        if found.digest != key.digest:
            raise KeyReused(
                f"the idempotency key {key.command_id!r} was used for another command",
                hint="Choose a new key for each command; keep it only for retries of the very same one.",
            )
        return await self._answer(found, key.command_id)

    async def _done_before(self, request: Request, key: CommandKey) -> CommandFound | None:
        if request.command_id is None or request.dry_run:
            return None
        return await self.done(key)

    async def _was_stale(self, attempt: Attempt) -> bool:
        """Whether a refusal may rest on a state that another registrar had moved. An append checks that by itself."""
        behind = await self._states.behind(attempt.streams)
        if behind:
            self._states.forget(behind)
        return bool(behind) or attempt.epoch != self._states.epoch

    async def _carry_out(self, attempt: Attempt, request: Request, key: CommandKey) -> Outcome:
        await self.ready(attempt)
        committed = await self._writer.submit(attempt.prepare, self.reload, key=key)
        if request.dry_run:
            return attempt.plan()
        self._committed(committed.position)
        if displaced := attempt.displaced:
            await self._erase(displaced)
        return attempt.outcome(committed.position)

    async def _load(self, attempt: Attempt) -> None:
        """Load what the decision reads: a state may name further streams."""
        streams: Sequence[str] = ()
        while len(named := attempt.streams) > len(streams):
            await self._states.ensure(named)
            streams = named

    def _then(self, streams: Sequence[str], moment: str) -> dict[str, State]:
        return self._states.then(streams, position_at(self._log, moment))

    async def _known_artifact(self, command: Command) -> KnownArtifact:
        if not isinstance(command, c.RegisterVersion | c.UpdateVersion):
            return KnownArtifact()
        announced = command.artifact if isinstance(command, c.RegisterVersion) else c.AnnouncedArtifact()
        known = await self._artifacts.know(announced)
        problems = await self._artifacts.know_code(command.code)
        return replace(known, code_problems=problems) if problems else known

    async def _look_up(self, attempt: Attempt) -> None:
        stored = [version.digest for version in attempt.entering() if is_stored(version.uri)]
        attempt.looked_up = frozenset(stored)
        attempt.missing = await self._artifacts.missing(stored) if stored else frozenset()

    async def _answer_duplicate(self, key: CommandKey) -> Outcome:
        found = await self.done(key)
        assert found is not None, "the log said that it has the command"
        return await self.replay(found, key)

    async def _answer(self, found: CommandFound, command_id: str) -> Outcome:
        rows = await self._rows(found)
        told = rows if any(row.stream != rows[-1].stream for row in rows) else rows[-1:]
        return written([await self._told(row) for row in told], command_id, replayed=True)

    async def _told(self, row: Row) -> Written:
        """An event, and the state right after it as far as an answer tells it."""
        event = self._mapper.from_row(row).event
        await self._states.ensure([row.stream])
        known = self._states.get(row.stream)
        if known is None or needs_past(row, event, known.state):
            known = await asyncio.to_thread(self._states.at, row.stream, row.sequence)
        return Written(row, event_hash(row.stream, row.sequence, row.value), event, known.state)

    async def _rows(self, found: CommandFound) -> list[Row]:
        return await ask(self._log, self._log.rows_of_command, found)
