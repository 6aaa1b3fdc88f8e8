"""Topics that a test takes away."""

from __future__ import annotations

from tests.support.intake import until

from regista.bus.clients import administering
from regista.bus.settings import KafkaSettings


async def delete_topics(settings: KafkaSettings, *names: str) -> None:
    """Delete topics; when it returns, the brokers know nothing of them any more."""
    async with administering(settings) as admin:
        await admin.delete_topics(list(names))

        async def gone() -> bool:
            # All topics rather than these by name: a broker may create what it is asked about.
            return not {topic["topic"] for topic in await admin.describe_topics()} & set(names)

        await until(gone, f"{names} are gone")
