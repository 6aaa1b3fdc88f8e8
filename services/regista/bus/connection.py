"""How a client of Kafka connects: brokers, TLS and SASL, the same for every client.

TLS is checked against ``kafka_ca`` or the system's certificates, names of hosts included; there is no way to switch
that off. A client certificate, where there is one, is shown to the broker (mutual TLS). OAUTHBEARER gets its tokens
from an entry point, since how they are made is the business of whoever runs the identity provider.
"""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Awaitable
from importlib.metadata import entry_points
from typing import Any, Protocol, cast

from aiokafka.abc import AbstractTokenProvider

from regista.bus.settings import KafkaSettings
from regista.domain.errors import Invalid

TOKEN_PROVIDERS = "regista.kafka_token_providers"  # noqa: S105 - the name of a group, no password
"""The group of entry points: each is called without arguments and returns a ``TokenProvider``."""


class TokenProvider(Protocol):
    """Makes tokens for OAUTHBEARER."""

    def token(self) -> str | Awaitable[str]:
        """A token that is valid now: asked for at every connect, so a provider keeps what it has until it expires.

        May be a plain function, which is called in a thread, or a coroutine function.
        """


class Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """What the client asks for a token, over a provider of ours."""

    def __init__(self, provider: TokenProvider) -> None:
        self._provider = provider

    async def token(self) -> str:
        """The provider's token, without blocking the event loop."""
        if inspect.iscoroutinefunction(self._provider.token):
            return str(await self._provider.token())
        return str(await asyncio.to_thread(self._provider.token))


def client_options(settings: KafkaSettings, role: str) -> dict[str, Any]:
    """The arguments of every aiokafka client: brokers, who it is, TLS, SASL.

    ``role`` says what the client is for (``relay``, ``projector``); brokers show it in their logs and quotas.

    Raises:
        ValueError: there is no Kafka in the settings.
        Invalid: ``kafka_certificates``: a certificate or key cannot be read; ``kafka_token_provider``: no such one.
    """
    options: dict[str, Any] = {
        "bootstrap_servers": settings.brokers,
        "client_id": f"{settings.kafka_prefix}.{role}",
        "security_protocol": settings.kafka_security.upper(),
    }
    if settings.kafka_security in {"ssl", "sasl_ssl"}:
        options["ssl_context"] = _tls(settings)
    if settings.kafka_security.startswith("sasl_"):
        options |= _sasl(settings)
    return options


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca)
        if settings.kafka_certificate is not None:
            password = settings.kafka_key_password
            # An empty password rather than none: OpenSSL would ask for it on the terminal.
            secret = password.get_secret_value() if password is not None else ""
            context.load_cert_chain(settings.kafka_certificate, settings.kafka_key, secret)
    except OSError as error:
        raise Invalid(
            f"The certificates for Kafka cannot be used: {error}.",
            code="kafka_certificates",
            hint="Look at REGISTA_KAFKA_CA, REGISTA_KAFKA_CERTIFICATE, REGISTA_KAFKA_KEY and its password: PEM files.",
        ) from error
    return context


def _sasl(settings: KafkaSettings) -> dict[str, Any]:
    if settings.kafka_sasl == "OAUTHBEARER":
        name = cast(str, settings.kafka_token_provider)
        return {"sasl_mechanism": "OAUTHBEARER", "sasl_oauth_token_provider": Tokens(token_provider(name))}
    password = settings.kafka_password
    return {
        "sasl_mechanism": settings.kafka_sasl,
        "sasl_plain_username": settings.kafka_username,
        "sasl_plain_password": None if password is None else password.get_secret_value(),
    }


def token_provider(name: str) -> TokenProvider:
    """The provider of an entry point.

    Raises:
        Invalid: ``kafka_token_provider``: there is none of this name, or it cannot be loaded or made.
    """
    found = sorted(entry_points(group=TOKEN_PROVIDERS), key=lambda point: point.name)
    chosen = next((point for point in found if point.name == name), None)
    if chosen is None:
        names = ", ".join(point.name for point in found) or "none"
        raise Invalid(
            f"There is no token provider {name!r}; installed: {names}.",
            code="kafka_token_provider",
            hint=f"Install the package whose entry point in the group {TOKEN_PROVIDERS} has this name.",
        )
    try:
        return cast(TokenProvider, chosen.load()())
    except Exception as error:
        raise Invalid(
            f"The token provider {name!r} cannot be made: {error!r}.",
            code="kafka_token_provider",
            hint=f"{chosen.value} is called without arguments and returns an object with a method token().",
        ) from error
