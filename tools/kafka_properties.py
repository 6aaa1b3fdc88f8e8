"""The properties of a node: small, quick to start and to come back after a SIGKILL; the figures are for tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# log4j2 is what Kafka 4 logs with, reload4j what Kafka 3 does; each ignores the other's file.
LOGGING = {
    "log4j2.properties": """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d %p %c{1}: %m%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
""",
    "log4j.properties": """\
log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c{1}: %m%n
""",
}


_LISTENER = re.compile(r"(?m)(?:^listeners=|(?<=,))([A-Z_]+)://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a node listens on 127.0.0.1. Brokers talk to each other on ``internal``, which no proxy stands before."""

    client: int
    internal: int
    controller: int
    sasl: int | None
    tls: int | None

    @classmethod
    def around(cls, client: int, free: Callable[[], int], *, secure: bool) -> Self:
        """The given port for clients, free ones for the rest."""
        return cls(client, free(), free(), free() if secure else None, free() if secure else None)

    @classmethod
    def of(cls, properties: str) -> Self:
        """Where the node of these properties listens."""
        found = {name: int(port) for name, port in _LISTENER.findall(properties)}
        client = found.get("PLAINTEXT", 0)
        return cls(client, found["INTERNAL"], found["CONTROLLER"], found.get("SASL_SSL"), found.get("SSL"))


@dataclass(frozen=True, slots=True)
class Secure:
    """A server's certificate and what signs clients' ones: PEM files, the first with its key."""

    certificate: Path
    authority: Path


def text(
    *,
    version: str,
    number: int,
    nodes: Mapping[int, Ports],
    told: int,
    data: Path,
    secure: Secure | None,
    more: Mapping[str, object],
) -> str:
    """The file of one node; ``told`` is the port that its clients are told."""
    copies = len(nodes)
    insync = 2 if copies > 1 else 1
    ports = nodes[number]
    lines: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": number,
        "controller.quorum.voters": ",".join(f"{each}@127.0.0.1:{nodes[each].controller}" for each in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "INTERNAL",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": insync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": insync,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
        # The defaults keep a killed node's registration for 9 s, and it cannot come back before that.
        "broker.session.timeout.ms": 1200,
        "broker.heartbeat.interval.ms": 400,
        # Half of what a node burns while nobody asks it anything, and several stand by for as long as tests run.
        "metadata.max.idle.interval.ms": 5000,
        "num.network.threads": 1,
        "num.io.threads": 2,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 2**20,  # fits a small heap
        **_listeners(ports, told, secure),
    }
    if not version.startswith("3."):
        lines |= {
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": insync,
        }
    return "".join(f"{name}={value}\n" for name, value in {**lines, **more}.items())


def _listeners(ports: Ports, told: int, secure: Secure | None) -> dict[str, object]:
    listeners: dict[str, int | None] = {
        "PLAINTEXT": ports.client,
        "INTERNAL": ports.internal,
        "CONTROLLER": ports.controller,
    }
    protocols = dict.fromkeys(listeners, "PLAINTEXT")
    lines: dict[str, object] = {}
    if secure is not None:
        # Clients have no way in but the secure ones.
        del listeners["PLAINTEXT"]
        listeners |= {"SASL_SSL": ports.sasl, "SSL": ports.tls}
        protocols |= {"SASL_SSL": "SASL_SSL", "SSL": "SSL"}
        lines = _security(secure)
    advertised = {name: port for name, port in listeners.items() if name != "CONTROLLER"}
    if secure is None:
        advertised["PLAINTEXT"] = told
    return {
        "listeners": _addresses(listeners),
        "advertised.listeners": _addresses(advertised),
        "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
        **lines,
    }


def _addresses(listeners: Mapping[str, int | None]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items())


def _security(secure: Secure) -> dict[str, object]:
    tokens = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": secure.certificate,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": secure.authority,
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        # Tokens of this listener are unsigned: it is for tests of the client's side.
        "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": tokens,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # The brokers themselves, on their own listeners, have no name; clients cannot come that way unseen.
        "super.users": "User:ANONYMOUS;User:admin",
    }
