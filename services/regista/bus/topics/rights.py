"""What each role may do on Kafka, and no more: topics, transactional ids and groups of one log.

A role is a kind of process; several roles may be one user. Rights follow from what the code of the role does: nobody
but the relay writes events, nobody but pipelines writes commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics, specs

Role: TypeAlias = Literal[
    "relay", "api", "projector", "deployer", "notifier", "subscriber", "pipeline", "endpoint", "admin"
]
Resource: TypeAlias = Literal["Topic", "TransactionalId", "Group"]
Pattern: TypeAlias = Literal["Literal", "Prefixed"]

ROLES: Final[Mapping[Role, str]] = {
    "relay": "publishes events, results and dead letters",
    "api": "takes commands and live metrics in and waits for events to be readable",
    "projector": "builds views from the events",
    "deployer": "reacts to events and live metrics, in a group of its own",
    "notifier": "tells receivers of webhooks of the events",
    "subscriber": "follows the events",
    "pipeline": "publishes commands and awaits their results",
    "endpoint": "publishes live metrics of the models it serves",
    "admin": "creates, checks, verifies and heals",
}
_SEE: Final = ("Describe", "DescribeConfigs")
_READ: Final = ("Read", *_SEE)
_WRITE: Final = ("Write", *_SEE)


@dataclass(frozen=True, slots=True)
class Right:
    """Operations that a user may do on one resource, or (``Prefixed``) on all whose names begin like it."""

    user: str
    resource: Resource
    name: str
    operations: tuple[str, ...]
    pattern: Pattern = "Literal"


def users_of(users: Mapping[str, str]) -> dict[Role, str]:
    """The user of every role: the one given, else ``regista-<role>``.

    Raises:
        ValueError: a role that does not exist.
    """
    if unknown := set(users) - set(ROLES):
        msg = f"no such role: {', '.join(sorted(unknown))}; roles are {', '.join(ROLES)}"
        raise ValueError(msg)
    return {role: users.get(role, f"regista-{role}") for role in ROLES}


def rights(settings: KafkaSettings, users: Mapping[str, str]) -> list[Right]:
    """The rights of every user, those of roles that share a user put together; sorted by user and resource."""
    chosen = users_of(users)
    together: dict[tuple[str, Resource, str, Pattern], dict[str, None]] = {}
    for role, resource, name, operations, pattern in _wanted(settings):
        together.setdefault((chosen[role], resource, name, pattern), {}).update(dict.fromkeys(operations))
    made = [
        Right(user, resource, name, tuple(operations), pattern)
        for (user, resource, name, pattern), operations in together.items()
    ]
    return sorted(made, key=lambda right: (right.user, right.resource, right.name))


def transactional_ids(settings: KafkaSettings) -> dict[str, str]:
    """Transactional ids and what they are for."""
    return {
        f"{settings.kafka_prefix}.relay.events": "the relay of the log",
        f"{settings.kafka_prefix}.relay.results": "the relay of results and dead letters",
    }


def groups(settings: KafkaSettings) -> dict[str, str]:
    """Consumer groups and what they are for. Readers that keep their own position need none."""
    return {
        f"{settings.kafka_prefix}.intake": "registrars that share the partitions of the commands topic",
        f"{settings.kafka_prefix}.experiments": "registries in one process that count live metrics",
        deployer_id(settings): "the deployer's workers",
    }


def deployer_id(settings: KafkaSettings) -> str:
    """The application id of the deployer, which is its group."""
    return f"{settings.kafka_prefix}.deployer"


def _wanted(settings: KafkaSettings) -> Iterator[tuple[Role, Resource, str, tuple[str, ...], Pattern]]:
    topics = Topics(settings.kafka_prefix)
    every = [spec.name for spec in specs(settings)]
    both = (*_READ, "Write")
    on_topics: dict[Role, dict[str, tuple[str, ...]]] = {
        "relay": {
            topics.events: both,
            topics.relay: both,
            # What a broker left open there has to be looked at.
            topics.results: both,
            topics.dead_letters: both,
        },
        "api": {
            topics.commands: _READ,
            topics.events: _READ,
            topics.relay: _READ,
            topics.metrics: both,
            topics.dead_letters: _WRITE,
        },
        "projector": {topics.events: _READ},
        "notifier": {topics.events: _READ},
        "subscriber": {topics.events: _READ},
        "pipeline": {topics.commands: _WRITE, topics.results: _READ},
        "deployer": {
            topics.events: _READ,
            topics.metrics: _READ,
            topics.dead_letters: _WRITE,
        },
        "endpoint": {topics.metrics: _WRITE},
        "admin": dict.fromkeys(every, ("Create", "Read", "Alter", "AlterConfigs", *_SEE)),
    }
    checking: tuple[Role, ...] = ("relay", "api", "projector", "deployer", "notifier")
    for role, allowed in on_topics.items():
        seen = dict.fromkeys(every, _SEE) if role in checking else {}
        for name, operations in {**seen, **allowed}.items():
            yield role, "Topic", name, operations, "Literal"
    # Whoever heals has the relay of results begin anew, by its transactional id.
    yield "admin", "Topic", topics.relay, ("Write",), "Literal"
    yield "admin", "TransactionalId", f"{settings.kafka_prefix}.relay.results", ("Write", "Describe"), "Literal"
    for name in transactional_ids(settings):
        yield "relay", "TransactionalId", name, ("Write", "Describe"), "Literal"
    intake, experiments, deployer = groups(settings)
    yield "api", "Group", intake, ("Read", "Describe"), "Literal"
    yield "api", "Group", experiments, ("Read", "Describe"), "Literal"
    yield "deployer", "Group", deployer, ("Read", "Describe"), "Literal"
    yield "admin", "Group", f"{settings.kafka_prefix}.", ("Describe",), "Prefixed"
