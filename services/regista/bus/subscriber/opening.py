"""Choosing where a subscriber's events come from: the registry's event stream unless Kafka is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regista.bus.chosen import chosen_kafka
from regista.bus.subscriber.interest import Interest
from regista.bus.subscriber.source import Source
from regista.bus.subscriber.sse_source import SseSource
from regista.client.settings import from_environment
from regista.domain.errors import Invalid

if TYPE_CHECKING:
    from regista.bus.settings import KafkaSettings


def open_source(
    url: str | None,
    kafka: str | KafkaSettings | None,
    interest: Interest,
    *,
    token: str | None,
    actor: str | None,
    silence: float,
) -> Source:
    """The source that was asked for.

    Raises:
        Invalid: ``bad_settings``; ``extra_missing``, with the line that installs it.
    """
    if kafka is None:
        return SseSource(from_environment(url, token, actor), interest, silence=silence)
    if url is not None:
        raise Invalid("events come from a registry or from Kafka, not from both", code="bad_settings")
    settings = chosen_kafka(kafka, "reading from")
    from regista.bus.subscriber.kafka_source import KafkaSource  # noqa: PLC0415 - what it needs may not be installed

    return KafkaSource(settings, silence=silence)
