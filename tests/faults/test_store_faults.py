"""Disk full, read-only, locked, damaged: a clear error, no half event, reads go on, writes come back by themselves."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from eventsourcing.persistence import StoredEvent
from tests.support.chained_log import Writer, filled

from regista.domain.errors import Damaged, Unavailable
from regista.store.append import Append, CommandKey
from regista.store.group_commit import GroupCommit
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore, datastore
from regista.store.sqlite.connections import connect_writer
from regista.store.verify import verify

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteLogStore]:
    store = SQLiteLogStore(tmp_path, lock_timeout=0.05)
    filled(store)
    yield store
    store.close()


class Limit:
    """As many pages as the disk has room for: SQLite itself reports SQLITE_FULL beyond them."""

    def __init__(self) -> None:
        self.pages = 2**30

    def connect(self, path: Path, *, lock_timeout: float) -> sqlite3.Connection:
        connection = connect_writer(path, lock_timeout=lock_timeout)
        connection.execute(f"PRAGMA max_page_count = {self.pages}")
        return connection


def big(number: int, size: int = 100_000) -> Append:
    """One large event of a stream of its own."""
    command = CommandKey("ci", f"big-{number}", bytes(32))
    return Append((StoredEvent(f"model/big-{number}", 1, "t", bytes(size)),), command)


def test_a_full_disk_is_reported_leaves_no_half_event_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Limit()
    limit.pages = 100
    monkeypatch.setattr(datastore, "connect_writer", limit.connect)
    store = SQLiteLogStore(tmp_path)
    filled(store)
    before = store.read(1, 100)
    with pytest.raises(Unavailable) as caught:
        # Several commands in one transaction: the first of them would fit.
        store.append([big(n) for n in range(10)])
    assert caught.value.code == "log_full"
    assert str(tmp_path / "log.db") in caught.value.detail
    assert store.read(1, 100) == before
    assert store.find_command("ci", "big-0") is None
    with pytest.raises(Unavailable, match="log_full"):
        store.append([big(n) for n in range(10)])
    assert Writer(store, actor="small").write("a") == 13
    limit.pages = 2**30
    # Whatever made it fail last dropped the connection, so the next one knows the new limit.
    with pytest.raises(Unavailable, match="log_full"):
        store.append([big(n) for n in range(10)])
    assert store.append([big(n) for n in range(10)]) == list(range(14, 24))
    store.close()


async def test_commands_are_refused_while_the_disk_is_full_and_accepted_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = Limit()
    monkeypatch.setattr(datastore, "connect_writer", limit.connect)
    store = SQLiteLogStore(tmp_path)
    commits = GroupCommit(store)
    forgotten: list[set[str]] = []

    async def forget(streams: set[str]) -> None:
        forgotten.append(streams)

    async def submit(number: int) -> int:
        append = big(number)
        assert append.command is not None
        return (await commits.submit(lambda: append, forget, key=append.command)).position

    assert await submit(0) == 2
    limit.pages = 60
    store._datastore._drop_writer()
    failed = await asyncio.gather(*(submit(n) for n in range(1, 6)), return_exceptions=True)
    assert [getattr(error, "code", None) for error in failed] == ["log_full"] * 5
    assert forgotten == [{f"model/big-{number}" for number in range(1, 6)}]
    assert store.max_position() == 2
    limit.pages = 2**30
    assert await asyncio.gather(*(submit(n) for n in range(1, 6))) == [3, 4, 5, 6, 7]
    await commits.close()
    store.close()


def test_a_lock_of_another_process_is_waited_for_then_reported_and_passes(store: SQLiteLogStore) -> None:
    writer = Writer(store, actor="late")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            writer.write("a")
        assert caught.value.code == "log_locked"
        assert store.max_position() == 12
        assert len(list(store.load("model/a"))) == 5
        other.execute("ROLLBACK")
    assert Writer(store, actor="late").write("a") == 13
    assert verify(store).ok


def test_a_damaged_page_is_reported_with_its_file_and_intact_events_are_read(tmp_path: Path) -> None:
    store = SQLiteLogStore(tmp_path)
    writer = Writer(store)
    store.append([writer.append(f"m{n % 20}") for n in range(3000)])
    store.close()
    path = tmp_path / "log.db"
    with closing(sqlite3.connect(path)) as connection:
        leaf_of = (
            "SELECT pageno FROM dbstat WHERE name = 'events' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 50"
        )
        try:
            [page] = connection.execute(leaf_of).fetchone()
        except sqlite3.OperationalError:
            # Built without dbstat: some page in the middle; the events take most of the file.
            page = path.stat().st_size // 4096 // 2
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    store = SQLiteLogStore(tmp_path)
    with pytest.raises(Damaged) as caught:
        store.read(1, 10_000)
    assert str(path) in caught.value.detail
    assert len(store.read(1, 20)) == 20
    assert store.max_position() == 3001
    last = store.last()
    assert last is not None
    assert store.append([big(1)]) == [3002]
    store.close()


def child(script: str, *arguments: str) -> dict[str, object]:
    """Run a script in a process of its own; the JSON object it prints."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, *arguments], cwd=REPOSITORY, stdout=subprocess.PIPE, check=True
    )
    result: dict[str, object] = json.loads(done.stdout)
    return result


