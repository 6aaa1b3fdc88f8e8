"""kill -9 of the writing process at any moment: what was answered is there, once, and everything holds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import IO

from regista.store.command_sets import command_sets
from regista.store.sqlite import SQLiteLogReader
from regista.store.verify import verify

ROUNDS = 30
REPOSITORY = Path(__file__).parents[2]


def one_round(orders: IO[str], words: IO[str], order: dict[str, object], answers: int) -> dict[str, list[str]]:
    """Start a writer, kill it after so many answers; what it tried and what was answered."""
    said: dict[str, list[str]] = {"try": [], "done": []}
    orders.write(json.dumps(order) + "\n")
    orders.flush()
    pid = 0
    for line in words:
        word, _, rest = line.strip().partition(" ")
        if word == "over":
            return said
        if word == "pid":
            pid = int(rest)
        else:
            said[word].append(rest)
        if len(said["done"]) == answers:
            os.kill(pid, signal.SIGKILL)
    raise AssertionError("the writers ended by themselves")


def test_nothing_answered_is_lost_and_nothing_is_there_twice(tmp_path: Path) -> None:
    chance = random.Random(20260321)
    answered: dict[str, int] = {}
    retry: dict[str, str] = {}
    command = [sys.executable, "-m", "tests.support.store_child"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for number in range(ROUNDS):
            order: dict[str, object] = {"data": str(tmp_path), "round": f"r{number}", "retry": retry}
            said = one_round(writers.stdin, writers.stdout, order, len(retry) + chance.randint(1, 150))
            done = dict(line.split(" ") for line in said["done"])
            answered |= {command_id: int(position) for command_id, position in done.items()}
            retry = dict(line.split(" ") for line in said["try"])
            retry = {command_id: models for command_id, models in retry.items() if command_id not in done}
            check(tmp_path / "log.db", answered)
        writers.stdin.close()
    assert len(answered) > ROUNDS


def check(path: Path, answered: dict[str, int]) -> None:
    reader = SQLiteLogReader(path)
    rows = reader.read(1, 10**9)
    report = verify(reader)
    reader.close()
    assert report.ok, report.problems
    assert [row.position for row in rows] == list(range(1, len(rows) + 1))
    last: Counter[str] = Counter()
    for row in rows:
        last[row.stream] += 1
        assert row.sequence == last[row.stream]
    there = [(one.command.command_id, one.rows[0].position) for one in command_sets(rows)]
    assert len(there) == len(dict(there))
    assert answered.items() <= dict(there).items()
