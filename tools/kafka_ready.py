"""Whether clients can use a cluster: its port is open, its metadata lists the nodes, and it creates a topic.

In Kafka 4 the port opens before the metadata is right, so that a port alone says nothing, and neither does a log.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

_LOOK_WITHIN = 1.0
"""Seconds of one look; a broker that stands still must not hold whoever waits for longer."""


class Probe:
    """An administrator's client at an address; ``options`` are librdkafka's, for a listener with TLS."""

    def __init__(self, bootstrap: str, options: Mapping[str, Any] | None = None) -> None:
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _: None, "reconnect.backoff.max.ms": 100}
        self._client = AdminClient({"bootstrap.servers": bootstrap, **quiet, **(options or {})})

    def ready(self, nodes: AbstractSet[int] = frozenset()) -> bool:
        """Whether topics can be created and all of ``nodes`` are there. Answers within a few seconds."""
        try:
            there = set(self._client.list_topics(timeout=_LOOK_WITHIN).brokers)
            if not there or not nodes <= there:
                return False
            name = f"regista-ready-{uuid.uuid4().hex}"
            topic = NewTopic(name, num_partitions=1, replication_factor=len(there))
            (created,) = self._client.create_topics([topic], operation_timeout=_LOOK_WITHIN).values()
            created.result(10)
        except (KafkaException, TimeoutError):
            return False
        with suppress(KafkaException, TimeoutError):
            (deleted,) = self._client.delete_topics([name]).values()
            deleted.result(10)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        del self._client
