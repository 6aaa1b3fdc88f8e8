"""One command on its way through the writer: decided when the batch is formed, and again when others were faster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice

from regista.domain import commands as c
from regista.domain.chain import Row
from regista.domain.errors import RegistaError
from regista.domain.events import Event, Meta
from regista.domain.model import EMPTY, Context, KnownArtifact, ModelState, VersionState, decide
from regista.domain.model.lookup import find_version
from regista.domain.model.registration import named_models
from regista.domain.model.stages import rollback_targets
from regista.domain.references import model_stream
from regista.registrar.answers import Outcome, planned, written
from regista.registrar.preconditions import check_if_match
from regista.registrar.request import Request
from regista.registrar.states import States, StreamState, advanced
from regista.store.append import Append, CommandKey
from regista.store.mapper import AvroMapper, Recorded

ROLLBACK_LOOKAHEAD = 20
"""How many earlier holders are looked up in the artifact store for one rollback."""


class Stale(Exception):
    """A state left memory between loading and deciding: load it again."""


class Attempt:
    """A request, the decision made on it last, and its answer. ``known`` and ``missing`` are set before deciding."""

    def __init__(
        self, states: States, mapper: AvroMapper, clock: Callable[[], datetime], request: Request, key: CommandKey
    ) -> None:
        self._states = states
        self._mapper = mapper
        self._clock = clock
        self._request = request
        self._key = key
        self._stream = model_stream(request.command.model)
        self._others = named_models(request.command) if isinstance(request.command, c.RegisterVersion) else []
        self._decided: tuple[int, Event, bytes, ModelState] | None = None
        self.epoch = 0
        self.known = KnownArtifact()
        self.missing: frozenset[str] = frozenset()

    @property
    def streams(self) -> list[str]:
        """The stream that the command writes, and those that its decision reads."""
        return [self._stream, *self._others]

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
        others = {name: self._get(name).state for name in self._others}
        check_if_match(before.state, request.command, request.if_match)
        context = Context(request.reason, others, self.missing, self.known)
        [event] = decide(before.state, request.command, context)
        sequence = before.state.sequence + 1
        stored = self._mapper.to_stored_event(Recorded(stream, sequence, self._meta(before), event))
        after = advanced(before, stream, event, stored.state)
        self._decided = (sequence, event, stored.state, after.state)
        if request.dry_run:
            return None
        self._states.put(stream, after)
        reads = {name: state.sequence for name, state in others.items()}
        return Append((stored,), self._key, reads)

    def plan(self) -> Outcome:
        """The answer of a dry run."""
        sequence, event, _, _ = self._last()
        return planned(self._stream, sequence, [event])

    def outcome(self, position: int) -> Outcome:
        """The answer, once the event is in the log."""
        sequence, event, value, state = self._last()
        row = Row(position, self._stream, sequence, event.TYPE, value)
        return written(row, event, state, self._key.command_id, replayed=False)

    def _last(self) -> tuple[int, Event, bytes, ModelState]:
        assert self._decided is not None, "prepare() comes first"
        return self._decided

    def _get(self, stream: str) -> StreamState:
        held = self._states.get(stream)
        if held is None:
            raise Stale(stream)
        return held

    def _meta(self, before: StreamState) -> Meta:
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
            previous_hash=before.last_hash,
        )
