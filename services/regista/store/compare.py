"""Two copies of a log, record by record: the store and what Kafka has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from regista.domain.chain import Head, Row
from regista.store.chain_check import ChainCheck
from regista.store.heal import stored
from regista.store.log import LogReader
from regista.store.problems import Kind, Problem

_MOST = 1000
_CHUNK = 1000
_FIELDS = ("stream", "sequence", "type", "value")
Progress = Callable[[int, int], None]
"""Told the position of the copy that was reached, and the store's last."""


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was found. ``head`` is the copy's; ``unpublished`` events of the store are not in the copy yet.

    ``problems`` holds the first 1000; ``found`` counts all.
    """

    log_id: str
    head: Head
    unpublished: int
    problems: tuple[Problem, ...]
    found: int


def compare(
    store: LogReader, log_id: str, copy: Iterable[Row], *, progress: Progress = lambda _at, _last: None
) -> CopyReport:
    """Compare every row of a copy with the store's, bytes and all, and walk the copy's hash chains.

    A copy may end before the store does: what is behind its end is not published yet.

    Raises:
        Unavailable: the store or the copy cannot be read now.
    """
    check, last = ChainCheck(), store.max_position()
    problems: list[Problem] = []
    found = unpublished = 0
    if log_id != store.log_id:
        problems.append(Problem(0, "", 0, Kind.COPY, f"Kafka has the log {log_id}, the store {store.log_id}"))
        found = 1
    for ours, theirs, more in _pairs(stored(store, 1), iter(copy)):
        if theirs is None and not more:
            unpublished += 1
            continue
        new = [] if theirs is None else [_of_copy(problem) for problem in check.feed(theirs)]
        new += _differences(ours, theirs)
        found += len(new)
        problems += new[: _MOST - len(problems)]
        if theirs is not None and check.head.count % _CHUNK == 0:
            progress(theirs.position, last)
    progress(last, last)
    return CopyReport(log_id, check.head, unpublished, tuple(problems), found)


def _pairs(ours: Iterator[Row], theirs: Iterator[Row]) -> Iterator[tuple[Row | None, Row | None, bool]]:
    """Rows of both by position, None where one has none; and whether the copy goes on there or behind it."""
    own, other = next(ours, None), next(theirs, None)
    while own is not None or other is not None:
        if other is None or (own is not None and own.position < other.position):
            yield own, None, other is not None
            own = next(ours, None)
        elif own is None or other.position < own.position:
            yield None, other, True
            other = next(theirs, None)
        else:
            yield own, other, True
            own, other = next(ours, None), next(theirs, None)


def _differences(ours: Row | None, theirs: Row | None) -> list[Problem]:
    match ours, theirs:
        case Row(), None:
            return [Problem.at(ours, Kind.COPY, "the store has it, Kafka does not, though it has later events")]
        case None, Row():
            return [Problem.at(theirs, Kind.COPY, "Kafka has it, the store does not")]
        case Row(), Row() if ours != theirs:
            names = [name for name in _FIELDS if getattr(ours, name) != getattr(theirs, name)]
            detail = f"store and Kafka differ there in {', '.join(names)}"
            return [Problem.at(theirs, Kind.COPY, detail)]
    return []


def _of_copy(problem: Problem) -> Problem:
    return Problem(problem.position, problem.stream, problem.sequence, problem.kind, f"on Kafka: {problem.detail}")
