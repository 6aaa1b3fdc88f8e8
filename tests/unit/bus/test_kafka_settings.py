"""What names the brokers: credentials that stand there by mistake are refused, and shown nowhere."""

from __future__ import annotations

import logging

import pytest
from pydantic import ValidationError

from regista import Subscriber
from regista.bus.settings import KafkaSettings
from regista.domain.errors import Invalid
from regista.settings import Settings, load

WITH_CREDENTIALS = (
    "ann:hunter2@broker:9092",
    "hunter2@broker:9092",
    "broker:9092,ann:hunter2@other:9092",
    "ann:hunter2,9092@broker",
    "kafka://ann:hunter2@broker:9092",
    "ann:hunter2@broker",
)


def wholly(error: BaseException) -> str:
    """All that a program could print of an error, and of what led to it."""
    said = []
    at: BaseException | None = error
    while at is not None:
        said += [str(at), repr(at), repr(at.args), str(getattr(at, "hint", "")), str(getattr(at, "reasons", ""))]
        at = at.__cause__
    return "\n".join(said)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
@pytest.mark.parametrize("kind", [KafkaSettings, Settings])
def test_credentials_in_an_address_are_refused_and_not_repeated(kind: type[KafkaSettings], address: str) -> None:
    with pytest.raises(ValidationError) as caught:
        kind(kafka=address)
    assert "hunter2" not in wholly(caught.value)
    assert "REGISTA_KAFKA_PASSWORD" in str(caught.value)


@pytest.mark.parametrize("address", WITH_CREDENTIALS)
def test_a_server_that_is_told_them_says_where_they_belong(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("REGISTA_KAFKA", address)
    with pytest.raises(Invalid) as caught:
        load()
    assert caught.value.code == "settings_invalid"
    assert "REGISTA_KAFKA_USERNAME" in caught.value.detail
    assert "hunter2" not in wholly(caught.value) + caplog.text


def test_so_does_a_subscriber() -> None:
    with pytest.raises(Invalid) as caught:
        Subscriber(kafka=WITH_CREDENTIALS[0])
    assert "hunter2" not in wholly(caught.value)


def test_no_password_is_shown_with_the_error_of_another_setting() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(database="mysql://ann:hunter2@db/x", kafka_security="none")
    assert "hunter2" not in wholly(caught.value)


@pytest.mark.parametrize("address", ["broker", "broker:0", "broker:65536", ":9092", "a:1,,b:2", "kafka://a:1"])
def test_what_is_no_address_is_named(address: str) -> None:
    with pytest.raises(ValidationError, match="is not HOST:PORT"):
        KafkaSettings(kafka=address)


def test_addresses_are_names_or_numbers_with_a_port() -> None:
    assert (
        KafkaSettings(kafka=" a.example:9092, 10.0.0.1:1 ,[::1]:65535").brokers
        == "a.example:9092,10.0.0.1:1,[::1]:65535"
    )
