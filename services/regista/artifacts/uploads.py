"""The artifact store as the registry uses it: manifests and their files on top of a place for blobs.

Between upload and registration nothing is lost: whatever a caller was told is there (:meth:`ArtifactStore.missing`, an upload that
found it, a manifest, a description) has its age renewed by that answer, and only blobs that no registered manifest needs and that
nobody asked about for a day are collected.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from regista.artifacts.blob_store import not_found
from regista.artifacts.describe import Description, describe
from regista.artifacts.digests import CHUNK, digest_of, parse_digest
from regista.artifacts.manifest import FILE_TYPE, MANIFEST_LIMIT, MANIFEST_TYPE, PART_SIZE, PREFIX, FileEntry, Manifest
from regista.artifacts.source import ManifestSource, blob_ranges
from regista.domain.errors import Damaged, Invalid, NotFound, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable

    from regista.artifacts.blob_store import BlobInfo, BlobStore

ORPHAN_AGE = timedelta(days=1)
_TRUSTED_FOR = timedelta(minutes=1)
_DESCRIPTIONS = 1024
_READERS = 2


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is about to be read: its whole size in bytes, its digest, and how to stream a half-open range of it."""

    size: int
    digest: str
    media_type: str
    stream: Callable[[int, int], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was read and found to be what its digests say."""

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


class ArtifactStore:
    """Manifests and files over a :class:`regista.artifacts.blob_store.BlobStore`."""

    def __init__(
        self, blobs: BlobStore, *, part_size: int = PART_SIZE, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._blobs, self._part_size, self._now = blobs, part_size, now
        self._described: dict[str, tuple[Description, datetime]] = {}
        # Threads of their own: a reader waits for the store's threads, and would wait for itself in theirs.
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="artifact-reader")

    def close(self) -> None:
        """Let the reading threads end."""
        self._readers.shutdown(wait=False, cancel_futures=True)

    @property
    def part_size(self) -> int:
        """The size in bytes over which files are split, and so the largest blob."""
        return self._part_size

    async def put_blob(self, digest: str, stream: AsyncIterable[bytes], size: int | None = None) -> bool:
        """Store bytes under their digest; True when they are new. Errors: see ``BlobStore.put_if_absent``."""
        return await self._blobs.put_if_absent(digest, stream, size)

    async def put_manifest(self, data: bytes, *, digest: str | None = None) -> tuple[Manifest, bool]:
        """Store a manifest whose blobs are all there; with it comes whether it is new.

        Errors of :meth:`Manifest.from_bytes`; ``Refused`` (``blobs_missing``) with one reason for each blob that is not there,
        ``Invalid`` (``size_mismatch``) where one has another size than the manifest says.
        """
        manifest = Manifest.from_bytes(data, digest=digest, part_size=self._part_size)
        await self._require_blobs(manifest)
        return manifest, await self._blobs.put_if_absent(manifest.digest, _one(data), len(data))

    async def manifest(self, digest: str) -> Manifest:
        """Return a stored manifest. ``NotFound`` where there is none; a blob that is none is ``Invalid`` (``manifest_invalid``)."""
        info = await self._must(digest)
        if info.size > MANIFEST_LIMIT:
            raise Invalid(f"{digest} is not a manifest: it is too large.", code="manifest_invalid")
        data = b"".join([chunk async for chunk in self._blobs.open(digest)])
        if digest_of(data) != digest:
            raise Damaged(f"The stored manifest {digest} has other bytes than were written.", hint=_RESTORE)
        return Manifest.from_bytes(data, part_size=self._part_size)

    async def is_manifest(self, info: BlobInfo) -> bool:
        """Whether a blob begins like a manifest and is no larger than one may be."""
        if info.size > MANIFEST_LIMIT:
            return False
        head = b"".join([chunk async for chunk in self._blobs.open(info.digest, 0, len(PREFIX))])
        return head == PREFIX

    async def head(self, digest: str) -> BlobInfo | None:
        """Return what is known of a blob and renew its age, so that a caller may rely on the answer for a day."""
        return await self._blobs.head(digest) if await self._blobs.renew(digest) else None

    async def missing(self, digests: Iterable[str]) -> frozenset[str]:
        """Return those of ``digests`` that are not there: blobs that are gone, manifests that lack a blob.

        The age of everything that is there is renewed.
        """
        gone = set()
        for digest in digests:
            if not await self._blobs.renew(digest) or await self._absent(await self._layers(digest)):
                gone.add(digest)
        return frozenset(gone)

    async def open_blob(self, digest: str) -> OpenedFile:
        """Open a blob by its own digest. ``NotFound`` where there is none."""
        info = await self._must(digest)
        media_type = MANIFEST_TYPE if await self.is_manifest(info) else FILE_TYPE
        return OpenedFile(info.size, digest, media_type, lambda start, stop: self._blobs.open(digest, start, stop))

    async def open_file(self, digest: str, path: str) -> OpenedFile:
        """Open a file of a manifest by its path. ``NotFound`` for an unknown manifest, path, or a blob that is gone."""
        entry = (await self.manifest(digest)).file(path)
        if entry is None:
            raise NotFound(
                f"{digest} holds no file {path[:200]!r}.",
                code="file_not_found",
                hint=f"GET /v1/artifacts/{digest} lists its files.",
            )
        for part in entry.blobs:
            await self._must(part.sha256)
        return OpenedFile(
            entry.size, entry.sha256, entry.media_type, lambda start, stop: self._stream(entry, start, stop)
        )

    async def renew(self, digest: str) -> Manifest:
        """Return a manifest after renewing the age of it and all its blobs: to be called right before it is registered.

        ``NotFound`` where it is not stored, ``Refused`` (``blobs_missing``) where one of its blobs is not.
        """
        if not await self._blobs.renew(digest):
            raise not_found(digest)
        manifest = await self.manifest(digest)
        await self._require_blobs(manifest)
        return manifest

    async def describe(self, digest: str) -> Description:
        """Return what a manifest's files turn out to be, after renewing their age: to be called when it is registered.

        Bytes under a digest never change, so the answer is kept; for a minute even without looking whether they are still there.
        ``NotFound`` and ``Refused`` as :meth:`renew`.
        """
        known = self._described.get(digest)
        if known is not None and known[1] > self._now() - _TRUSTED_FOR:
            return known[0]
        manifest = await self.renew(digest)
        description = known[0] if known is not None else await self._read_description(manifest)
        self._described[digest] = (description, self._now())
        if len(self._described) > _DESCRIPTIONS:
            del self._described[next(iter(self._described))]
        return description

    async def _read_description(self, manifest: Manifest) -> Description:
        loop = asyncio.get_running_loop()

        def read(digest: str, start: int, stop: int) -> bytes:
            return asyncio.run_coroutine_threadsafe(self._range(digest, start, stop), loop).result()

        return await loop.run_in_executor(self._readers, describe, ManifestSource(manifest, read), manifest)

    async def _range(self, digest: str, start: int, stop: int) -> bytes:
        return b"".join([chunk async for chunk in self._blobs.open(digest, start, stop)])

    async def verify(self, digest: str) -> Verified:
        """Read and hash a blob, and where it is a manifest all of its blobs.

        ``NotFound`` where it is not stored; ``Damaged`` with a reason for each blob that is gone or has other bytes.
        """
        info = await self._must(digest)
        blobs = {digest: info.size}
        if await self.is_manifest(info) and not await self._fault(digest, info.size):
            blobs |= await self._layers(digest)
        faults = [(blob, await self._fault(blob, size)) for blob, size in blobs.items()]
        reasons = [
            Reason("blob_damaged", f"{blob} {fault}.", field=blob, hint=_RESTORE) for blob, fault in faults if fault
        ]
        if reasons:
            raise Damaged(
                f"{len(reasons)} of {len(blobs)} blobs of {digest} do not hold.", reasons=reasons, hint=_RESTORE
            )
        return Verified(digest, len(blobs), sum(blobs.values()))

    async def collect_orphans(self, referenced: set[str], *, older_than: timedelta = ORPHAN_AGE) -> Collected:
        """Delete blobs that nothing in ``referenced`` needs and that are older, and uploads that never ended.

        ``referenced`` holds the digests that the log names: manifests keep their files too. A referenced manifest that cannot be
        read stops the collection (``Damaged``, ``Invalid``) before anything is deleted.
        """
        before = self._now() - older_than
        needed = set(referenced)
        for digest in referenced:
            needed |= (await self._layers(digest)).keys()
        deleted, size, held = [], 0, []
        async for info in self._blobs.list():
            if info.digest in needed or info.renewed_at > before:
                continue
            try:
                if await self._blobs.delete(info.digest, unless_renewed_after=before):
                    deleted.append(info.digest)
                    self._described.clear()
                    size += info.size
            except Refused:
                held.append(info.digest)
        return Collected(tuple(deleted), size, await self._blobs.discard_unfinished(before), tuple(held))

    async def _layers(self, digest: str) -> dict[str, int]:
        """Return the blobs of a manifest; none for other blobs, and for digests of what lies elsewhere."""
        info = await self._blobs.head(parse_digest(digest))
        if info is None or not await self.is_manifest(info):
            return {}
        try:
            return (await self.manifest(digest)).blobs
        except Invalid:  # a file that only begins like a manifest
            return {}

    async def _require_blobs(self, manifest: Manifest) -> None:
        if missing := await self._absent(manifest.blobs):
            raise Refused(
                f"{len(missing)} of the manifest's blobs are not stored.",
                code="blobs_missing",
                hint="Upload each with POST /v1/artifacts?digest=…, then send the manifest again.",
                reasons=[
                    Reason("blob_missing", f"{part.sha256}, {part.size} bytes of {entry.path}", field=part.sha256)
                    for entry in manifest.files
                    for part in entry.blobs
                    if part.sha256 in missing
                ],
            )
        for digest, size in manifest.blobs.items():
            if (await self._must(digest)).size != size:
                raise Invalid(f"{digest} does not have the {size} bytes that the manifest says.", code="size_mismatch")

    async def _absent(self, digests: Iterable[str]) -> set[str]:
        return {digest for digest in digests if not await self._blobs.renew(digest)}

    async def _stream(self, entry: FileEntry, start: int, stop: int) -> AsyncIterator[bytes]:
        for digest, first, last in blob_ranges(entry.blobs, start, stop):
            async for chunk in self._blobs.open(digest, first, last):
                yield chunk

    async def _fault(self, digest: str, size: int) -> str | None:
        found, length = hashlib.sha256(), 0
        try:
            async for chunk in self._blobs.open(digest):
                found.update(chunk)
                length += len(chunk)
        except NotFound:
            return "is gone"
        if length != size:
            return f"has {length} bytes instead of {size}"
        return None if f"sha256:{found.hexdigest()}" == digest else f"has the digest sha256:{found.hexdigest()}"

    async def _must(self, digest: str) -> BlobInfo:
        info = await self._blobs.head(digest)
        if info is None:
            raise not_found(digest)
        return info


_RESTORE = "Restore the blob from a backup, or upload the same bytes again after removing it."


async def _one(data: bytes) -> AsyncIterator[bytes]:
    for offset in range(0, len(data), CHUNK):
        yield data[offset : offset + CHUNK]
