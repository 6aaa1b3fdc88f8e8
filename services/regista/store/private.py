"""The private table: secrets that events name by an id and never hold, so that they can be erased.

It is no part of the log: nothing in it is published, exported, healed or rebuilt. Whoever restores a log elsewhere gives
its secrets anew.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol

KEY_BYTES = 32
_PREFIX = "hmac-sha256:"


@dataclass(frozen=True, slots=True)
class PrivateEntry:
    """What may be told of a secret: its id, the stream that it belongs to, its name there, and when it was put."""

    id: str
    owner: str
    name: str
    put_at: datetime


class PrivateTable(Protocol):
    """Secrets by their ids. Any number of threads and processes may use one; every method blocks.

    Raises:
        Unavailable: ``private_unavailable``: it cannot be reached or written now.
        Damaged: ``not_private``: what lies there is something else, or of a newer release.
    """

    def put(self, id: str, owner: str, name: str, value: str) -> None:  # noqa: A002 - what it is called in events
        """Keep a secret of the stream ``owner`` under a new id; durable when this returns."""
        ...

    def get(self, id: str) -> str | None:  # noqa: A002 - what it is called in events
        """The secret; None: it was erased, or never put here."""
        ...

    def erase(self, ids: Iterable[str]) -> None:
        """Forget secrets, durably: no file of the table holds them any more. Ids that are not there are passed over."""
        ...

    def entries(self) -> Sequence[PrivateEntry]:
        """Every secret there is, without its value, by id."""
        ...

    def key(self) -> bytes:
        """The random key of this table's fingerprints, the same for ever: 32 bytes."""
        ...

    def close(self) -> None:
        """Close what is open of it."""
        ...


def fingerprint(key: bytes, owner: str, name: str, value: str) -> str:
    """What events say of a secret's content: equal for the same secret in the same place, and telling nothing else.

    HMAC (RFC 2104) with a key that never leaves the private table: without it not even a weak secret can be tried out.
    """
    parts = (part.encode("utf-8", "surrogatepass") for part in (owner, name, value))
    told = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return _PREFIX + hmac.new(key, told, sha256).hexdigest()
