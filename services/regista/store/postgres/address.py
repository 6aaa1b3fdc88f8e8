"""Where a database is: what libpq connects by, and what may be shown of it. Passwords stay inside."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from regista.domain.errors import Invalid

_SECRETS = ("password", "sslpassword")
_DEFAULTS: dict[str, Any] = {
    "application_name": "regista",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    # A server that is gone without a word is noticed within some ten seconds, whether something was sent to it or not.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class Address:
    """The address of a PostgreSQL database."""

    def __init__(self, url: str) -> None:
        """Take ``postgresql://USER:PASSWORD@HOST:PORT/NAME``, with the options that libpq knows.

        Raises:
            Invalid: ``settings_invalid``: it is not of that form.
        """
        given = _parsed(url)
        self._given = {**_DEFAULTS, **given}
        self._secrets = [str(given[name]) for name in _SECRETS if given.get(name)]
        host, port = given.get("host") or "local socket", given.get("port")
        self.shown = f"{host}{f':{port}' if port else ''}/{given.get('dbname') or given.get('user') or ''}"

    def conninfo(self, *, to_write: bool = False) -> str:
        """What libpq connects by. Of several hosts, ``to_write`` takes the one that can be written."""
        given = dict(self._given)
        if to_write and "," in str(given.get("host", "")):
            given.setdefault("target_session_attrs", "read-write")
        return make_conninfo("", **given)

    def scrubbed(self, text: str) -> str:
        """``text`` without the passwords of this address."""
        for secret in self._secrets:
            for form in {secret, quote(secret), quote(secret, safe="")}:
                text = text.replace(form, "***")
        return text

    def __repr__(self) -> str:
        return f"Address({self.shown})"


def _parsed(url: str) -> dict[str, Any]:
    """The parts of an address. What cannot be read is not quoted: it may hold a password."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        given = None
    if given is not None:
        # With a bare / or : in a password libpq takes the rest of it for a port or a name.
        ports = str(given.get("port") or "0").split(",")
        if all(port.isdecimal() or not port for port in ports) and "@" not in str(given.get("dbname") or ""):
            return given
    raise Invalid(
        "The address of the database cannot be read.",
        code="settings_invalid",
        hint="It is postgresql://USER:PASSWORD@HOST:PORT/NAME; in a password, write %40 for @, %3A for :, %2F for /.",
    )
