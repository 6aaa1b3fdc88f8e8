"""What a receiver says must not bring to light what is kept apart: many answer with the path that was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from regista.notifier.sender import EXCERPT, Reply

_HIDDEN = "…"
_SHORTEST = 4
"""Characters; shorter parts of an address, such as ``/`` or ``/in``, tell nothing."""


def without_secrets(reply: Reply, url: str, keys: Sequence[str]) -> Reply:
    """The reply without the address, or its path or query or a part of them, and without the keys."""
    hidden = sorted({*_parts(url), *keys, *(key.removeprefix("whsec_") for key in keys)}, key=len, reverse=True)
    return replace(
        reply,
        excerpt=_without(reply.excerpt, hidden)[:EXCERPT],
        error=None if reply.error is None else _without(reply.error, hidden),
    )


def _without(text: str, hidden: Sequence[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, _HIDDEN)
    return text


def _parts(url: str) -> Iterator[str]:
    """The address, and what of it only those know who may post there, also as servers show it: decoded."""
    yield url
    split = urlsplit(url)
    values = [value for pair in split.query.split("&") for value in pair.split("=", 1)[1:]]
    for part in (split.path, split.query, *split.path.split("/"), *values):
        if len(part) >= _SHORTEST:
            yield part
            yield unquote(part)
