"""A broker that lets nobody in without a name, and lets names do only what they are allowed: TLS, SASL and ACLs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from tests.support.certificates import Authority

from kafka_properties import Secure
from native_kafka import Cluster
from regista.bus.settings import KafkaSettings

_SEEN_WITHIN = 20.0
_ROUNDS = 4096
_KINDS = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "cluster": ResourceType.BROKER,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


class SecureBroker:
    """One node: SCRAM-SHA-512 and unsigned OAUTHBEARER tokens over TLS at ``bootstrap``, mutual TLS at ``mutual``.

    Nobody may do anything before ``allow``. A client of mutual TLS is the user ``CN=<name>``.
    """

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder / "certificates")
        secure = Secure(self._authority.issue("broker").both, self._authority.certificate)
        self.cluster = Cluster(folder / "kafka", secure=secure)
        (ports,) = (node.ports for node in self.cluster.nodes)
        self.bootstrap = f"127.0.0.1:{ports.sasl}"
        self.mutual = f"127.0.0.1:{ports.tls}"
        self.administration = f"127.0.0.1:{ports.internal}"
        """Where no name is asked for, and all is allowed: for what a test prepares and looks at."""
        self._administrator = AdminClient({"bootstrap.servers": self.administration, "log_level": 0})

    @property
    def ca(self) -> Path:
        """What clients have to trust."""
        return self._authority.certificate

    def add_user(self, name: str, password: str, *, prefix: str = "regista") -> KafkaSettings:
        """A user of SCRAM, and the settings to come as that user; when it returns, the broker knows the password."""
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ROUNDS)
        change = UserScramCredentialUpsertion(name, credential, password.encode())
        for done in self._administrator.alter_user_scram_credentials([change]).values():
            done.result(_SEEN_WITHIN)
        client = AdminClient(
            {
                "bootstrap.servers": self.bootstrap,
                "security.protocol": "sasl_ssl",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": name,
                "sasl.password": password,
                "ssl.ca.location": str(self.ca),
                "log_level": 0,
                "reconnect.backoff.max.ms": 100,
            }
        )
        until = time.monotonic() + _SEEN_WITHIN
        while not _answers(client):
            assert time.monotonic() < until, f"the broker does not know {name}"
        return self._settings(self.bootstrap, prefix, security="sasl_ssl", username=name, password=password)

    def add_certificate(self, name: str, *, prefix: str = "regista") -> KafkaSettings:
        """The settings to come as the user ``CN=<name>``, with a certificate that the broker trusts."""
        issued = self._authority.issue(name)
        return self._settings(self.mutual, prefix, security="ssl", certificate=issued.certificate, key=issued.key)

    def allow(self, user: str, kind: str, name: str, *operations: str, prefixed: bool = False) -> None:
        """Let a user do these operations (``read``, ``idempotent_write`` …); when it returns, the broker goes by it.

        ``kind`` is topic, group, transactional-id or cluster; with ``prefixed``, all whose names begin so.
        """
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        wanted = {
            AclBinding(
                _KINDS[kind],
                "kafka-cluster" if kind == "cluster" else name,
                pattern,
                f"User:{user}",
                "*",
                AclOperation[operation.upper()],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        }
        for done in self._administrator.create_acls(list(wanted)).values():
            done.result(_SEEN_WITHIN)
        until = time.monotonic() + _SEEN_WITHIN
        while not wanted <= set(self._administrator.describe_acls(_any_of(user)).result(_SEEN_WITHIN)):
            assert time.monotonic() < until, "the broker does not go by what it was told"

    def destroy(self) -> None:
        """End it and delete its data."""
        self.cluster.destroy()

    def _settings(self, address: str, prefix: str, **given: object) -> KafkaSettings:
        named = {f"kafka_{name}": value for name, value in given.items()}
        return KafkaSettings.model_validate({"kafka": address, "kafka_prefix": prefix, "kafka_ca": self.ca, **named})


def _answers(client: AdminClient) -> bool:
    try:
        client.list_topics(timeout=1)
    except KafkaException:
        return False
    return True


def _any_of(user: str) -> AclBindingFilter:
    # None is any name and any address, which the annotations leave out.
    anything = cast("str", None)
    pattern, operation = ResourcePatternType.ANY, AclOperation.ANY
    return AclBindingFilter(
        ResourceType.ANY, anything, pattern, f"User:{user}", anything, operation, AclPermissionType.ANY
    )
