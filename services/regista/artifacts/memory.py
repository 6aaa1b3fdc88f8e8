"""Blobs in memory: for tests and for trying things out. Same rules as every other store, nothing durable."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from regista.artifacts.blob_store import BlobInfo, PresignedUrl, later_retention, not_found, refuse_held
from regista.artifacts.digests import CHUNK, parse_digest
from regista.artifacts.intake import Intake
from regista.domain.times import Clock, utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable
    from datetime import timedelta


class MemoryBlobStore:
    """A :class:`regista.artifacts.blob_store.BlobStore` in a dictionary."""

    def __init__(self, now: Clock = utc_now) -> None:
        self._now = now
        self._data: dict[str, bytes] = {}
        self._info: dict[str, BlobInfo] = {}

    async def put_if_absent(self, digest: str, stream: AsyncIterable[bytes], size: int | None = None) -> bool:
        """See the port."""
        intake, data = Intake(parse_digest(digest), size), bytearray()
        async for chunk in stream:
            intake.take(chunk)
            data += chunk
        intake.finish()
        if self._renew(digest):
            return False
        self._data[digest] = bytes(data)
        self._info[digest] = BlobInfo(digest, len(data), self._now())
        return True

    async def head(self, digest: str) -> BlobInfo | None:
        """See the port."""
        return self._info.get(parse_digest(digest))

    async def open(self, digest: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        data = self._data.get(parse_digest(digest))
        if data is None:
            raise not_found(digest)
        view = memoryview(data)[start:stop]
        for offset in range(0, len(view), CHUNK):
            yield bytes(view[offset : offset + CHUNK])

    async def walk(self) -> AsyncIterator[BlobInfo]:
        """See the port."""
        for info in tuple(self._info.values()):
            yield info

    async def renew(self, digests: Iterable[str]) -> set[str]:
        """See the port."""
        return {digest for digest in digests if not self._renew(parse_digest(digest))}

    async def presign(
        self,
        digest: str,
        *,
        method: Literal["GET", "PUT"],  # noqa: ARG002 - the port's signature
        size: int | None = None,  # noqa: ARG002 - the port's signature
        lifetime: timedelta,  # noqa: ARG002 - the port's signature
    ) -> PresignedUrl | None:
        """There is no storage behind that would answer."""
        parse_digest(digest)
        return None

    async def retain_until(self, digest: str, until: datetime) -> None:
        """See the port."""
        info = self._must(digest)
        self._info[digest] = replace(info, retained_until=later_retention(info.retained_until, until))

    async def hold(self, digest: str, held: bool) -> None:
        """See the port."""
        self._info[digest] = replace(self._must(digest), held=held)

    async def delete(self, digest: str, *, unless_renewed_after: datetime | None = None) -> bool:
        """See the port."""
        info = self._info.get(parse_digest(digest))
        if info is None or (unless_renewed_after is not None and info.renewed_at > unless_renewed_after):
            return False
        refuse_held(info, self._now())
        del self._info[digest], self._data[digest]
        return True

    async def discard_unfinished(self, before: datetime) -> int:  # noqa: ARG002 - the port's signature
        """Nothing unfinished outlives its call here."""
        return 0

    def _renew(self, digest: str) -> bool:
        info = self._info.get(digest)
        if info is not None:
            self._info[digest] = replace(info, renewed_at=self._now())
        return info is not None

    def _must(self, digest: str) -> BlobInfo:
        info = self._info.get(parse_digest(digest))
        if info is None:
            raise not_found(digest)
        return info
