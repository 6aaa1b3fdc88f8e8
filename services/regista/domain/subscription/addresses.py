"""The two secrets of a subscription, while they are seen: its address and what its deliveries are signed with.

They are looked at where they come in. What is refused is described, never quoted.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from urllib.parse import urlsplit

from regista.domain.errors import Reason

SIGNING = "signing"
URL = "url"
PREFIX = "whsec_"
"""Standard Webhooks: what a symmetric secret begins with."""
_BYTES = range(24, 65)
MAX_URL = 2_048
_URL_HINT = "Give an address such as https://ci.example.org/hooks/regista."
_SECRET_HINT = f"Write {PREFIX} and 24 to 64 random bytes in base64, or leave it out: one is made, and answered once."


def url_problems(url: str) -> Iterator[Reason]:
    """Why an address is none that events can be sent to."""
    problem = _problem(url)
    if problem is not None:
        yield Reason("bad_url", problem, URL, _URL_HINT)


def origin(url: str) -> str:
    """What may be told of an address that has no problems: its scheme, its host and its port."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{shown}{'' if parts.port is None else f':{parts.port}'}"


def secret_problems(secret: str) -> Iterator[Reason]:
    """Why a text is no secret to sign with."""
    problem = _secret_problem(secret)
    if problem is not None:
        yield Reason("bad_secret", problem, "secret", _SECRET_HINT)


def _problem(url: str) -> str | None:
    if len(url) > MAX_URL:
        return f"the address has over {MAX_URL} characters"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "the address has characters that must be written in percent signs, or a host that must be in Punycode"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the address cannot be read"
    if parts.scheme.lower() not in {"http", "https"}:
        return "the address begins with neither https:// nor http://"
    if parts.username is not None or parts.password is not None:
        return "the address has a user or a password in it: deliveries are signed instead"
    if not host or port == 0:
        return "the address has no host that can be called"
    if "#" in url:
        return "the address has a fragment, which is never sent"
    return None


def _secret_problem(secret: str) -> str | None:
    if not secret.startswith(PREFIX):
        return f"the secret does not begin with {PREFIX}"
    try:
        length = len(b64decode(secret.removeprefix(PREFIX), validate=True))
    except ValueError:
        return f"what follows {PREFIX} is not base64"
    if length not in _BYTES:
        return f"the secret has {length} bytes, not 24 to 64"
    return None
