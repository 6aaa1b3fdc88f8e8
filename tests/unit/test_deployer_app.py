"""How the Faust application asks a broker: for what is committed, and never long enough to keep events waiting.

And how it ends where there is none.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from regista.bus.settings import KafkaSettings
from regista.deployer.app import EventsApp

LONGEST_MS = 100
"""Of the time that a call of a target may take from the event on, which is 300 ms."""


ENDED_WITHIN = 2.0


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


async def test_who_is_told_to_end_does_not_wait_for_a_broker_that_says_nothing(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        silent.settimeout(10.0)
        settings = KafkaSettings(kafka=f"127.0.0.1:{silent.getsockname()[1]}")
        app = EventsApp(settings, tmp_path, nothing, lambda: None, nothing, place="here", assigned=lambda *_: nothing())
        running = asyncio.create_task(app.run())
        asked, _ = await asyncio.to_thread(silent.accept)
        with closing(asked):
            await app.close()
            async with asyncio.timeout(ENDED_WITHIN):
                await running
