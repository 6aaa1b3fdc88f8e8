"""What a process writes to its log: everything once, and what a library repeats for as long as an outage lasts not."""

from __future__ import annotations

import logging

from regista.processes.process import FewRepeats


def record(name: str, message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "file", 1, message, arguments, None)


def test_a_library_says_the_same_once_a_minute_and_something_else_at_once() -> None:
    now = 0.0
    few = FewRepeats("aiokafka", clock=lambda: now)
    assert few.filter(record("aiokafka.conn", "no broker at %s", "a:1"))
    assert not few.filter(record("aiokafka.conn", "no broker at %s", "a:1"))
    assert few.filter(record("aiokafka.conn", "no broker at %s", "b:2"))
    now = 61.0
    assert few.filter(record("aiokafka.conn", "no broker at %s", "a:1"))


def test_what_regista_says_is_always_seen() -> None:
    few = FewRepeats("aiokafka")
    assert all(few.filter(record("regista.bus.relay.relay", "halted")) for _ in range(3))
