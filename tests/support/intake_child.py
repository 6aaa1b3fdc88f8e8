"""A registrar of its own process that takes commands in.

``python -m tests.support.intake_child LOG BROKERS PREFIX``; LOG is a directory, or the URL of a PostgreSQL, where
several may run.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.intake import intake_on, until

from regista.bus.settings import KafkaSettings
from regista.store.log import LogStore
from regista.store.sqlite import SQLiteLogStore


def open_log(where: str) -> LogStore:
    if not where.startswith("postgres"):
        return SQLiteLogStore(Path(where))
    from regista.store.postgres import PostgresLogStore

    return PostgresLogStore(where)


async def main(where: str, settings: KafkaSettings) -> None:
    """Take in until killed; says ``ready`` once it has partitions."""
    log = open_log(where)
    with TemporaryDirectory() as folder:
        async with intake_on(log, Path(folder), settings, alone=isinstance(log, SQLiteLogStore)) as running:
            await until(lambda: bool(running.intake.state().partitions), "partitions")
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], KafkaSettings(kafka=sys.argv[2], kafka_prefix=sys.argv[3])))