PRELUDE = """
import json, os, resource, sys
from pathlib import Path
from regista.domain.errors import RegistaError
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore
from regista.store.sqlite.probe import check_writable
from regista.store.verify import verify
from tests.support.chained_log import Writer, filled

def code(action):
    try:
        action()
    except RegistaError as error:
        return error.code
    return None

data = Path(sys.argv[1])
said = {}
"""

FILE_LIMIT = """
store = filled(SQLiteLogStore(data))
writer = Writer(store, actor="more")
# Beyond this size the kernel refuses to write: EFBIG, which SQLite reports as an input/output error.
room = max(path.stat().st_size for path in data.iterdir()) + 20_000
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
batch = [writer.append(f"m{n}") for n in range(500)]
said["failing"] = [code(lambda: store.append(batch)) for _ in range(3)]
said["reads"] = [store.max_position(), len(store.read(1, 1000))]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
said["after"] = store.append(batch)[0]
said["ok"] = verify(store).ok
store.close()
print(json.dumps(said))
"""


def test_a_file_that_may_not_grow_is_reported_and_writes_resume_when_it_may(tmp_path: Path) -> None:
    assert child(FILE_LIMIT, str(tmp_path)) == {
        "failing": ["log_unavailable"] * 3,
        "reads": [12, 12],
        "after": 13,
        "ok": True,
    }


READ_ONLY = """
filled(SQLiteLogStore(data)).close()
for path in data.iterdir():
    path.chmod(0o444)
data.chmod(0o555)
root = os.geteuid() == 0
if root:
    os.seteuid(65534)
said["opening"] = code(lambda: SQLiteLogStore(data))
reader = SQLiteLogReader(data / "log.db")
said["reads"] = [reader.max_position(), verify(reader).ok]
reader.close()
if root:
    os.seteuid(0)
data.chmod(0o755)
(data / "lock").chmod(0o644)
if root:
    for path in (data, data / "lock"):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
# The directory can be written, the log itself cannot: it opens, for its reads.
store = SQLiteLogStore(data)
said["writing"] = [code(lambda: Writer(store, actor="later").write("a")) for _ in range(2)]
said["reads on"] = store.max_position()
said["probe"] = [code(lambda: check_writable(data / "log.db"))]
if root:
    os.seteuid(0)
(data / "log.db").chmod(0o644)
said["probe"].append(code(lambda: check_writable(data / "log.db")))
said["after"] = Writer(store, actor="later").write("a")
store.close()
print(json.dumps(said))
"""


def test_a_read_only_directory_or_file_is_reported_and_read_and_written_again_when_it_may() -> None:
    with TemporaryDirectory() as directory:
        # Not under the test's own folder, which other users may not enter.
        Path(directory).chmod(0o755)
        assert child(READ_ONLY, str(Path(directory) / "data")) == {
            "opening": "log_read_only",
            "reads": [12, True],
            "writing": ["log_read_only"] * 2,
            "reads on": 12,
            "probe": ["log_read_only", None],
            "after": 13,
        }


def test_a_reader_of_a_closed_store_says_so(store: SQLiteLogStore, tmp_path: Path) -> None:
    reader = SQLiteLogReader(tmp_path / "log.db")
    reader.close()
    with pytest.raises(Unavailable, match="closed"):
        reader.max_position()
    assert store.max_position() == 12
