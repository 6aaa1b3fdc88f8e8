"""One digest over a model's weights, whatever file holds them and however it is laid out.

It covers the name, type, shape and bytes of every tensor, sorted by name, and nothing else: metadata, the order in a file and
the number of files do not count. Equal digests mean equal weights, which makes a change a PATCH; the other way is not promised.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regista.artifacts.digests import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Weight:
    """One tensor: name, element type, shape, and the digest of its bytes (little-endian, row by row)."""

    name: str
    type: str
    shape: tuple[int, ...]
    sha256: str


def digest_of_weights(weights: Iterable[Weight]) -> str | None:
    """Return ``sha256:<hex>`` over all tensors; None where there is none, or where two share a name."""
    rows = sorted([weight.name, weight.type, list(weight.shape), weight.sha256] for weight in weights)
    if not rows or len({row[0] if isinstance(row[0], str) else "" for row in rows}) != len(rows):
        return None
    return digest_of(json.dumps(rows, separators=(",", ":"), ensure_ascii=True).encode())


def digest_of_chunks(chunks: Iterable[bytes]) -> str:
    """Digest of bytes that come in pieces."""
    total = hashlib.sha256()
    for chunk in chunks:
        total.update(chunk)
    return "sha256:" + total.hexdigest()
