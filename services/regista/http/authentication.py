"""Who asks. Until access control comes, a caller's name is what the caller says it is: its identity is ``asserted``.

Bound to loopback without a token, everybody on this machine may ask. A browser is on this machine too, and any page it
shows can make it send requests; so the name in ``Host`` must be this machine's (DNS rebinding), and a write that a
browser marks as coming from another site is refused (cross-site request forgery). With a token, every request needs it
as ``Authorization: Bearer``, which no foreign page can send. ``/healthz`` and ``/readyz`` say nothing that needs
guarding and are called by probes that hold no secret: they are open. ``/metrics`` is not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hmac import compare_digest
from unicodedata import normalize
from urllib.parse import unquote_to_bytes, urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from regista.domain.errors import Forbidden, Malformed, Unauthenticated
from regista.domain.events import Identity
from regista.domain.references import MAX_IDENTIFIER, is_identifier
from regista.settings import is_loopback

ACTOR_HEADER = b"regista-actor"
ANONYMOUS = "anonymous"
RESERVED = frozenset({"system"})
"""Names under which the registry itself writes, in any case."""
OPEN_PATHS = frozenset({"/healthz", "/readyz"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({b"same-origin", b"none"})


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and how sure that is."""

    actor: str
    identity: Identity


_NOBODY = Principal(ANONYMOUS, "asserted")


class Authentication:
    """The layer that lets in and says who it is: a :class:`Principal` in ``scope["state"]["principal"]``.

    Raises:
        Unauthenticated, Forbidden, Malformed: for :class:`Problems` to answer.
    """

    def __init__(self, app: ASGIApp, *, token: str | None, trusted_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._bearer = None if token is None else b"Bearer " + token.encode()
        self._hosts = frozenset(name.lower() for name in trusted_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or raise."""
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            if scope["path"] not in OPEN_PATHS:
                self._admit(scope["method"], headers)
            actor = headers.get(ACTOR_HEADER)
            principal = _NOBODY if actor is None else Principal(actor_of(actor), "asserted")
            scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    def _admit(self, method: str, headers: Mapping[bytes, bytes]) -> None:
        if self._bearer is not None:
            self._check_token(headers.get(b"authorization"))
        else:
            host = headers.get(b"host", b"").decode("latin-1")
            self._check_host(host)
            if method not in _SAFE:
                _check_site(headers, host)

    def _check_token(self, given: bytes | None) -> None:
        if given is None:
            raise Unauthenticated(
                "this registry needs a token", hint="send Authorization: Bearer <token>; clients read REGISTA_TOKEN"
            )
        scheme, _, secret = given.partition(b" ")
        if not compare_digest(scheme.title() + b" " + secret.strip(), self._bearer or b""):
            raise Unauthenticated("this is not the token", hint="clients read it from REGISTA_TOKEN")

    def _check_host(self, host: str) -> None:
        name = host_name(host)
        if name in self._hosts or is_own_name(name):
            return
        raise Forbidden(
            f"this registry is not addressed as {name or 'nothing'}",
            code="host_refused",
            hint="use 127.0.0.1 or localhost, or name the host in REGISTA_TRUSTED_HOSTS",
        )


@lru_cache(maxsize=64)
def is_own_name(name: str) -> bool:
    """Whether a name means this machine wherever it is resolved (RFC 6761, 6.3, for ``localhost``)."""
    return is_loopback(name) or name.endswith(".localhost")


@lru_cache(maxsize=64)
def host_name(host: str) -> str:
    """The name in a ``Host`` header, in lower case, without the port; empty when there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _check_site(headers: Mapping[bytes, bytes], host: str) -> None:
    site = headers.get(b"sec-fetch-site")
    origin = headers.get(b"origin")
    foreign = site not in _OWN_SITE if site is not None else origin is not None and not _same(origin, host)
    if foreign:
        raise Forbidden("a page of another site may not write here", code="cross_site")


def _same(origin: bytes, host: str) -> bool:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.lower() == host.lower()
    except ValueError:
        return False


@lru_cache(maxsize=1024)
def actor_of(given: bytes) -> str:
    """The name in ``Regista-Actor``: UTF-8, or percent-encoded UTF-8 from clients that send ASCII only.

    Raises:
        Malformed: it is empty, too long, no text, or holds control characters; or ``reserved_actor``: it is the
            registry's own name.
    """
    try:
        actor = unquote_to_bytes(given).decode().strip()
    except UnicodeDecodeError:
        actor = ""
    return check_actor(actor, "Regista-Actor")


def check_actor(actor: str, where: str) -> str:
    """Return the name of who asks where it is one; ``where`` says what held it.

    Raises:
        Malformed: as ``actor_of``.
    """
    if not is_identifier(actor):
        raise Malformed(
            f"{where} is 1 to {MAX_IDENTIFIER} printable characters of UTF-8 without blanks",
            code="malformed_actor",
            hint="Use an id such as m.rossi or ci/train: names are not kept.",
        )
    if normalize("NFKC", actor).casefold() in RESERVED:
        raise Malformed(
            f"{actor!r} is the name of the registry itself",
            code="reserved_actor",
            hint="Choose another name: Regista-Actor, REGISTA_ACTOR or --actor.",
        )
    return actor
