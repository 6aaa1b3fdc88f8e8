"""What is answered to commands from Kafka: written beside their events in the store, published from there exactly once.

A second relay publishes it, with the same guarantees as the events: an outcome is in the store or it is not, and each is
on Kafka once. The position of an answer is known only in the append, so it is filled in on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

import orjson

from regista.bus.commands.dead_letters import dead_letter
from regista.bus.commands.records import SOURCE, answering, decode_result, encode_result
from regista.bus.events.envelope import Consumed
from regista.bus.relay.outbox import LARGEST, Entry, StoreOutbox
from regista.bus.topics.topology import Topics
from regista.domain.errors import Internal, RegistaError, TooLarge
from regista.domain.times import Clock
from regista.http.problems import document
from regista.registrar.answers import Outcome
from regista.registrar.taking import Delivery, Verdict, is_defect
from regista.store.append import OutcomeRow, Outgoing
from regista.store.headers import pack_headers
from regista.store.log import LogReader
from regista.wire.orders import CommandResult, Order

_CHUNK = 50
_NAME = 1_000
_POLL = 0.02


class Teller:
    """What is told of the deliveries of one partition: a result, and a dead letter where something is wrong with it."""

    def __init__(self, source: str, max_bytes: int, clock: Clock) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self._clock = clock
        self.records: Mapping[int, Consumed] = {}
        """The records that are being decided, by offset."""

    def tell(self, delivery: Delivery, verdict: Verdict) -> tuple[Outgoing, ...]:
        """The outcomes of one delivery, position aside."""
        now = self._clock()
        time_ms = int(now.timestamp() * 1000)
        told: list[Outgoing] = []
        if isinstance(delivery.order, Order):
            result = _result(delivery.order, verdict, now)
            headers = answering(self._source, delivery.offset, delivery.mark)
            told.append(Outgoing("result", result.command_id.encode(), _encoded(result), headers, time_ms))
        if isinstance(verdict, Exception) and (is_defect(verdict) or not told):
            record = self.records[delivery.offset]
            told.append(
                dead_letter(
                    record,
                    answering(self._source, delivery.offset, delivery.mark),
                    verdict,
                    time_ms=time_ms,
                    max_bytes=self._max_bytes,
                )
            )
        return tuple(told)


def _result(order: Order, verdict: Verdict, now: datetime) -> CommandResult:
    # What is longer is no id, actor or type, and is refused; the refusal must not be too large to be told.
    order = replace(order, command_id=order.command_id[:_NAME], actor=order.actor[:_NAME], type=order.type[:_NAME])
    if isinstance(verdict, Outcome):
        answer = verdict.answer
        return CommandResult(
            command_id=order.command_id,
            actor=order.actor,
            type=order.type,
            status=verdict.status,
            replayed=bool(answer.get("replayed")),
            code=None,
            position=answer.get("position"),
            stream=answer.get("stream"),
            sequence=answer.get("sequence"),
            hash=answer.get("hash"),
            body=orjson.dumps(answer).decode(),
            time=now,
        )
    error = _told(verdict)
    body = document(error, error.status, f"urn:regista:command:{order.command_id}").decode()
    return CommandResult(
        order.command_id, order.actor, order.type, error.status, False, error.code, None, None, None, None, body, now
    )


def _told(error: Exception) -> RegistaError:
    """The error as the sender sees it; of a defect, only what is written for people."""
    if isinstance(error, RegistaError):
        return error
    return Internal(
        "Regista failed to decide this command",
        hint="This is a defect: the dead letter of the command and the server's log have the cause.",
    )


def _encoded(result: CommandResult) -> bytes:
    try:
        return encode_result(result)
    except TooLarge:
        kept = {**result.answer, "reasons": [], "detail": "The answer is too large to be told whole."}
        return encode_result(replace(result, body=orjson.dumps(kept).decode()))


class ResultsOutbox(StoreOutbox):
    """What a relay publishes of results and dead letters. The position of an entry is the id of the outcome.

    ``acknowledged`` gives, and may block for it, the newest position that answers may name: where an answer waits until
    its events are on Kafka, so does a result.
    """

    name = "results"
    guarded = None

    def __init__(
        self,
        store: LogReader,
        topics: Topics,
        *,
        acknowledged: Callable[[], int] | None = None,
        poll: float = _POLL,
        max_bytes: int = 4 * 2**20,
    ) -> None:
        """``poll``: seconds between looks for what other processes wrote; ``max_bytes`` of values in one read."""
        super().__init__(store, poll)
        self._topics = {"result": topics.results, "dead-letter": topics.dead_letters}
        self._commands = f"{topics.commands}/".encode()
        self._acknowledged = acknowledged
        self._read_up_to = 0
        self._max_bytes = max_bytes

    @property
    def topics(self) -> tuple[str, ...]:
        """Those of results and of dead letters."""
        return tuple(self._topics.values())

    def owns(self, record: Consumed) -> bool:
        """As ``Outbox.owns``: it answers a command. Dead letters are of others too."""
        return (dict(record.headers).get(SOURCE) or b"").startswith(self._commands)

    def is_behind(self, record: Consumed, position: int) -> bool:
        """As ``Outbox.is_behind``: one that the store holds there. A record names the command, not the outcome."""
        key, headers = record.key or b"", list(record.headers)
        asked_up_to = position
        for _ in range(0, LARGEST + _CHUNK, _CHUNK):
            found = self._store.outcomes(asked_up_to + 1, _CHUNK)
            if any((row.outgoing.key or b"", _headers(row)) == (key, headers) for row in found):
                return True
            if len(found) < _CHUNK:
                break
            asked_up_to = found[-1].id
        return False

    def read(self, from_inclusive: int, limit: int) -> list[Entry]:
        """As ``Outbox.read``; values of little more than ``max_bytes`` together.

        The outcome at ``from_inclusive`` itself is given whatever it names: whoever reads on from it has published it.
        """
        told, acknowledged = from_inclusive, self._acknowledged_now()
        entries: list[Entry] = []
        size = 0
        while len(entries) < limit and size < self._max_bytes:
            asked = min(_CHUNK, limit - len(entries))
            found = self._store.outcomes(from_inclusive, asked)
            for row in found:
                if row.id != told and not _is_covered(row, acknowledged):
                    return entries
                entries.append(self._entry(row))
                self._read_up_to = max(self._read_up_to, row.id)
                size += len(row.outgoing.value or b"")
            if len(found) < asked:
                break
            from_inclusive = found[-1].id + 1
        return entries

    def newest(self) -> int:
        """The id of the newest outcome; of the newest that was read, where the newest of all is not to be told yet.

        A relay that stands by takes what waits for being told as a sign that the other one is gone.
        """
        newest = self._store.max_outcome()
        found = self._store.outcomes(newest, 1)
        return newest if not found or _is_covered(found[0], self._acknowledged_now()) else self._read_up_to

    def _has_more(self, position: int) -> bool:
        found = self._store.outcomes(position + 1, 1)
        return bool(found) and _is_covered(found[0], self._acknowledged_now())

    def _acknowledged_now(self) -> int | None:
        return None if self._acknowledged is None else self._acknowledged()

    def _entry(self, row: OutcomeRow) -> Entry:
        told = row.outgoing
        value = told.value or b""
        if told.kind == "result" and row.position is not None:
            value = _placed(value, row.position)
        topic, key = self._topics[told.kind], told.key or b""
        return Entry(row.id, _hash(row), topic, key, value, _headers(row), told.time_ms)


def _headers(row: OutcomeRow) -> list[tuple[str, bytes]]:
    return [(name, held or b"") for name, held in row.outgoing.headers]


def _placed(value: bytes, position: int) -> bytes:
    """A result with the position that its event got."""
    result = decode_result(value)
    body = orjson.dumps({**result.answer, "position": position}).decode()
    return encode_result(replace(result, position=position, body=body))


def _is_covered(row: OutcomeRow, acknowledged: int | None) -> bool:
    """Whether an outcome names no position beyond the acknowledged one; None: every position is."""
    if acknowledged is None:
        return True
    position = row.position
    if position is None and row.outgoing.kind == "result":
        position = decode_result(row.outgoing.value).position  # the answer to a command of before
    return (position or 0) <= acknowledged


def _hash(row: OutcomeRow) -> bytes:
    """What proves that the store still has an outcome: over what it holds, not over how it is published."""
    told = row.outgoing
    parts = (told.kind.encode(), told.key or b"", told.value or b"", pack_headers(told.headers))
    covered = sha256(f"{row.id}/{row.position}/{told.time_ms}".encode())
    for part in parts:
        covered.update(len(part).to_bytes(8, "big"))
        covered.update(part)
    return covered.digest()
