"""All settings of a server process: one frozen object, read from ``REGISTA_…``, validated at start.

Sizes are bytes and may be written with a unit (``100GiB``); durations are seconds. Printed, the token stays hidden.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import ByteSize, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from regista.bus.settings import PREFIX, KafkaSettings
from regista.domain.errors import Invalid, Reason
from regista.notifier.schedule import DELAYS

MIN_TOKEN = 16
"""Characters; a shorter shared token can be guessed over the network."""

Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address. A name other than ``localhost`` may resolve to anything."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Settings(KafkaSettings):
    """What a registry is told from outside. Invalid combinations do not come into being."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on. Any other than loopback needs a token.")
    port: int = Field(8080, ge=0, le=65_535, description="Port to listen on; 0 takes a free one.")
    data: Path = Field(Path(".regista"), description="Directory of the log, the views and the artifacts.")
    token: SecretStr | None = Field(None, description="Shared bearer token; once set, every request needs it.")
    database: SecretStr | None = Field(
        None, description="PostgreSQL that holds the log, postgresql://…; a file in the data directory unless given."
    )
    views: SecretStr | None = Field(
        None, description="PostgreSQL that holds the views; that of the log unless given, else a file."
    )
    acknowledge: Literal["log", "kafka"] = Field(
        "log", description="What an answered write has survived: the log's commit, or its record on Kafka as well."
    )
    acknowledge_timeout: Seconds = Field(10.0, description="How long a write waits for its record on Kafka.")
    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Further names, separated by commas, under which a registry without token may be addressed."
    )

    url: str = Field(
        "http://127.0.0.1:8080", description="Where the registry answers, for the processes beside it (deploy, notify)."
    )
    effects_from: int | None = Field(
        None, ge=1, description="Position from which events have effects; from the first start on unless given."
    )
    deploy_timeout: Seconds = Field(120.0, description="How long one attempt at a target may take.")
    deploy_grace: Annotated[float, Field(ge=1, le=600)] = Field(
        10.0,
        description="How long a target is given nothing newer where another deployer may have left a call under way.",
    )
    deploy_late: Seconds = Field(60.0, description="After how long a deployment that is not done is reported.")
    deploy_look: Seconds = Field(30.0, description="How often targets are asked what they serve.")
    allow_private: bool = Field(
        False, description="Whether targets and webhooks may be at addresses of private networks and of this machine."
    )
    webhook_retries: Annotated[tuple[Seconds, ...], NoDecode] = Field(
        DELAYS,
        description="Seconds, separated by commas, between attempts at a webhook; behind the last it is given up.",
    )
    webhook_timeout: Seconds = Field(15.0, description="How long one attempt at a webhook may take.")
    webhook_kept: Seconds = Field(7 * 86_400.0, description="How long webhooks that were delivered are remembered.")
    target_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Directories, separated by commas, that targets may write to besides their own."
    )

    max_body: ByteSize = Field(ByteSize(2**20), gt=0, description="Largest JSON body.")
    max_upload: ByteSize = Field(ByteSize(100 * 2**30), gt=0, description="Largest upload of one artifact or import.")
    max_head: ByteSize = Field(ByteSize(32 * 2**10), ge=1024, description="Largest request line with headers.")
    max_batch: int = Field(1000, ge=1, le=10_000, description="Most commands in one commit of the log.")
    max_streams: int = Field(512, ge=0, description="Most readers of the event stream at one time.")

    stream_heartbeat: Seconds = Field(15.0, description="Longest silence of an event stream.")
    stream_patience: Seconds = Field(30.0, description="How long a reader of the event stream may not read.")
    orphan_age: Seconds = Field(86_400.0, description="How long an upload that no version names is kept.")
    shutdown_timeout: Seconds = Field(30.0, description="How long requests may take to finish at shutdown.")
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator("trusted_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("webhook_retries", mode="before")
    @classmethod
    def _split_seconds(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("target_roots", mode="before")
    @classmethod
    def _split_paths(cls, value: object) -> object:
        return tuple(path.strip() for path in value.split(",") if path.strip()) if isinstance(value, str) else value

    @field_validator("target_roots")
    @classmethod
    def _all_absolute(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(path.expanduser().absolute() for path in value)

    @field_validator("data")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("token")
    @classmethod
    def _strong(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        secret = value.get_secret_value()
        if len(secret) < MIN_TOKEN or not secret.isascii() or not secret.isprintable() or " " in secret:
            msg = f"a token has at least {MIN_TOKEN} printable ASCII characters without blanks"
            raise ValueError(msg)
        return value

    @field_validator("database", "views")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or not value.get_secret_value():
            return None
        if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            msg = "the address of a database is postgresql://USER:PASSWORD@HOST:PORT/NAME"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        if self.acknowledge == "kafka" and self.kafka is None:
            msg = f"to acknowledge what is on Kafka, {PREFIX}KAFKA must name its brokers"
            raise ValueError(msg)
        if self.token is None and not self.loopback:
            msg = (
                f"{self.host} can be reached from other machines: set {PREFIX}TOKEN to a secret of at least "
                f"{MIN_TOKEN} characters, or listen on 127.0.0.1"
            )
            raise ValueError(msg)
        return self

    @property
    def bearer(self) -> str | None:
        """The token in clear, as requests carry it; None: they need none."""
        return None if self.token is None else self.token.get_secret_value()

    @property
    def log_url(self) -> str | None:
        """The PostgreSQL of the log; None: it is a file in the data directory."""
        return None if self.database is None else self.database.get_secret_value()

    @property
    def views_url(self) -> str | None:
        """The PostgreSQL of the views; None: they are a file in the data directory."""
        return self.log_url if self.views is None else self.views.get_secret_value()

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the registry."""
        return is_loopback(self.host)


def load(**given: object) -> Settings:
    """The settings of this process: what is given (None: not given) before ``REGISTA_…`` before the defaults.

    Raises:
        Invalid: ``code`` is ``settings_invalid``; one reason per setting, named as its variable.
    """
    try:
        return Settings(**cast("dict[str, Any]", {name: value for name, value in given.items() if value is not None}))
    except ValidationError as error:
        reasons = [_reason(dict(found)) for found in error.errors(include_url=False, include_context=False)]
        detail = "; ".join(f"{reason.field}: {reason.detail}" if reason.field else reason.detail for reason in reasons)
        raise Invalid(detail, code="settings_invalid", reasons=reasons) from None


def _reason(found: dict[str, Any]) -> Reason:
    field = PREFIX + "_".join(str(part) for part in found["loc"]).upper() if found["loc"] else None
    return Reason("setting", str(found["msg"]).removeprefix("Value error, "), field)
