"""Removing outcomes from the store once they are published and old: Kafka has them, and the relay will not look for them."""

from __future__ import annotations

import asyncio
import logging
import time

from regista.bus.clients import raise_if_cancelled
from regista.bus.commands.remembered import published_results
from regista.bus.settings import KafkaSettings
from regista.store.log import LogStore

KEPT = 7 * 24 * 3600.0
"""Seconds that outcomes stay in the store once they are published."""
EVERY = 3600.0
_log = logging.getLogger(__name__)


async def keep_pruned(settings: KafkaSettings, store: LogStore) -> None:
    """Remove outcomes every hour, until it is cancelled. What keeps it from that is tried again an hour later."""
    while True:
        await asyncio.sleep(EVERY)
        try:
            found = await published_results(settings)
            if found is not None and found.log_id == store.log_id:
                older = int((time.time() - KEPT) * 1000)
                # The checkpoint's own outcome stays: the relay looks whether it is still there.
                await asyncio.to_thread(store.prune_outcomes, found.position, older)
        except asyncio.CancelledError:
            raise_if_cancelled()
        except Exception as error:  # noqa: BLE001 - the next hour will do
            _log.debug("Old results were not removed: %r", error)
