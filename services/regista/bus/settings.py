"""How to reach Kafka: one frozen object, read from ``REGISTA_KAFKA…``, for servers and for clients alike.

Printed, passwords stay hidden. ``kafka`` unset means that there is no Kafka.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import ByteSize, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "REGISTA_"
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s:,\[\]/@]+):(\d{1,5})")
_PREFIX = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_LARGEST_EVENT = 512 * 2**10
"""Bytes of the largest event value; a record adds its headers and key."""

Security: TypeAlias = Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]
Mechanism: TypeAlias = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER"]


class KafkaSettings(BaseSettings):
    """Brokers, names of topics, and how a client proves who it is. Invalid combinations do not come into being."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a password may stand where it does not belong
    )

    kafka: str | None = Field(None, description="Brokers to begin with, HOST:PORT, separated by commas.")
    kafka_prefix: str = Field("regista", description="Beginning of all names on Kafka: one log has one prefix.")
    kafka_create_topics: bool = Field(True, description="Whether missing topics are created.")
    kafka_replication: int = Field(1, ge=1, le=32_767, description="Copies of each topic that is created.")
    kafka_min_insync: int = Field(1, ge=1, le=32_767, description="Copies that must have a record before it counts.")
    kafka_max_message: ByteSize = Field(ByteSize(2**20), description="Largest record of each topic that is created.")

    kafka_security: Security = Field("plaintext", description="Protocol of the brokers' listener.")
    kafka_ca: Path | None = Field(None, description="Certificates to trust, PEM; the system's unless given.")
    kafka_certificate: Path | None = Field(None, description="This client's certificate, PEM, for mutual TLS.")
    kafka_key: Path | None = Field(None, description="The key of that certificate, PEM.")
    kafka_key_password: SecretStr | None = Field(None, description="What that key is encrypted with.")
    kafka_sasl: Mechanism = Field("SCRAM-SHA-512", description="Mechanism of SASL.")
    kafka_username: str | None = Field(None, description="User of SCRAM and PLAIN.")
    kafka_password: SecretStr | None = Field(None, description="Password of that user.")
    kafka_token_provider: str | None = Field(
        None, description="Entry point of the group regista.kafka_token_providers that makes tokens for OAUTHBEARER."
    )

    @field_validator("kafka")
    @classmethod
    def _addresses(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if "@" in value:
            # The message shows none of it: errors go to logs and screens, and there is no telling where a password ends.
            msg = (
                "brokers are HOST:PORT, without a user or a password: those are "
                f"{PREFIX}KAFKA_USERNAME and {PREFIX}KAFKA_PASSWORD"
            )
            raise ValueError(msg)
        addresses = [address.strip() for address in value.split(",")]
        for address in addresses:
            found = _ADDRESS.fullmatch(address)
            if found is None or not 0 < int(found[2]) < 65_536:
                msg = f"{address!r} is not HOST:PORT"
                raise ValueError(msg)
        return ",".join(addresses)

    @field_validator("kafka_prefix")
    @classmethod
    def _usable_prefix(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            msg = "a prefix has 1 to 100 letters, digits, '.', '_' or '-', and begins and ends with a letter or digit"
            raise ValueError(msg)
        return value

    @field_validator("kafka_max_message")
    @classmethod
    def _holds_an_event(cls, value: ByteSize) -> ByteSize:
        if value <= _LARGEST_EVENT + 2**14:
            msg = "an event has up to 512 KiB, and its headers come on top: at least 600 KiB"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kafka_min_insync > self.kafka_replication:
            msg = f"{PREFIX}KAFKA_MIN_INSYNC must not be more than {PREFIX}KAFKA_REPLICATION"
            raise ValueError(msg)
        if (self.kafka_certificate is None) != (self.kafka_key is None):
            msg = f"{PREFIX}KAFKA_CERTIFICATE and {PREFIX}KAFKA_KEY belong together"
            raise ValueError(msg)
        if not self.kafka_security.startswith("sasl_"):
            return self
        if self.kafka_sasl == "OAUTHBEARER":
            if self.kafka_token_provider is None:
                msg = f"OAUTHBEARER needs {PREFIX}KAFKA_TOKEN_PROVIDER"
                raise ValueError(msg)
        elif self.kafka_username is None or self.kafka_password is None:
            msg = f"{self.kafka_sasl} needs {PREFIX}KAFKA_USERNAME and {PREFIX}KAFKA_PASSWORD"
            raise ValueError(msg)
        return self

    @property
    def brokers(self) -> str:
        """The brokers, where there is a Kafka.

        Raises:
            ValueError: there is none; callers look at ``kafka`` first.
        """
        if self.kafka is None:
            msg = f"no Kafka: set {PREFIX}KAFKA to HOST:PORT"
            raise ValueError(msg)
        return self.kafka
