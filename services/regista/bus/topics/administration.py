"""Creating and checking the topics. Their names and what they must be like: ``regista.bus.topics.topology``.

A topic of the wrong kind breaks a guarantee in silence (a compacted log forgets events, a second partition loses
their order), so every service looks before it starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, TopicAuthorizationFailedError, for_code

from regista.bus.clients import administering
from regista.bus.faults import translated
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics, TopicSpec, specs
from regista.domain.errors import Reason, Refused, Unavailable

__all__ = ["Problem", "TopicSpec", "Topics", "check_topics", "create_topics", "ensure_topics", "specs"]

_SMALLEST_RECORD = 600 * 2**10
_PATIENCE = 15.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a topic and what to do. ``fatal``: a guarantee would not hold; else it is a warning.

    ``code``: ``missing``, ``not_describable``, ``partitions``, ``replication``, or the name of a topic's setting.
    """

    topic: str
    code: str
    detail: str
    hint: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{self.topic}: {self.detail} {self.hint}"


async def create_topics(settings: KafkaSettings) -> list[str]:
    """Create the topics that are missing; the names of those. Those that exist stay as they are.

    When it returns, all of them are known to the broker that was asked.

    Raises:
        Refused: ``topics_not_created``: the cluster will not have one, and why.
        Unavailable: Kafka does not answer.
    """
    with translated(settings):
        async with administering(settings) as admin:
            present = set(await admin.list_topics())
            missing = [spec for spec in specs(settings) if spec.name not in present]
            if not missing:
                return []
            made = await _create(admin, missing)
            await _known(admin, [spec.name for spec in missing])
            return made


async def check_topics(settings: KafkaSettings) -> list[Problem]:
    """Everything that is wrong with the topics, fatal or not; empty when all is well. Creates nothing.

    Raises:
        Unavailable: Kafka does not answer.
    """
    with translated(settings):
        async with administering(settings) as admin:
            # All topics rather than ours by name: a broker may create what it is asked about.
            described = {topic["topic"]: topic for topic in await admin.describe_topics()}
            present = [spec for spec in specs(settings) if spec.name in described]
            found = [_missing(spec) for spec in specs(settings) if spec.name not in described]
            configs = await _configs(admin, present)
            for spec in present:
                found += _shape(spec, described[spec.name]["partitions"])
                found += _policy(spec, configs[spec.name])
            return found


async def ensure_topics(settings: KafkaSettings) -> list[Problem]:
    """Create what is missing, where ``kafka_create_topics`` allows it, and check all; the warnings.

    Raises:
        Refused: ``topics_mismatch``: the reasons name every problem and what to do; ``topics_not_created``.
        Unavailable: Kafka does not answer.
    """
    if settings.kafka_create_topics:
        await create_topics(settings)
    problems = await check_topics(settings)
    fatal = [problem for problem in problems if problem.fatal]
    if fatal:
        raise Refused(
            f"The topics on Kafka are not as they must be: {' '.join(map(str, fatal))}",
            code="topics_mismatch",
            hint="regista topics check shows all of them, regista topics plan how they should be.",
            reasons=[Reason(problem.code, problem.detail, problem.topic, problem.hint) for problem in fatal],
        )
    return problems


async def _create(admin: AIOKafkaAdminClient, missing: Iterable[TopicSpec]) -> list[str]:
    new = [NewTopic(s.name, s.partitions, s.replication, topic_configs=dict(s.configs)) for s in missing]
    answer = await admin.create_topics(new)
    made, refused = [], []
    for name, code, *message in answer.topic_errors:
        if code == 0:
            made.append(name)
        elif code != TopicAlreadyExistsError.errno:
            why = (message[0] if message else None) or for_code(code).__name__
            refused.append(Reason("topics_not_created", str(why), name))
    if refused:
        raise Refused(
            f"Kafka does not create {', '.join(str(reason.field) for reason in refused)}: {refused[0].detail}",
            code="topics_not_created",
            hint="Settle it in REGISTA_KAFKA_REPLICATION and _MIN_INSYNC, or create them as regista topics plan says, "
            "with REGISTA_KAFKA_CREATE_TOPICS=false.",
            reasons=refused,
        )
    return made


async def _known(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until each topic has a leader for every partition: the answer to its creation comes earlier."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE
    while True:
        described = {topic["topic"]: topic for topic in await admin.describe_topics()}
        if all(name in described and _led(described[name]["partitions"]) for name in names):
            return
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(
                f"The topics {', '.join(names)} were created but do not appear.", code="kafka_unavailable"
            )
        await asyncio.sleep(0.05)


def _led(partitions: list[dict[str, Any]]) -> bool:
    return bool(partitions) and all(partition["leader"] >= 0 for partition in partitions)


async def _configs(admin: AIOKafkaAdminClient, present: list[TopicSpec]) -> dict[str, dict[str, str] | None]:
    """The settings of each topic; None where this user may not see them."""
    if not present:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, spec.name) for spec in present]
    found: dict[str, dict[str, str] | None] = dict.fromkeys(spec.name for spec in present)
    for answer in await admin.describe_configs(asked):
        for code, message, _, name, entries in answer.resources:
            if code == 0:
                found[name] = {entry[0]: entry[1] for entry in entries}
            elif code != TopicAuthorizationFailedError.errno:
                raise for_code(code)(message)
    return found


def _missing(spec: TopicSpec) -> Problem:
    return Problem(
        spec.name,
        "missing",
        "The topic does not exist, or this user may not describe it.",
        "regista topics create makes it; regista topics plan says how, and what rights it needs.",
    )


def _shape(spec: TopicSpec, partitions: list[dict[str, Any]]) -> list[Problem]:
    found = []
    if len(partitions) != spec.partitions:
        found.append(
            Problem(
                spec.name,
                "partitions",
                f"It has {len(partitions)} partitions, planned are {spec.partitions}.",
                "Make it anew: partitions cannot be taken away." if spec.exact else "No guarantee depends on it.",
                fatal=spec.exact,
            )
        )
    fewest = min((len(partition["replicas"]) for partition in partitions), default=0)
    if fewest < spec.replication:
        hint = "Add copies with kafka-reassign-partitions, or lower REGISTA_KAFKA_REPLICATION."
        detail = f"It has {fewest} copies, planned are {spec.replication}."
        found.append(Problem(spec.name, "replication", detail, hint, fatal=False))
    return found


def _policy(spec: TopicSpec, configs: Mapping[str, str] | None) -> list[Problem]:
    if configs is None:
        detail = "This user may not see its settings, so they were not checked."
        return [Problem(spec.name, "not_describable", detail, "Allow it DescribeConfigs.", fatal=False)]
    found = []
    for name, planned in spec.configs.items():
        actual = configs.get(name)
        if actual in {planned, None} or (name not in spec.required and not _weaker(spec, name, str(actual))):
            continue
        detail = f"{name} is {actual}, planned is {planned}."
        hint = f"kafka-configs --alter --topic {spec.name} --add-config {name}={planned}"
        fatal = name in spec.required or (name == "max.message.bytes" and int(str(actual)) < _SMALLEST_RECORD)
        found.append(Problem(spec.name, name, detail, hint, fatal))
    return found


def _weaker(spec: TopicSpec, name: str, actual: str) -> bool:
    """Whether a setting that is only advice, and not as planned, promises less."""
    sizes = {"min.insync.replicas", "max.message.bytes"}
    return name in spec.advised or (name in sizes and int(actual) < int(spec.configs[name]))
