"""Everything that a log needs on Kafka, for those who make it elsewhere: topics, rights, transactional ids, groups.

Text alone; nothing is asked of Kafka and nothing is changed there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Literal, TypeAlias

from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import ROLES, Right, groups, rights, transactional_ids, users_of
from regista.bus.topics.topology import TopicSpec, specs

Format: TypeAlias = Literal["commands", "terraform", "strimzi"]
FORMATS: tuple[Format, ...] = ("commands", "terraform", "strimzi")
_LABEL = re.compile(r"[^a-z0-9.]+")
_WORD = re.compile(r"[^A-Za-z0-9]+")


def plan(settings: KafkaSettings, format: Format = "commands", users: Mapping[str, str] | None = None) -> str:  # noqa: A002 - the option's name
    """What has to be there.

    ``commands``: a shell script over Kafka's own tools, which can run again; ``terraform``: resources of the provider
    ``Mongey/kafka``; ``strimzi``: KafkaTopic and KafkaUser. ``users`` gives roles (``rights.ROLES``) the names of
    users; several may have the same.

    Raises:
        ValueError: a role or a format that does not exist.
    """
    lines = _FORMATS.get(format)
    if lines is None:
        msg = f"no format {format!r}; there are {', '.join(FORMATS)}"
        raise ValueError(msg)
    given = users or {}
    comments = [f"# {line}".rstrip() for line in _summary(settings, given)]
    return "\n".join([*comments, "", *lines(settings, rights(settings, given))]).rstrip() + "\n"


def _summary(settings: KafkaSettings, users: Mapping[str, str]) -> Iterator[str]:
    yield f"Regista on Kafka, names beginning with {settings.kafka_prefix}"
    yield ""
    yield "Users:"
    for role, user in users_of(users).items():
        yield f"  {user}: {ROLES[role]}"
    yield "Transactional ids:"
    for name, purpose in transactional_ids(settings).items():
        yield f"  {name}: {purpose}"
    yield "Consumer groups:"
    for name, purpose in groups(settings).items():
        yield f"  {name}: {purpose}"


def _commands(settings: KafkaSettings, allowed: list[Right]) -> Iterator[str]:
    yield "set -eu"
    yield f": ${{BOOTSTRAP:={settings.kafka or 'localhost:9092'}}}"
    yield ": ${CONFIG:=admin.properties}  # how the tools connect; an empty file where nothing is needed"
    yield ""
    for spec in specs(settings):
        configs = " ".join(f"--config {shlex.quote(f'{name}={value}')}" for name, value in spec.configs.items())
        yield (
            'kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --command-config "$CONFIG" --create --if-not-exists '
            f"--topic {shlex.quote(spec.name)} --partitions {spec.partitions} "
            f"--replication-factor {spec.replication} {configs}"
        )
    yield ""
    options = {"Topic": "--topic", "Group": "--group", "TransactionalId": "--transactional-id"}
    for right in allowed:
        operations = " ".join(f"--operation {operation}" for operation in right.operations)
        yield (
            'kafka-acls.sh --bootstrap-server "$BOOTSTRAP" --command-config "$CONFIG" --add --force '
            f"--allow-principal {shlex.quote(f'User:{right.user}')} {operations} "
            f"{options[right.resource]} {shlex.quote(right.name)} "
            f"--resource-pattern-type {right.pattern.lower()}"
        )


def _terraform(settings: KafkaSettings, allowed: list[Right]) -> Iterator[str]:
    for spec in specs(settings):
        yield f'resource "kafka_topic" {_quoted(_WORD.sub("_", spec.name))} {{'
        yield f"  name               = {_quoted(spec.name)}"
        yield f"  partitions         = {spec.partitions}"
        yield f"  replication_factor = {spec.replication}"
        yield "  config = {"
        yield from (f"    {_quoted(name)} = {_quoted(value)}" for name, value in spec.configs.items())
        yield "  }"
        yield "}"
        yield ""
    for right in allowed:
        for operation in right.operations:
            label = _WORD.sub("_", f"{right.user}_{right.resource}_{right.name}_{right.pattern}_{operation}")
            yield f'resource "kafka_acl" {_quoted(label)} {{'
            yield f"  acl_principal                = {_quoted(f'User:{right.user}')}"
            yield '  acl_host                     = "*"'
            yield f"  acl_operation                = {_quoted(operation)}"
            yield '  acl_permission_type          = "Allow"'
            yield f"  resource_type                = {_quoted(right.resource)}"
            yield f"  resource_name                = {_quoted(right.name)}"
            yield f"  resource_pattern_type_filter = {_quoted(right.pattern)}"
            yield "}"
            yield ""


def _strimzi(settings: KafkaSettings, allowed: list[Right]) -> Iterator[str]:
    for spec in specs(settings):
        yield from _strimzi_topic(spec)
    for user, own in groupby(allowed, key=lambda right: right.user):
        yield from _strimzi_head("KafkaUser", user)
        yield "  authentication:"
        yield f"    type: {'tls' if settings.kafka_security == 'ssl' else 'scram-sha-512'}"
        yield "  authorization:"
        yield "    type: simple"
        yield "    acls:"
        for right in own:
            yield "      - resource:"
            yield f"          type: {right.resource[0].lower()}{right.resource[1:]}"
            yield f"          name: {_text(right.name)}"
            yield f"          patternType: {right.pattern.lower().replace('prefixed', 'prefix')}"
            yield f"        operations: [{', '.join(right.operations)}]"


def _strimzi_topic(spec: TopicSpec) -> Iterator[str]:
    yield from _strimzi_head("KafkaTopic", spec.name)
    yield f"  topicName: {_text(spec.name)}"
    yield f"  partitions: {spec.partitions}"
    yield f"  replicas: {spec.replication}"
    yield "  config:"
    yield from (f"    {name}: {_text(value)}" for name, value in spec.configs.items())


def _strimzi_head(kind: str, name: str) -> Iterator[str]:
    yield "---"
    yield "apiVersion: kafka.strimzi.io/v1beta2"
    yield f"kind: {kind}"
    yield "metadata:"
    yield f"  name: {_text(_LABEL.sub('-', name.lower()).strip('-.'))}"
    yield "  labels:"
    yield "    strimzi.io/cluster: kafka"
    yield "spec:"


def _text(value: str) -> str:
    """A string of YAML."""
    return json.dumps(value)


def _quoted(value: str) -> str:
    """A string of Terraform, which would look for templates in it."""
    return json.dumps(value).replace("${", "$${")


_FORMATS: Mapping[str, Callable[[KafkaSettings, list[Right]], Iterator[str]]] = {
    "commands": _commands,
    "terraform": _terraform,
    "strimzi": _strimzi,
}
