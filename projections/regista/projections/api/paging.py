"""Page tokens: opaque, bound to the query that they go on with, and to a key, so that pages are stable."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import orjson

from regista.domain.errors import Malformed


def query_id(*parts: object) -> str:
    """What a token is bound to."""
    return sha256(orjson.dumps([str(part) for part in parts])).hexdigest()[:12]


def next_page(query: str, key: Sequence[Any]) -> str:
    """The token of the page behind ``key``."""
    return base64.urlsafe_b64encode(orjson.dumps([query, *key])).rstrip(b"=").decode()


def read_page(token: str | None, query: str, *types: type) -> tuple[Any, ...] | None:
    """The key that a token holds; None where there is no token.

    Raises:
        Malformed: ``bad_page``: it is no token, or one of another query.
    """
    if token is None:
        return None
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        bound, *key = orjson.loads(raw)
    except (ValueError, TypeError, UnicodeError, binascii.Error):
        raise _bad("is not a page token") from None
    if bound != query:
        raise _bad("belongs to another query")
    if [type(part) for part in key] != list(types) or any(type(p) is int and not -(2**63) <= p < 2**63 for p in key):
        raise _bad("is not a page token")
    return tuple(key)


def _bad(why: str) -> Malformed:
    return Malformed(
        f"page {why}", code="bad_page", hint="Take `next` of the page before, with the other parameters unchanged."
    )
