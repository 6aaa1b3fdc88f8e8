"""Choosing where a subscriber's events come from: the registry's event stream unless Kafka is named."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import ValidationError

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
    if find_spec("aiokafka") is None:
        raise Invalid(
            "reading from Kafka needs its client, which is not installed",
            code="extra_missing",
            hint="pip install 'regista[kafka]'",
        )
    from regista.bus.subscriber.kafka_source import KafkaSource  # noqa: PLC0415 - what it needs may not be installed

    return KafkaSource(_settings(kafka), silence=silence)


def _settings(kafka: str | KafkaSettings) -> KafkaSettings:
    from regista.bus.settings import KafkaSettings  # noqa: PLC0415 - reads no environment for those who need none

    try:
        found = KafkaSettings(kafka=kafka) if isinstance(kafka, str) else kafka
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise Invalid(f"kafka: {said}", code="bad_settings") from error
    if found.kafka is None:
        raise Invalid("no Kafka is named", code="bad_settings", hint="Give HOST:PORT, or set REGISTA_KAFKA.")
    return found
