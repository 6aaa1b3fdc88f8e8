"""The port to where blobs lie: bytes under their own digest, written once, never replaced.

Every implementation passes tests/contract/test_blob_store.py. Keys are ``blobs/sha256/<first two digits>/<64 digits>``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from regista.artifacts.digests import hex_of
from regista.domain.errors import NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
    from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One stored blob: size in bytes, when it was last uploaded or renewed (UTC), and what keeps it from deletion."""

    digest: str
    size: int
    renewed_at: datetime
    retained_until: datetime | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """A request that may be sent straight to the storage behind the store, without the registry's token."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


class BlobStore(Protocol):
    """Content-addressed storage. Trouble of the storage itself is ``Unavailable`` (``storage_unavailable``)."""

    async def put_if_absent(self, digest: str, stream: AsyncIterable[bytes], size: int | None = None) -> bool:
        """Store the stream's bytes; True when they are new, False when they were there already (and are renewed now).

        On return they are durable. ``Invalid`` (``digest_mismatch``, ``size_mismatch``) when they are others than announced,
        present already or not: nothing is stored then. A stream that raises leaves nothing behind either.
        """
        ...

    async def head(self, digest: str) -> BlobInfo | None:
        """Return what is known of a blob, or None where there is none."""
        ...

    def open(self, digest: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """Stream the bytes from ``start`` up to but not including ``stop``, cut off at the blob's end.

        ``NotFound`` (``artifact_not_found``) comes with the first chunk.
        """
        ...

    def walk(self) -> AsyncIterator[BlobInfo]:
        """Every blob, in no order. One added or deleted meanwhile may appear or not."""
        ...

    async def renew(self, digests: Iterable[str]) -> set[str]:
        """Set ``renewed_at`` to now; the answer is those of which there is no blob."""
        ...

    async def presign(
        self, digest: str, *, method: Literal["GET", "PUT"], size: int | None = None, lifetime: timedelta
    ) -> PresignedUrl | None:
        """Return a request that reads this blob, or uploads it and nothing else; None where the storage has none such."""
        ...

    async def retain_until(self, digest: str, until: datetime) -> None:
        """Forbid deletion before ``until``. A later date replaces an earlier one, never the other way (``Refused``)."""
        ...

    async def hold(self, digest: str, held: bool) -> None:
        """Forbid deletion until the hold is taken away."""
        ...

    async def delete(self, digest: str, *, unless_renewed_after: datetime | None = None) -> bool:
        """Delete a blob; False where there is none, or where it was renewed after the time named.

        ``Refused`` (``artifact_held``) while it is held or retained. A renewal at the same moment wins or comes too late and
        then says so (:meth:`renew` names it, :meth:`put_if_absent` stores anew): a blob is never lost behind a "yes".
        """
        ...

    async def discard_unfinished(self, before: datetime) -> int:
        """Remove what uploads begun before that time and never ended have left; how many."""
        ...


def blob_key(digest: str) -> str:
    """Where a blob lies, the same in every driver."""
    digits = hex_of(digest)
    return f"blobs/sha256/{digits[:2]}/{digits}"


def not_found(digest: str) -> NotFound:
    """Return the error for a blob that is not there."""
    return NotFound(
        f"The artifact store holds nothing under {digest}.",
        code="artifact_not_found",
        hint="Upload it with POST /v1/artifacts, or check the digest.",
    )


def refuse_held(info: BlobInfo, now: datetime) -> None:
    """Raise ``Refused`` (``artifact_held``) when a blob must not be deleted now."""
    if info.held:
        raise Refused(f"{info.digest} is under a hold.", code="artifact_held", hint="Release every hold on it first.")
    if info.retained_until is not None and info.retained_until > now:
        raise Refused(
            f"{info.digest} is retained until {info.retained_until.isoformat()}.",
            code="artifact_held",
            hint="Wait until then: a retention is never shortened.",
        )


def later_retention(present: datetime | None, wished: datetime) -> datetime:
    """Return ``wished`` where it does not shorten a retention, else raise ``Refused`` (``artifact_held``)."""
    if wished.tzinfo is None:
        raise ValueError("a retention needs a time zone")
    if present is not None and wished < present:
        raise Refused(
            f"It is retained until {present.isoformat()} already; a retention is never shortened.",
            code="artifact_held",
        )
    return wished
