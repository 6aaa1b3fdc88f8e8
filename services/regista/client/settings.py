"""Where the registry is and who is asking: ``REGISTA_URL``, ``REGISTA_TOKEN``, ``REGISTA_ACTOR``."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from regista.domain.errors import Invalid

DEFAULT_URL = "http://127.0.0.1:8080"
ANONYMOUS = "anonymous"
_ACTOR_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client reaches the registry. Times are in seconds.

    ``deadline`` bounds one operation's request with all its repetitions, ``attempts`` their number; ``timeout`` is how
    long one attempt waits for a connection or the next bytes. ``fresh``: reads wait for what this client has seen.
    """

    url: str = DEFAULT_URL
    token: str | None = field(default=None, repr=False)
    actor: str = ANONYMOUS
    deadline: float = 30.0
    attempts: int = 6
    timeout: float = 30.0
    fresh: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _checked_url(self.url))
        check_header("REGISTA_ACTOR", self.actor)
        if self.token is not None:
            check_header("REGISTA_TOKEN", self.token, shown="the token")

    @property
    def loopback(self) -> bool:
        """Whether the registry is on this machine, where no proxy leads."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def from_environment(url: str | None = None, token: str | None = None, actor: str | None = None) -> Settings:
    """What is given, else the environment, else the defaults: this machine, no token, the user of the system.

    Raises:
        Invalid: ``bad_settings``, naming the variable.
    """
    return Settings(
        url=url or os.environ.get("REGISTA_URL") or DEFAULT_URL,
        token=token or os.environ.get("REGISTA_TOKEN") or None,
        actor=actor or default_actor(),
    )


def default_actor() -> str:
    """``REGISTA_ACTOR``, else the user of the operating system, else ``anonymous``."""
    if named := os.environ.get("REGISTA_ACTOR"):
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no entry for the user, as in many containers
        return ANONYMOUS


def check_header(name: str, value: str, shown: str | None = None) -> None:
    """Refuse what no HTTP header can carry unchanged.

    Raises:
        Invalid: ``bad_settings``.
    """
    if value.isascii() and value.isprintable() and value == value.strip() and 0 < len(value) <= _ACTOR_LIMIT * 16:
        return
    raise Invalid(
        f"{name}: {shown or repr(value[:100])} cannot be sent",
        code="bad_settings",
        hint=f"{name} is an identifier in printable ASCII, such as ci/fraud-training or m.rossi.",
    )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment or parts.username):
        return url.rstrip("/")
    raise Invalid(
        f"REGISTA_URL: {url[:200]!r} is not the address of a registry",
        code="bad_settings",
        hint=f"Write it as {DEFAULT_URL} or https://registry.example.org; a token goes into REGISTA_TOKEN.",
    )
