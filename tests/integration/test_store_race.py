"""Several writers on one log: conditions are checked under the write lock, so each place has one winner."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from eventsourcing.persistence import StoredEvent

from regista.store.append import Append, CommandKey, Conflict
from regista.store.sqlite import SQLiteLogReader, SQLiteLogStore
from regista.store.sqlite.datastore import LogDatastore
from regista.store.sqlite.recorder import SQLiteLogRecorder

WRITERS = 6
ROUNDS = 40


def test_one_writer_wins_each_round_and_the_others_are_told(tmp_path: Path) -> None:
    SQLiteLogStore(tmp_path).close()
    path = tmp_path / "log.db"
    start = Barrier(WRITERS, timeout=20)

    def race(writer: int) -> list[bool]:
        # Connections of its own, as another process has them.
        datastore = LogDatastore(path, lock_timeout=30)
        recorder = SQLiteLogRecorder(datastore)
        won: list[bool] = []
        for number in range(1, ROUNDS + 1):
            # Each writes to its own stream and has read the shared one; one of them also moves that.
            command = CommandKey(f"writer-{writer}", f"command-{number}", bytes(32))
            row = StoredEvent("model/shared", number, "t", str(writer).encode())
            own = StoredEvent(f"model/{writer}", sum(won) + 1, "t", b"own")
            start.wait()
            try:
                recorder.insert_events([], appends=[Append((own, row), command, {"policy/none": 0})])
            except Conflict:
                won.append(False)
            else:
                won.append(True)
        datastore.close()
        return won

    with ThreadPoolExecutor(WRITERS) as threads:
        results = list(threads.map(race, range(WRITERS)))
    assert [sum(wins) for wins in zip(*results, strict=True)] == [1] * ROUNDS
    reader = SQLiteLogReader(path)
    rows = reader.read(2, 10_000)
    reader.close()
    assert [row.position for row in rows] == list(range(2, 2 * ROUNDS + 2))
    last: Counter[str] = Counter()
    for row in rows:
        last[row.stream] += 1
        assert row.sequence == last[row.stream]


def test_a_decision_never_stands_on_a_read_that_moved(tmp_path: Path) -> None:
    SQLiteLogStore(tmp_path).close()
    path = tmp_path / "log.db"
    start = Barrier(2, timeout=20)

    def policy(number: int) -> Append:
        command = CommandKey("policy", str(number), bytes(32))
        return Append((StoredEvent("policy/p", number, "t", b"policy"),), command)

    def model(number: int) -> Append:
        command = CommandKey("model", str(number), bytes(32))
        row = StoredEvent(f"model/{number}", 1, "t", str(number - 1).encode())
        return Append((row,), command, {"policy/p": number - 1})

    def race(make: object) -> None:
        assert callable(make)
        datastore = LogDatastore(path, lock_timeout=30)
        recorder = SQLiteLogRecorder(datastore)
        for number in range(1, 100):
            start.wait()
            try:
                recorder.insert_events([], appends=[make(number)])
            except Conflict:
                assert make is model
        datastore.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(race, (policy, model)))
    reader = SQLiteLogReader(path)
    current = 0
    for row in reader.read(2, 1000):
        if row.stream == "policy/p":
            current = row.sequence
        else:
            assert int(row.value) == current
    assert current == 99
    reader.close()
