"""Which Kafka somebody means who names brokers, gives settings, or neither. Light: needs no client of Kafka."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import ValidationError

from regista.domain.errors import Invalid

if TYPE_CHECKING:
    from regista.bus.settings import KafkaSettings


def chosen_kafka(kafka: str | KafkaSettings | None, what_for: str) -> KafkaSettings:
    """The settings: those given, those of the environment with the brokers given, or those of the environment.

    Raises:
        Invalid: ``bad_settings``; ``extra_missing``, with the line that installs what ``what_for`` needs.
    """
    if find_spec("aiokafka") is None:
        raise Invalid(
            f"{what_for} Kafka needs its client, which is not installed",
            code="extra_missing",
            hint="pip install 'regista[kafka]'",
        )
    from regista.bus.settings import KafkaSettings  # noqa: PLC0415 - reads the environment when it is made

    try:
        found = KafkaSettings() if kafka is None else KafkaSettings(kafka=kafka) if isinstance(kafka, str) else kafka
    except ValidationError as error:
        said = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise Invalid(f"kafka: {said}", code="bad_settings") from error
    if found.kafka is None:
        raise Invalid("no Kafka is named", code="bad_settings", hint="Give HOST:PORT, or set REGISTA_KAFKA.")
    return found
