"""What aiokafka raises, said in the errors of Regista."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from regista.bus.settings import KafkaSettings
from regista.domain.errors import Forbidden, RegistaError, TooLarge, Unauthenticated, Unavailable

AUTHORIZATION = (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)
_AUTHENTICATION = (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)


def in_our_words(settings: KafkaSettings, error: Exception) -> RegistaError:
    """An error of Kafka as one of Regista; one that is not Kafka's as ``Unavailable`` too, so that nothing is lost."""
    if isinstance(error, RegistaError):
        return error
    if isinstance(error, AUTHORIZATION):
        return Forbidden(
            f"Kafka does not allow this user what it asks: {_said(error)}.",
            code="kafka_forbidden",
            hint="regista topics plan prints the rights that each role needs.",
        )
    if isinstance(error, _AUTHENTICATION):
        return Unauthenticated(
            f"Kafka does not accept who this client says it is: {_said(error)}.",
            code="kafka_unauthenticated",
            hint="Look at REGISTA_KAFKA_SECURITY, _SASL, _USERNAME and _PASSWORD.",
        )
    if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
        return TooLarge(
            f"Kafka does not take a record of this size: {_said(error)}.",
            code="kafka_record_too_large",
            hint="Raise max.message.bytes of the topic to REGISTA_KAFKA_MAX_MESSAGE; what waits goes out by itself then.",
        )
    if isinstance(error, KafkaConnectionError):
        return Unavailable(
            f"Kafka at {settings.kafka} cannot be reached.",
            code="kafka_unavailable",
            hint="Look whether the brokers run, whether REGISTA_KAFKA and _SECURITY name their listener, and whether it "
            "accepts the certificates, user and password: what it said to each attempt is in this program's log.",
        )
    return Unavailable(
        f"Kafka at {settings.kafka} does not do what it should: {_said(error)}.",
        code="kafka_unavailable",
        hint="Look at the brokers' logs; it is tried again.",
    )


@contextmanager
def translated(settings: KafkaSettings) -> Iterator[None]:
    """Run with Kafka's errors as ours.

    Raises:
        Unavailable: ``kafka_unavailable``: no broker answers, or not in time.
        Forbidden: ``kafka_forbidden``: an ACL is missing.
        Unauthenticated: ``kafka_unauthenticated``.
    """
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise in_our_words(settings, error) from error


def _said(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
