"""Export is the log itself; import gives the same log, or nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import BufferedReader, RawIOBase
from pathlib import Path

import pytest
from tests.support.chained_log import Writer, filled, tamper

from regista.domain.chain import Row
from regista.domain.errors import Invalid, Refused
from regista.domain.events import LogImported
from regista.store.birth import Importer
from regista.store.export import bounded_lines, export_lines, import_lines
from regista.store.log import LogReader
from regista.store.mapper import AvroMapper
from regista.store.sqlite import SQLiteLogStore
from regista.store.verify import verify

IMPORTER = Importer("admin", "asserted", datetime(2026, 5, 1, tzinfo=UTC), "moving house")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path / "source")
    filled(store)
    yield store
    store.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path / "target")
    yield store
    store.close()


def rows(store: LogReader) -> list[Row]:
    return store.read(1, 10_000)


def test_an_export_has_a_header_the_exact_bytes_of_each_event_and_the_running_digest(source: SQLiteLogStore) -> None:
    header, *events, footer = [json.loads(line) for line in export_lines(source)]
    assert header == {"format": "regista-export", "version": 1, "log_id": source.log_id, "last_position": 12}
    assert events[3] == {
        "position": 4,
        "stream": "model/a",
        "sequence": 2,
        "type": "regista.model.revived.v1",
        "value": b64encode(rows(source)[3].value).decode(),
    }
    assert footer == {"count": 12, "digest": verify(source).head.digest.hex()}


def test_an_import_gives_the_same_log_under_the_same_identity(
    source: SQLiteLogStore, target: SQLiteLogStore, tmp_path: Path
) -> None:
    report = import_lines(target, export_lines(source), IMPORTER)
    assert target.log_id == report.log_id == source.log_id
    assert rows(target) == rows(source)
    assert list(target.commands()) == list(source.commands())
    assert list(export_lines(target)) == list(export_lines(source))
    assert verify(target, head=str(report.head)).proven == "log"
    target.close()
    again = SQLiteLogStore(tmp_path / "target")
    assert again.log_id == source.log_id
    assert Writer(again).store.max_position() == 12
    assert Writer(again, actor="later").write("a") == 13
    assert verify(again).ok
    again.close()


def test_a_copy_is_the_same_up_to_the_event_that_says_whose_copy_it_is(
    source: SQLiteLogStore, target: SQLiteLogStore
) -> None:
    report = import_lines(target, export_lines(source), IMPORTER, copy=True)
    assert target.log_id == report.log_id != source.log_id
    *before, last = rows(target)
    assert before == rows(source)
    recorded = AvroMapper().from_row(last)
    assert (last.position, last.stream, last.sequence) == (13, f"log/{target.log_id}", 1)
    assert recorded.event == LogImported(target.log_id, source.log_id, 12, 12)
    assert (recorded.meta.actor, recorded.meta.reason) == ("admin", "moving house")
    assert verify(target, head=str(report.head)).proven == "log"


def test_a_copy_of_a_copy_is_possible(source: SQLiteLogStore, target: SQLiteLogStore, tmp_path: Path) -> None:
    import_lines(target, export_lines(source), IMPORTER, copy=True)
    third = SQLiteLogStore(tmp_path / "third")
    import_lines(third, export_lines(target), IMPORTER, copy=True)
    assert verify(third).ok
    third.close()


def test_gaps_between_positions_are_kept(source: SQLiteLogStore, target: SQLiteLogStore, tmp_path: Path) -> None:
    source.close()
    tamper(tmp_path / "source" / "log.db", "UPDATE sqlite_sequence SET seq = 1000000")
    gapped = SQLiteLogStore(tmp_path / "source")
    Writer(gapped, actor="later").write("a")
    import_lines(target, export_lines(gapped), IMPORTER)
    assert [row.position for row in rows(target)] == [*range(1, 13), 1000001]
    assert Writer(target, actor="last").write("a") == 1000002
    gapped.close()


def test_a_registry_with_events_of_its_own_takes_no_import(source: SQLiteLogStore, target: SQLiteLogStore) -> None:
    Writer(target).write("own")
    before = rows(target)
    with pytest.raises(Refused, match="registry_not_empty"):
        import_lines(target, export_lines(source), IMPORTER)
    assert rows(target) == before


Lines = list[str]


def edited(number: int, **fields: object) -> Callable[[Lines], Lines]:
    def edit(lines: Lines) -> Lines:
        changed = json.dumps(json.loads(lines[number]) | fields) + "\n"
        return [*lines[:number], changed, *lines[number + 1 :]]

    return edit


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda lines: lines[:-1], id="without footer"),
        pytest.param(lambda lines: lines[:5], id="cut short"),
        pytest.param(lambda lines: [*lines[:4], *lines[5:]], id="an event missing"),
        pytest.param(lambda lines: [*lines[:5], lines[4], *lines[5:]], id="an event twice"),
        pytest.param(lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], id="two events exchanged"),
        pytest.param(lambda lines: [*lines[:12], lines[-1]], id="the newest event missing"),
        pytest.param(lambda lines: [*lines, lines[-1]], id="lines behind the footer"),
        pytest.param(lambda lines: [*lines[:4], "{", *lines[5:]], id="no JSON"),
        pytest.param(lambda lines: [*lines[:4], "[]", *lines[5:]], id="no object"),
        pytest.param(lambda _: [], id="empty"),
        pytest.param(lambda lines: lines[1:], id="without header"),
        pytest.param(edited(0, version=2), id="another version"),
        pytest.param(edited(0, format="x"), id="another format"),
        pytest.param(edited(0, log_id="another"), id="another log"),
        pytest.param(edited(4, stream="model/b"), id="another stream"),
        pytest.param(edited(4, stream="\ud800"), id="a stream that is no text"),
        pytest.param(edited(4, sequence=3), id="another sequence"),
        pytest.param(edited(4, sequence=-1), id="a negative sequence"),
        pytest.param(edited(4, sequence=True), id="a sequence that is no number"),
        pytest.param(edited(4, position=10**30), id="an enormous position"),
        pytest.param(edited(4, position=14), id="a position out of order"),
        pytest.param(edited(12, position=14), id="the newest event moved"),
        pytest.param(edited(4, type="regista.model.retired.v1"), id="another type"),
        pytest.param(edited(4, value="!!"), id="no base64"),
        pytest.param(edited(4, value="AAAA"), id="another value"),
        pytest.param(edited(12, value="wwE="), id="another newest value"),
        pytest.param(edited(13, count=11), id="another count"),
        pytest.param(edited(13, digest="00" * 32), id="another digest"),
    ],
)
def test_an_export_that_does_not_hold_changes_nothing(
    source: SQLiteLogStore, target: SQLiteLogStore, spoil: Callable[[Lines], Lines]
) -> None:
    before, name = rows(target), target.log_id
    with pytest.raises(Invalid) as caught:
        import_lines(target, spoil(list(export_lines(source))), IMPORTER)
    assert caught.value.code in {"not_an_export", "export_version", "export_damaged"}
    assert (rows(target), target.log_id) == (before, name)
    import_lines(target, export_lines(source), IMPORTER)
    assert rows(target) == rows(source)


def test_what_does_not_hold_is_named_with_its_line_and_event(source: SQLiteLogStore, target: SQLiteLogStore) -> None:
    lines = edited(4, stream="model/b")(list(export_lines(source)))
    with pytest.raises(Invalid) as caught:
        import_lines(target, lines, IMPORTER)
    [reason] = caught.value.reasons
    assert reason.field == "line 5"
    assert "position 4, model/b@2" in reason.detail


def test_bytes_are_read_like_text(source: SQLiteLogStore, target: SQLiteLogStore) -> None:
    import_lines(target, (line.encode() for line in export_lines(source)), IMPORTER)
    assert rows(target) == rows(source)


class Endless(RawIOBase):
    """A file whose first line never ends. It breaks where nobody should read on."""

    def __init__(self, byte: bytes) -> None:
        self._byte = byte
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed: any Buffer; this one is enough here
        self._given += len(buffer)
        assert self._given < 2**24, "read without an end in sight"
        buffer[:] = self._byte * len(buffer)
        return len(buffer)


@pytest.mark.parametrize("byte", [b"x", b"[", b"\xff"])
def test_a_line_without_end_is_not_read_to_its_end(target: SQLiteLogStore, byte: bytes) -> None:
    with pytest.raises(Invalid, match="Line 1 is longer") as refused:
        import_lines(target, bounded_lines(BufferedReader(Endless(byte))), IMPORTER)
    assert refused.value.code == "export_damaged"
    assert target.max_position() == 1


def test_brackets_without_end_are_refused(target: SQLiteLogStore) -> None:
    with pytest.raises(Invalid, match="Line 1 is not JSON"):
        import_lines(target, [b"[" * 100_000], IMPORTER)
