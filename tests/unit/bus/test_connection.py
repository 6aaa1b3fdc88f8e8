"""What every client is given to connect with."""

from __future__ import annotations

import ssl
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from regista.bus import connection
from regista.bus.connection import Tokens, client_options
from regista.bus.settings import KafkaSettings
from regista.domain.errors import Invalid


class Blocking:
    def token(self) -> str:
        return "from a thread"


class Coroutine:
    async def token(self) -> str:
        return "from the loop"


def broken() -> object:
    msg = "no identity provider"
    raise RuntimeError(msg)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        EntryPoint(name, f"{__name__}:{value}", connection.TOKEN_PROVIDERS)
        for name, value in {"blocking": "Blocking", "coroutine": "Coroutine", "broken": "broken"}.items()
    )
    monkeypatch.setattr(connection, "entry_points", lambda group: points.select(group=group))


def test_plaintext_needs_no_more_than_the_brokers() -> None:
    assert client_options(KafkaSettings(kafka="a:1,b:2", kafka_prefix="acme"), "relay") == {
        "bootstrap_servers": "a:1,b:2",
        "client_id": "acme.relay",
        "security_protocol": "PLAINTEXT",
    }


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"])
def test_a_user_and_a_password_go_to_the_broker_under_their_mechanism(mechanism: str) -> None:
    settings = KafkaSettings.model_validate(
        {
            "kafka": "a:1",
            "kafka_security": "sasl_ssl",
            "kafka_sasl": mechanism,
            "kafka_username": "me",
            "kafka_password": "secret",
        }
    )
    options = client_options(settings, "relay")
    assert options["security_protocol"] == "SASL_SSL"
    assert (options["sasl_mechanism"], options["sasl_plain_username"]) == (mechanism, "me")
    assert options["sasl_plain_password"] == "secret"
    context = options["ssl_context"]
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "token"), [("blocking", "from a thread"), ("coroutine", "from the loop")])
async def test_tokens_come_from_the_entry_point_that_the_settings_name(name: str, token: str) -> None:
    provider = client_options(with_tokens(name), "relay")["sasl_oauth_token_provider"]
    assert isinstance(provider, Tokens)
    assert await provider.token() == token


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "said"), [("absent", "blocking, broken, coroutine"), ("broken", "no identity provider")]
)
def test_a_provider_that_cannot_be_had_is_named(name: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        client_options(with_tokens(name), "relay")
    assert refused.value.code == "kafka_token_provider"


def with_tokens(name: str) -> KafkaSettings:
    return KafkaSettings(
        kafka="a:1", kafka_security="sasl_plaintext", kafka_sasl="OAUTHBEARER", kafka_token_provider=name
    )


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    settings = KafkaSettings(kafka="a:1", kafka_security="ssl", kafka_ca=tmp_path / "none.pem")
    with pytest.raises(Invalid) as refused:
        client_options(settings, "relay")
    assert refused.value.code == "kafka_certificates"
    (tmp_path / "none.pem").write_text("nonsense")
    with pytest.raises(Invalid):
        client_options(settings, "relay")
