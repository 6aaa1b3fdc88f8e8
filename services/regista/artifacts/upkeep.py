"""Reading stored bytes again, and collecting what nobody needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regista.domain.errors import Damaged, NotFound, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from regista.artifacts.blob_store import BlobStore

RESTORE = "Restore the blob from a backup, or upload the same bytes again after removing it."


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read and found to be what its digests say: number of blobs, and their bytes."""

    digest: str
    blobs: int
    size: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What an orphan collection removed: blobs, their bytes, uploads that never ended; and orphans kept by a hold."""

    blobs: tuple[str, ...]
    size: int
    unfinished: int
    held: tuple[str, ...]


async def verify_blobs(store: BlobStore, digest: str, blobs: Mapping[str, int]) -> Verified:
    """Read and hash blobs, given with their sizes. ``Damaged`` with a reason for each that is gone or has other bytes."""
    faults = [(blob, await blob_fault(store, blob, size)) for blob, size in blobs.items()]
    reasons = [Reason("blob_damaged", f"{blob} {fault}.", field=blob, hint=RESTORE) for blob, fault in faults if fault]
    if reasons:
        raise Damaged(f"{len(reasons)} of {len(blobs)} blobs of {digest} do not hold.", reasons=reasons, hint=RESTORE)
    return Verified(digest, len(blobs), sum(blobs.values()))


async def blob_fault(store: BlobStore, digest: str, size: int) -> str | None:
    """Return what is wrong with a stored blob; None when it holds."""
    found, length = hashlib.sha256(), 0
    try:
        async for chunk in store.open(digest):
            found.update(chunk)
            length += len(chunk)
    except NotFound:
        return "is gone"
    if length != size:
        return f"has {length} bytes instead of {size}"
    return None if f"sha256:{found.hexdigest()}" == digest else f"has the digest sha256:{found.hexdigest()}"


async def collect(store: BlobStore, needed: Iterable[str], before: datetime) -> Collected:
    """Delete blobs that are not needed and were not renewed since, and what broken uploads left."""
    needed = frozenset(needed)
    deleted, size, held = [], 0, []
    async for info in store.walk():
        if info.digest in needed or info.renewed_at > before:
            continue
        try:
            if await store.delete(info.digest, unless_renewed_after=before):
                deleted.append(info.digest)
                size += info.size
        except Refused:
            held.append(info.digest)
    return Collected(tuple(deleted), size, await store.discard_unfinished(before), tuple(held))
