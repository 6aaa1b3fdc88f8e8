"""One command on its way through the writer: decided when the batch is formed, and again when others were faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from regista.domain import commands as c
from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.domain.events import Event, Meta, VersionPromoted, VersionRolledBack
from regista.domain.model import EMPTY, Context, KnownArtifact, ModelState, VersionState, decide
from regista.domain.model.lookup import find_version
from regista.domain.model.registration import named_models
from regista.domain.model.stages import rollback_targets
from regista.domain.references import model_stream
from regista.registrar.answers import Outcome, planned, written
from regista.registrar.artifacts import is_stored
from regista.registrar.preconditions import check_if_match
from regista.registrar.request import Request
from regista.registrar.states import States, StreamState, advanced
from regista.store.append import Append, CommandKey, StoredEvent
from regista.store.mapper import AvroMapper, Recorded

ROLLBACK_LOOKAHEAD = 20
"""How many earlier holders are looked up in the artifact store for one rollback."""


class Stale(Exception):
    """A state left memory between loading and deciding: load it again."""


@dataclass(frozen=True, slots=True)
class _Decided:
    """The events of a command, the last of them encoded, and the state after it."""

    events: Sequence[Event]
    stored: StoredEvent
    state: ModelState


class Attempt:
    """A request, the decision made on it last, and its answer.

    ``known`` is what the artifact store says of the artifact to register; ``looked_up`` are the stored artifacts that
    were looked for, ``missing`` those of them that are gone. All are set before deciding.
    """

    def __init__(
        self,
        states: States,
        mapper: AvroMapper,
        clock: Callable[[], datetime],
        request: Request,
        key: CommandKey,
        *,
        plain: bool,
    ) -> None:
        self._states = states
        self._mapper = mapper
        self._clock = clock
        self._request = request
        self._key = key
        self._plain = plain
        self._stream = model_stream(request.command.model)
        self._others = named_models(request.command) if isinstance(request.command, c.RegisterVersion) else []
        self._decided: _Decided | None = None
        self.epoch = 0
        self.known = KnownArtifact()
        self.looked_up: frozenset[str] = frozenset()
        self.missing: frozenset[str] = frozenset()

    @property
    def streams(self) -> list[str]:
        """The stream that the command writes, and those that its decision reads."""
        return [self._stream, *self._others]

    @property
    def command(self) -> c.Command:
        """What is asked for."""
        return self._request.command

    @property
    def reads(self) -> dict[str, int]:
        """The sequences of all those streams in memory now: what a refusal rests on."""
        held = ((stream, self._states.get(stream)) for stream in self.streams)
        return {stream: state.state.sequence for stream, state in held if state is not None}

    def entering(self) -> Iterator[VersionState]:
        """The versions that the command may bring into a stage, as far as can be told before it is decided."""
        held = self._states.get(self._stream)
        state = EMPTY if held is None else held.state
        match self._request.command:
            case c.Promote(ref=ref) | c.RollBack(to=str(ref)):
                try:
                    yield find_version(state, ref)
                except RegistaError:
                    return  # the decision says so
            case _:
                pass
        if isinstance(self._request.command, c.RollBack):
            yield from islice(rollback_targets(state, self._request.command.stage), ROLLBACK_LOOKAHEAD)

    def prepare(self) -> Append | None:
        """Decide on the states as they are now, and remember what they become. None in a dry run.

        Raises:
            Stale: a state is not in memory.
            RegistaError: the rules say no, or the event is too large.
        """
        request, stream = self._request, self._stream
        self.epoch = self._states.epoch
        before = self._get(stream)
        read = {name: self._get(name) for name in self._others}
        others = {name: found.state for name, found in read.items()}
        check_if_match(before.state, request.command, request.if_match)
        context = Context(request.reason, others, self.missing, self.known, self._plain)
        events = decide(before.state, request.command, context)
        self._check_looked_up(before.state, events)
        meta, after, stored = self._meta(), before, list[StoredEvent]()
        for event in events:
            sequence = after.state.sequence + 1
            recorded = Recorded(stream, sequence, replace(meta, previous_hash=after.last_hash), event)
            stored.append(self._mapper.to_stored_event(recorded))
            after = advanced(after, stream, event, stored[-1].state)
        self._decided = _Decided(events, stored[-1], after.state)
        if request.dry_run:
            return None
        self._states.put(stream, after)
        reads = {name: state.sequence for name, state in others.items()}
        tips = {name: found.last_hash for name, found in (*read.items(), (stream, before))}
        return Append(tuple(stored), self._key, reads, tips=tips)

    def plan(self) -> Outcome:
        """The answer of a dry run."""
        decided = self._last()
        return planned(self._stream, decided.state.sequence - len(decided.events) + 1, decided.events)

    def outcome(self, position: int) -> Outcome:
        """The answer, once the events are in the log, the first of them at ``position``: that of the last."""
        decided = self._last()
        last = position + len(decided.events) - 1
        row = Row(last, self._stream, decided.state.sequence, decided.stored.topic, decided.stored.state)
        return written(row, decided.events[-1], decided.state, self._key.command_id, replayed=False)

    def _check_looked_up(self, state: ModelState, events: Sequence[Event]) -> None:
        """Whether the bytes of a version that enters a stage were looked for; another may have come into its place."""
        for event in events:
            if isinstance(event, VersionPromoted | VersionRolledBack):
                version = state.versions[event.ordinal]
                if is_stored(version.uri) and version.digest not in self.looked_up:
                    raise Stale(version.digest)

    def _last(self) -> _Decided:
        assert self._decided is not None, "prepare() comes first"
        return self._decided

    def _get(self, stream: str) -> StreamState:
        held = self._states.get(stream)
        if held is None:
            raise Stale(stream)
        return held

    def _meta(self) -> Meta:
        request = self._request
        origin = request.command.origin if isinstance(request.command, c.RegisterVersion) else None
        return Meta(
            time=self._clock(),
            actor=request.caller.actor,
            identity=request.caller.identity if origin is None else "import",
            reason=request.reason,
            command_id=self._key.command_id,
            command_digest=self._key.digest,
            cause=None,
            origin=origin,
            traceparent=request.caller.traceparent,
            previous_hash=b"",
        )
