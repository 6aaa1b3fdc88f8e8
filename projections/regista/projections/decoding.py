"""From stored rows to what views fold: every event is decoded once, for all views, as far as they look at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, TypeAlias

from regista.domain.chain import Head, Row, advance_over, event_hash
from regista.projections.feed import START, Mark
from regista.schemas.catalogue import shipped
from regista.schemas.codec import Codec
from regista.schemas.errors import SchemaError
from regista.schemas.pruning import with_time_as_number, without
from regista.schemas.schema import Record as Schema

_NOWHERE = Head()
Record: TypeAlias = dict[str, Any]

_UNREAD: Final = frozenset(
    f"meta.{name}" for name in ("identity", "command_digest", "cause", "origin", "traceparent", "previous_hash")
)
"""What no fold reads of any event: reading one takes a quarter less time without."""
_CAUSE: Final = frozenset({"meta.cause"})
_READ_OF: Final[Mapping[str, frozenset[str]]] = dict.fromkeys(
    (
        "EndpointCreated",
        "TrafficChanged",
        "EndpointRolledBack",
        "EndpointRetired",
        "FollowRefused",
        "ExperimentConcluded",
    ),
    _CAUSE,
)
"""What is read of these all the same."""
_BEFORE: Final = frozenset({"previous", "previous_canary"})
_UNREAD_OF: Final[Mapping[str, frozenset[str]]] = {
    "EndpointUpdated": frozenset(
        {"previous_follow", "previous_automatic", "previous_guardrails", "previous_description"}
    ),
    "TrafficChanged": _BEFORE,
    "EndpointRolledBack": _BEFORE,
    "EndpointRetired": _BEFORE,
    "FollowRefused": frozenset({"variants"}),
    "SubscriptionChanged": frozenset({"previous"}),
    "AliasAssigned": frozenset({"artifact_digest"}),
    "VersionPromoted": frozenset({"artifact_digest", "keep_existing"}),
    "VersionRolledBack": frozenset({"artifact_digest"}),
    "VersionRegistered": frozenset(
        {
            "policy",
            "numbering",
            "change",
            "artifact.uri",
            "artifact.size",
            "artifact.weights_digest",
            "artifact.files.path",
            "artifact.files.size",
            "code.repository",
            "code.dirty",
            "code.path",
            "related_code.repository",
            "datasets.uri",
            "evaluations.dataset.uri",
            "evaluations.slice",
            "evaluations.metrics",
            "configuration",
            "signature",
            "runtime",
            "run.url",
            "custom",
            "trained_at",
            "description",
        }
    ),
}
"""What no fold reads of these: half of the time of a registration. Answers take it from the event itself."""


class Item(NamedTuple):
    """One event as views see it, without what no fold reads. Times are microseconds since 1970.

    ``name`` is the record's (``VersionPromoted``), ``kind`` what stands before the first slash of the stream, ``key``
    what follows it: a model's name in lower case.
    ``running_time`` is the latest time of this and all earlier events.
    """

    position: int
    stream: str
    kind: str
    key: str
    sequence: int
    type: str
    value: bytes
    name: str
    record: Record
    meta: Record
    time: int
    running_time: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a view has come: the head, the row to read on from, and the latest time among all events."""

    head: Head = _NOWHERE
    mark: Mark = START
    running_time: int = 0

    @property
    def position(self) -> int:
        """The last position folded."""
        return self.head.position


class CannotDecode(Exception):
    """The event at ``position`` cannot be read by this release. ``items`` are those before it."""

    def __init__(self, position: int, cause: SchemaError) -> None:
        super().__init__(str(cause))
        self.position = position


def _read_as(newest: Schema) -> Schema:
    unread = _UNREAD - _READ_OF.get(newest.short_name, frozenset())
    needed = without(newest, unread | _UNREAD_OF.get(newest.short_name, frozenset()))
    return with_time_as_number(needed, "meta.time")


@cache
def _codec() -> Codec:
    return Codec(shipped(), _read_as)


def decode_row(row: Row, running_time: int) -> Item:
    """The item of one row.

    Raises:
        CannotDecode: its type is newer than this release, or its bytes are damaged.
    """
    try:
        name, record = _codec().decode(row.value)
    except SchemaError as error:
        raise CannotDecode(row.position, error) from error
    meta = record["meta"]
    time = meta["time"]
    kind, _, key = row.stream.partition("/")
    return Item(
        row.position,
        row.stream,
        kind,
        key,
        row.sequence,
        row.type,
        row.value,
        name,
        record,
        meta,
        time,
        max(time, running_time),
    )


def decode_rows(rows: Iterable[Row], running_time: int) -> tuple[list[Item], CannotDecode | None]:
    """The items of the rows, up to the first that cannot be decoded, and what was wrong with that one."""
    items: list[Item] = []
    for row in rows:
        try:
            item = decode_row(row, running_time)
        except CannotDecode as error:
            return items, error
        running_time = item.running_time
        items.append(item)
    return items, None


def advanced(progress: Progress, rows: Sequence[Row], running_time: int) -> Progress:
    """The progress after ``rows``."""
    if not rows:
        return progress
    events = [(row.position, event_hash(row.stream, row.sequence, row.value)) for row in rows]
    return Progress(advance_over(progress.head, events), Mark(*events[-1]), running_time)
