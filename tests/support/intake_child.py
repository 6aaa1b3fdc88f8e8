"""A registrar of its own process that takes commands in: ``python -m tests.support.intake_child DATA BROKERS PREFIX``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.intake import intake_on, until

from regista.bus.settings import KafkaSettings
from regista.store.sqlite import SQLiteLogStore


async def main(data: Path, settings: KafkaSettings) -> None:
    """Take in until killed; says ``ready`` once it has partitions."""
    log = SQLiteLogStore(data)
    async with intake_on(log, data, settings, alone=True) as running:
        await until(lambda: bool(running.intake.state().partitions), "partitions")
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), KafkaSettings(kafka=sys.argv[2], kafka_prefix=sys.argv[3])))
