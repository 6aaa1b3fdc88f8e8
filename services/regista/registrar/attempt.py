"""One command on its way through the writer: decided when the batch is formed, and again when others were faster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from regista.domain import commands as c
from regista.domain.chain import Row
from regista.domain.context import State
from regista.domain.events import EndpointRolledBack, Event, Meta, TrafficChanged, VersionPromoted, VersionRolledBack
from regista.domain.model import KnownArtifact, ModelState, VersionState
from regista.domain.references import model_stream
from regista.domain.secrets import DISPLACING, displaced
from regista.domain.times import Clock
from regista.registrar.answers import Outcome, Written, planned, written
from regista.registrar.artifacts import is_stored
from regista.registrar.commands import Command
from regista.registrar.preconditions import check_if_match
from regista.registrar.request import Request
from regista.registrar.states import States, StreamState, advanced
from regista.registrar.subjects import Given, StreamEvent, subject_of
from regista.store.append import Append, CommandKey, StoredEvent
from regista.store.mapper import AvroMapper, Recorded


class Stale(Exception):
    """A state left memory between loading and deciding: load it again."""


class _Decided(NamedTuple):
    """The events of a command with their streams, as they are stored, and the state right after each."""

    events: Sequence[StreamEvent]
    stored: Sequence[StoredEvent]
    states: Sequence[StreamState]


class Attempt:
    """A request, the decision made on it last, and its answer.

    ``found`` are the streams that were looked for, ``then`` the states at the moment that the command names. ``known`` is
    what the artifact store says of the artifact to register; ``looked_up`` are the stored artifacts that were looked for,
    ``missing`` those of them that are gone. All are set before deciding.
    """

    def __init__(
        self,
        states: States,
        mapper: AvroMapper,
        clock: Clock,
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
        self._subject = subject_of(request.command)
        self._decided: _Decided | None = None
        self.prefix = self._subject.prefix
        self.moment = self._subject.moment
        self.epoch = 0
        self.found: Sequence[str] = ()
        self.then: Mapping[str, State] = {}
        self.known = KnownArtifact()
        self.looked_up: frozenset[str] = frozenset()
        self.missing: frozenset[str] = frozenset()

    @property
    def streams(self) -> Sequence[str]:
        """The streams that the command writes and that its decision reads, as far as can be told by those in memory.

        Raises:
            Invalid: ``bad_name``.
        """
        return self._subject.streams(self._held, self.found)

    @property
    def command(self) -> Command:
        """What is asked for."""
        return self._request.command

    @property
    def reads(self) -> dict[str, int]:
        """The sequences of all those streams in memory now: what a refusal rests on."""
        held = ((stream, self._held(stream)) for stream in self.streams)
        return {stream: state.sequence for stream, state in held if state is not None}

    def entering(self) -> Iterator[VersionState]:
        """The versions that may be served or enter a stage, as far as can be told before the command is decided."""
        return self._subject.entering(self._held, self.then)

    def prepare(self) -> Append | None:
        """Decide on the states as they are now, and remember what they become. None in a dry run.

        Raises:
            Stale: a state is not in memory.
            RegistaError: the rules say no, or the event is too large.
        """
        request = self._request
        self.epoch = self._states.epoch
        before = {stream: self._get(stream) for stream in self.streams}
        states = {stream: held.state for stream, held in before.items()}
        check_if_match(states[self._subject.stream], request.command, request.if_match)
        now = self._clock()
        given = Given(request.reason, self.missing, self.known, self._plain, self.then, request.kept, now)
        events = self._subject.decide(states, given)
        self._check_looked_up(states, events)
        after, stored, passed = dict[str, StreamState](), list[StoredEvent](), list[StreamState]()
        for stream, event in events:
            last = after.get(stream) or before[stream]
            recorded = Recorded(stream, last.state.sequence + 1, self._meta(now, last.last_hash), event)
            stored.append(self._mapper.to_stored_event(recorded))
            after[stream] = advanced(last, stream, event, stored[-1].state)
            passed.append(after[stream])
        self._decided = _Decided(events, stored, passed)
        if request.dry_run:
            return None
        for stream, state in after.items():
            self._states.put(stream, state)
        reads = {stream: state.sequence for stream, state in states.items() if stream not in after}
        tips = {stream: held.last_hash for stream, held in before.items()}
        return Append(tuple(stored), self._key, reads, tips=tips)

    @property
    def displaced(self) -> frozenset[str]:
        """The secrets that count no more once the events are in the log, by their ids."""
        if self._decided is None or self._request.dry_run:
            return frozenset()
        found: frozenset[str] = frozenset()
        for _, event in self._decided.events:
            if type(event) in DISPLACING:
                found |= displaced(event)
        return found

    def plan(self) -> Outcome:
        """The answer of a dry run."""
        decided = self._last()
        sequences = [stored.originator_version for stored in decided.stored]
        return planned(decided.events, sequences)

    def outcome(self, position: int) -> Outcome:
        """The answer, once the events are in the log, the first of them at ``position``."""
        decided = self._last()
        whole = [
            Written(
                Row(position + i, stream, stored.originator_version, stored.topic, stored.state),
                after.last_hash,
                event,
                after.state,
            )
            for i, ((stream, event), stored, after) in enumerate(zip(*decided, strict=True))
        ]
        return written(whole, self._key.command_id, replayed=False)

    def _check_looked_up(self, states: Mapping[str, State], events: Sequence[StreamEvent]) -> None:
        """Whether the bytes of what is to be served were looked for; another may have come into its place."""
        for stream, event in events:
            if type(event) not in _BRINGING:
                continue
            for name, ordinal in _brought_in(stream, event):
                model = states.get(name)
                version = model.versions.get(ordinal) if isinstance(model, ModelState) else None
                if version is None or (is_stored(version.uri) and version.digest not in self.looked_up):
                    raise Stale(name)

    def _last(self) -> _Decided:
        assert self._decided is not None, "prepare() comes first"
        return self._decided

    def _held(self, stream: str) -> State | None:
        held = self._states.get(stream)
        return None if held is None else held.state

    def _get(self, stream: str) -> StreamState:
        held = self._states.get(stream)
        if held is None:
            raise Stale(stream)
        return held

    def _meta(self, now: datetime, previous_hash: bytes) -> Meta:
        request = self._request
        origin = request.command.origin if isinstance(request.command, c.RegisterVersion) else None
        return Meta(
            time=now,
            actor=request.caller.actor,
            identity=request.caller.identity if origin is None else "import",
            reason=request.reason,
            command_id=self._key.command_id,
            command_digest=self._key.digest,
            cause=request.cause,
            origin=origin,
            traceparent=request.caller.traceparent,
            previous_hash=previous_hash,
        )


_BRINGING: Final = frozenset({VersionPromoted, VersionRolledBack, TrafficChanged, EndpointRolledBack})


def _brought_in(stream: str, event: Event) -> Iterator[tuple[str, int]]:
    """The versions that come to be served, or into a stage, and were not: stream and ordinal of each."""
    match event:
        case VersionPromoted() | VersionRolledBack():
            yield stream, event.ordinal
        case TrafficChanged() | EndpointRolledBack():
            served = {variant.ordinal for variant in event.previous}
            for ordinal in {variant.ordinal for variant in event.variants} - served:
                yield model_stream(event.model), ordinal
        case _:
            pass
