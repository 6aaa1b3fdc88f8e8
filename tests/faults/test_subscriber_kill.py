"""Subscriber and registry are killed over and over: each event is handled once, in order of position."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support import subscriber_child
from tests.support.server import RunningServer, running_server

import regista
from regista.bus.settings import KafkaSettings

PATIENCE = 90.0


class Child:
    """The subscriber's process."""

    def __init__(self, kind: str, address: str, folder: Path, **settings: str) -> None:
        self._command = [sys.executable, subscriber_child.__file__, kind, address, str(folder / "effects.db")]
        self._environment = os.environ | settings
        self._path = folder / "effects.db"
        self._errors = (folder / "subscriber.log").open("wb")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, env=self._environment, stderr=self._errors)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        self._errors.close()

    def handled(self) -> list[int]:
        """The positions of what was handled, in the order of handling."""
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path, timeout=30)) as database:
            try:
                return [row[0] for row in database.execute("SELECT position FROM handled ORDER BY number")]
            except sqlite3.OperationalError:  # its tables are not there yet
                return []

    def await_handled(self, count: int) -> None:
        until = time.monotonic() + PATIENCE
        while len(self.handled()) < count:
            assert self.process.poll() is None, Path(self._errors.name).read_text()
            assert time.monotonic() < until, f"{len(self.handled())} of {count} events were handled"
            time.sleep(0.01)


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Write without end, through every restart of the registry."""
    stop = threading.Event()
    faults: list[BaseException] = []

    def write() -> None:
        try:
            with regista.Client(url, actor="ci", deadline=PATIENCE, attempts=1000) as client:
                number = 0
                while not stop.is_set():
                    client.create_model(f"model-{number}")
                    client.update_model(f"model-{number}", title="a title", reason="named")
                    number += 1
        except BaseException as error:  # noqa: BLE001 - raised again below
            faults.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
    assert faults == []


def run(server: RunningServer, child: Child, rounds: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    chosen = random.Random(seed)
    with writing(server.url):
        for round_ in range(rounds):
            child.await_handled(len(child.handled()) + chosen.randrange(1, 60))
            what = ("subscriber", "registry", "both")[round_ % 3]
            if what != "registry":
                child.kill()
            if what != "subscriber":
                server.kill()
                server.restart()
            if what != "registry":
                child.start()
        child.await_handled(len(child.handled()) + 20)
    with regista.Client(server.url) as client:
        log = [event.position for event in client.events(after=0)]
    child.await_handled(len(log))
    assert child.handled() == log


def rounds_of(soak: int) -> list[Any]:
    return [pytest.param(3, id="short"), pytest.param(soak, id="long", marks=pytest.mark.soak)]


@pytest.mark.parametrize("rounds", rounds_of(50))
def test_over_the_event_stream_each_event_is_handled_once_and_in_order(
    tmp_path: Path, unused_tcp_port: int, rounds: int
) -> None:
    with running_server(tmp_path / "data", port=unused_tcp_port) as server:
        child = Child("url", server.url, tmp_path)
        try:
            run(server, child, rounds)
        finally:
            child.close()


@pytest.mark.engine("kafka")
@pytest.mark.parametrize("rounds", rounds_of(50))
def test_over_kafka_each_event_is_handled_once_and_in_order(
    tmp_path: Path, unused_tcp_port: int, kafka_settings: KafkaSettings, rounds: int
) -> None:
    prefix = kafka_settings.kafka_prefix
    with running_server(
        tmp_path / "data", port=unused_tcp_port, kafka=kafka_settings.brokers, kafka_prefix=prefix
    ) as server:
        child = Child("kafka", kafka_settings.brokers, tmp_path, REGISTA_KAFKA_PREFIX=prefix)
        try:
            run(server, child, rounds)
        finally:
            child.close()
