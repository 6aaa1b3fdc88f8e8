"""The topics: their names, and what each must be like for the guarantees to hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from regista.bus.settings import KafkaSettings

_DAY = 24 * 3_600_000
_UNLIMITED = "-1"
TIMESTAMP_TYPE = "message.timestamp.type"


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics of one log."""

    prefix: str

    @property
    def events(self) -> str:
        """The log: key stream id, one partition, kept for ever."""
        return f"{self.prefix}.events.v1"

    @property
    def relay(self) -> str:
        """Checkpoints of relays: how far each outbox was published."""
        return f"{self.prefix}.relay.v1"

    @property
    def commands(self) -> str:
        """Commands of pipelines: key stream id."""
        return f"{self.prefix}.commands.v1"

    @property
    def results(self) -> str:
        """What became of each command: key command id."""
        return f"{self.prefix}.command-results.v1"

    @property
    def metrics(self) -> str:
        """Live metrics of deployed models: key endpoint."""
        return f"{self.prefix}.inference-metrics.v1"

    @property
    def dead_letters(self) -> str:
        """What could not be read as a command, bytes and headers unchanged."""
        return f"{self.prefix}.dead-letters.v1"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic as it is created.

    ``required`` names the settings without which a guarantee does not hold; the others of ``configs`` are advice, and
    ``advised`` names those of which any other value is worse. ``exact`` says that the number of partitions is a guarantee
    too.
    """

    name: str
    key: str
    partitions: int
    replication: int
    configs: Mapping[str, str]
    required: frozenset[str]
    exact: bool = False
    advised: frozenset[str] = frozenset()


def specs(settings: KafkaSettings) -> tuple[TopicSpec, ...]:
    """All topics of a log, in the order of docs and plans."""
    topics = Topics(settings.kafka_prefix)
    kept = {"cleanup.policy": "delete", "retention.ms": _UNLIMITED, "retention.bytes": _UNLIMITED}
    # Small segments: only closed ones are compacted, and a relay that starts reads what is left.
    compacted = {
        "cleanup.policy": "compact",
        "min.cleanable.dirty.ratio": "0.1",
        "segment.bytes": str(16 * 2**20),
        "segment.ms": str(3_600_000),
    }
    log = frozenset(kept)
    policy = frozenset({"cleanup.policy"})

    def spec(name: str, key: str, partitions: int, configs: Mapping[str, str], required: frozenset[str]) -> TopicSpec:
        # LogAppendTime: a broker refuses records of clients whose clock is an hour ahead of its own.
        common = {
            "min.insync.replicas": str(settings.kafka_min_insync),
            "max.message.bytes": str(int(settings.kafka_max_message)),
            TIMESTAMP_TYPE: "LogAppendTime",
        }
        replication = settings.kafka_replication
        return TopicSpec(name, key, partitions, replication, {**configs, **common}, required, partitions == 1)

    def days(number: int) -> dict[str, str]:
        return {"cleanup.policy": "delete", "retention.ms": str(number * _DAY)}

    return (
        spec(topics.events, "stream id", 1, kept, log),
        spec(topics.relay, "log id and outbox", 1, compacted, policy),
        # By the brokers' times one that was made anew is told from one that lost its end.
        replace(spec(topics.commands, "stream id", 12, days(7), policy), advised=frozenset({TIMESTAMP_TYPE})),
        spec(topics.results, "command id", 12, days(7), policy),
        spec(topics.metrics, "endpoint", 12, days(7), policy),
        spec(topics.dead_letters, "original key", 3, days(90), policy),
    )
