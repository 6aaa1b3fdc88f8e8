"""How the Faust application asks a broker: for what is committed, and never long enough to keep events waiting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regista.bus.settings import KafkaSettings
from regista.deployer.app import EventsApp

LONGEST_MS = 100
"""Of the time that a call of a target may take from the event on, which is 300 ms."""


async def nothing(*_: Sequence[Any] | str) -> None:
    return


async def test_a_question_that_has_no_answer_is_given_up_soon_and_aborted_records_are_not_asked_for(
    tmp_path: Path,
) -> None:
    settings = KafkaSettings(kafka="127.0.0.1:1")
    app: Any = EventsApp(
        settings, tmp_path, nothing, lambda: None, nothing, place="here", assigned=lambda *_: nothing()
    ).app
    consumer = app.consumer._thread._create_worker_consumer(app.transport)
    await consumer.stop()
    assert consumer._fetch_max_wait_ms <= LONGEST_MS
    assert consumer._isolation_level == "read_committed"
