"""An event as CloudEvents 1.0 JSON, structured mode: the attributes of the record on Kafka, and ``data`` in JSON.

``position`` and ``sequence`` are text, as they are in Kafka's headers: the integers of CloudEvents end at 2**31. There is
no ``dataschema``: that of the Kafka record names an Avro schema, which JSON does not follow.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any
from urllib.parse import quote

import orjson

from regista.domain.records import to_json, to_record
from regista.work.logged import Logged

MEDIA_TYPE = "application/cloudevents+json"


def document(told: Logged, set_index: int = 1, set_size: int = 1) -> dict[str, Any]:
    """The event as JSON. What an event does not have is left out, as CloudEvents asks.

    An event of a type that this release does not know has no ``data``.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{told.log_id}:{told.position}",
        "source": f"urn:regista:log:{quote(told.log_id, safe='')}",
        "type": told.type,
        "subject": told.stream,
        "time": told.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "position": str(told.position),
        "sequence": str(told.sequence),
        "logid": told.log_id,
        "actor": told.actor,
        "identity": told.identity,
        "commandid": told.command_id,
        "previoushash": told.previous_hash,
        "hash": told.hash,
    }
    optional = {"reason": told.reason, "cause": told.cause, "traceparent": told.traceparent}
    attributes |= {name: value for name, value in optional.items() if value is not None}
    if set_size > 1:
        attributes |= {"setindex": set_index, "setsize": set_size}
    if told.event is not None:
        attributes["data"] = to_json(to_record(told.event))
    return attributes


def encode(document: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent."""
    return orjson.dumps(document)
