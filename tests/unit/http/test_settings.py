"""Settings that do not fit together do not come into being, and say what to set."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from regista.domain.errors import Invalid
from regista.settings import Settings, is_loopback, load

SECRET = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"REGISTA_{name.upper()}", raising=False)


def test_the_defaults_serve_this_machine_alone() -> None:
    settings = load()

    assert (settings.host, settings.port, settings.token) == ("127.0.0.1", 8080, None)
    assert settings.data == Path.cwd() / ".regista"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "models.example"])  # noqa: S104 - refused
def test_an_address_that_others_reach_needs_a_token(host: str) -> None:
    with pytest.raises(Invalid, match="set REGISTA_TOKEN"):
        load(host=host)

    assert load(host=host, token=SECRET).host == host


@pytest.mark.parametrize("token", ["short", "with a blank in between", "ümlaut-ümlaut-ümlaut"])
def test_a_weak_token_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(Invalid) as refused:
        load(token=token)

    assert refused.value.reasons[0].field == "REGISTA_TOKEN"
    assert token not in str(refused.value)


def test_the_token_is_hidden_in_print() -> None:
    settings = load(token=SECRET)

    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_variables_are_read_and_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_PORT", "9000")
    monkeypatch.setenv("REGISTA_MAX_UPLOAD", "2GiB")
    monkeypatch.setenv("REGISTA_TRUSTED_HOSTS", "a.example, b.example")
    monkeypatch.setenv("REGISTA_URL", "http://clients.example")

    settings = load(port=9001, host=None)

    assert settings.port == 9001
    assert settings.max_upload == 2 * 2**30
    assert settings.trusted_hosts == ("a.example", "b.example")


def test_every_wrong_setting_is_named_as_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_PORT", "70000")
    monkeypatch.setenv("REGISTA_LOG_LEVEL", "loud")

    with pytest.raises(Invalid) as refused:
        load()

    assert {reason.field for reason in refused.value.reasons} == {"REGISTA_PORT", "REGISTA_LOG_LEVEL"}


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]  # what is tested


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST."])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["localhost.example", "0.0.0.0", "::", "128.0.0.1", "myhost", ""])  # noqa: S104 - not used
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
