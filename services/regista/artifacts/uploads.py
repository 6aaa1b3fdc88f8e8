"""The artifact store as the registry uses it: manifests and their files on top of a place for blobs.

Between upload and registration nothing is lost: whatever a caller was told is there (:meth:`ArtifactStore.missing`, an upload that
found it, a manifest, a description) has its age renewed by that answer, and only blobs that no registered manifest needs and that
nobody asked about for a day are collected.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from regista.artifacts.blob_store import not_found
from regista.artifacts.describe import Description, describe
from regista.artifacts.digests import CHUNK, digest_of, parse_digest
from regista.artifacts.known import Known, KnownArtifacts
from regista.artifacts.manifest import FILE_TYPE, MANIFEST_LIMIT, MANIFEST_TYPE, PART_SIZE, PREFIX, FileEntry, Manifest
from regista.artifacts.pickles import PICKLED_FORMATS, PickleReport, scan_files
from regista.artifacts.source import ManifestSource, blob_ranges
from regista.artifacts.upkeep import RESTORE, Collected, Verified, blob_fault, collect, verify_blobs
from regista.domain.errors import Damaged, Invalid, NotFound, Reason, Refused
from regista.domain.times import Clock, utc_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterable

    from regista.artifacts.blob_store import BlobInfo, BlobStore

ORPHAN_AGE = timedelta(days=1)
TRUSTED_FOR = timedelta(seconds=5)
"""How long an artifact that was seen whole is taken to be so without another look."""

_READERS = 2


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file that is about to be read: its whole size in bytes, its digest, and how to stream a half-open range of it."""

    size: int
    digest: str
    media_type: str
    stream: Callable[[int, int], AsyncIterator[bytes]]


class ArtifactStore:
    """Manifests and files over a :class:`regista.artifacts.blob_store.BlobStore`."""

    def __init__(self, blobs: BlobStore, *, part_size: int = PART_SIZE, now: Clock = utc_now) -> None:
        self._blobs, self._part_size, self._now = blobs, part_size, now
        self._known = KnownArtifacts()
        # Threads of their own: a reader waits for the store's threads, and would wait for itself in theirs.
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="artifact-reader")
        self._scanner = ThreadPoolExecutor(1, thread_name_prefix="pickle-scanner")

    def close(self) -> None:
        """Let the reading threads end."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._scanner.shutdown(wait=False, cancel_futures=True)

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
        its digest as ``field``; ``Invalid`` (``size_mismatch``) where one has another size than the manifest says.
        """
        manifest = Manifest.from_bytes(data, digest=digest, part_size=self._part_size)
        await self._renew_blobs(manifest)
        for blob, size in manifest.blobs.items():
            if (await self._must(blob)).size != size:
                raise Invalid(f"{blob} does not have the {size} bytes that the manifest says.", code="size_mismatch")
        return manifest, await self._blobs.put_if_absent(manifest.digest, _one(data), len(data))

    async def manifest(self, digest: str) -> Manifest:
        """Return a stored manifest. ``NotFound`` where there is none; a blob that is none is ``Invalid`` (``manifest_invalid``)."""
        info = await self._must(digest)
        if info.size > MANIFEST_LIMIT:
            raise Invalid(f"{digest} is not a manifest: it is too large.", code="manifest_invalid")
        data = b"".join([chunk async for chunk in self._blobs.open(digest)])
        if digest_of(data) != digest:
            raise Damaged(f"The stored manifest {digest} has other bytes than were written.", hint=RESTORE)
        return Manifest.from_bytes(data, part_size=self._part_size)

    async def head(self, digest: str) -> BlobInfo | None:
        """Return what is known of a blob and renew its age, so that a caller may rely on the answer for a day."""
        return None if await self._blobs.renew([digest]) else await self._blobs.head(digest)

    async def missing(self, digests: Iterable[str]) -> frozenset[str]:
        """Return those of ``digests`` that are not there: blobs that are gone, manifests that lack a blob.

        The age of everything that is there is renewed.
        """
        wanted = list(digests)
        gone = await self._blobs.renew(wanted)
        for digest in wanted:
            if digest not in gone and await self._blobs.renew(await self._layers(digest)):
                gone.add(digest)
        return frozenset(gone)

    async def open_blob(self, digest: str) -> OpenedFile:
        """Open a blob by its own digest. ``NotFound`` where there is none."""
        info = await self._must(digest)
        media_type = MANIFEST_TYPE if await self._is_manifest(info) else FILE_TYPE
        return OpenedFile(info.size, digest, media_type, lambda start, stop: self._blobs.open(digest, start, stop))

    async def open_file(self, digest: str, path: str) -> OpenedFile:
        """Open a file of a manifest by its path. ``NotFound`` for an unknown manifest, path, or a blob that is gone."""
        known = self._known.get(digest)
        entry = (known.manifest if known else await self.manifest(digest)).file(path)
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
        return (await self._renewed(digest)).manifest

    async def describe(self, digest: str) -> Description:
        """Return what a manifest's files turn out to be, after :meth:`renew`; same errors. The first time, they are read."""
        known = await self._renewed(digest)
        if known.description is None:
            known.description = await self._read_description(known.manifest)
        return known.description

    async def verify(self, digest: str) -> Verified:
        """Read and hash a blob, and where it is a manifest all of its blobs.

        ``NotFound`` where it is not stored; ``Damaged`` with a reason for each blob that is gone or has other bytes.
        """
        info = await self._must(digest)
        blobs = {digest: info.size}
        if await self._is_manifest(info) and not await blob_fault(self._blobs, digest, info.size):
            blobs |= await self._layers(digest)
        return await verify_blobs(self._blobs, digest, blobs)

    async def scan_pickles(self, digest: str) -> PickleReport | None:
        """Follow the pickles in a manifest's files, without loading them; None where there are none, and for other blobs.

        ``NotFound`` and ``Refused`` as :meth:`renew`. Takes up to half a minute, and keeps no registration waiting.
        """
        if not await self._is_manifest(await self._must(digest)):
            return None
        try:
            found = await self.describe(digest)
        except Invalid:  # a file that only begins like a manifest
            return None
        paths = sorted(path for path, name in found.formats.items() if name in PICKLED_FORMATS)
        if not paths:
            return None
        source = self._source(found.manifest)
        return await asyncio.get_running_loop().run_in_executor(self._scanner, scan_files, source, paths)

    async def collect_orphans(self, referenced: set[str], *, older_than: timedelta = ORPHAN_AGE) -> Collected:
        """Delete blobs that nothing in ``referenced`` needs and that are older, and uploads that never ended.

        ``referenced`` holds the digests that the log names: manifests keep their files too. A referenced manifest that cannot be
        read stops the collection (``Damaged``) before anything is deleted.
        """
        before = self._now() - older_than
        needed = set(referenced)
        for digest in referenced:
            needed |= (await self._layers(digest)).keys()
        self._known.forget()
        return await collect(self._blobs, needed, before)

    async def _renewed(self, digest: str) -> Known:
        now = self._now()
        if (recent := self._known.seen_since(digest, now, TRUSTED_FOR)) is not None:
            return recent
        if await self._blobs.renew([digest]):
            raise not_found(digest)
        known = self._known.get(digest) or Known(await self.manifest(digest), now)
        await self._renew_blobs(known.manifest)
        known.seen_at = now
        self._known.keep(known)
        return known

    async def _renew_blobs(self, manifest: Manifest) -> None:
        missing = await self._blobs.renew(manifest.blobs)
        if missing:
            raise Refused(
                f"{len(missing)} of the manifest's blobs are not stored.",
                code="blobs_missing",
                hint="Upload each with POST /v1/artifacts?digest=…, then send the manifest again.",
                reasons=_missing_reasons(manifest, missing),
            )

    async def _layers(self, digest: str) -> dict[str, int]:
        """Return the blobs of a manifest; none for other blobs, and for digests of what lies elsewhere."""
        info = await self._blobs.head(parse_digest(digest))
        if info is None or not await self._is_manifest(info):
            return {}
        try:
            return (await self.manifest(digest)).blobs
        except Invalid:  # a file that only begins like a manifest
            return {}

    async def _is_manifest(self, info: BlobInfo) -> bool:
        return info.size <= MANIFEST_LIMIT and await self._range(info.digest, 0, len(PREFIX)) == PREFIX

    async def _read_description(self, manifest: Manifest) -> Description:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, describe, self._source(manifest), manifest)

    def _source(self, manifest: Manifest) -> ManifestSource:
        """The manifest's files, to be read in another thread than the loop's."""
        loop = asyncio.get_running_loop()

        def read(digest: str, start: int, stop: int) -> bytes:
            return asyncio.run_coroutine_threadsafe(self._range(digest, start, stop), loop).result()

        return ManifestSource(manifest, read)

    async def _range(self, digest: str, start: int, stop: int) -> bytes:
        return b"".join([chunk async for chunk in self._blobs.open(digest, start, stop)])

    async def _stream(self, entry: FileEntry, start: int, stop: int) -> AsyncIterator[bytes]:
        for digest, first, last in blob_ranges(entry.blobs, start, stop):
            async for chunk in self._blobs.open(digest, first, last):
                yield chunk

    async def _must(self, digest: str) -> BlobInfo:
        info = await self._blobs.head(digest)
        if info is None:
            raise not_found(digest)
        return info


def _missing_reasons(manifest: Manifest, missing: Collection[str]) -> list[Reason]:
    return [
        Reason("blob_missing", f"{part.sha256}, {part.size} bytes of {entry.path}", field=part.sha256)
        for entry in manifest.files
        for part in entry.blobs
        if part.sha256 in missing
    ]


async def _one(data: bytes) -> AsyncIterator[bytes]:
    for offset in range(0, len(data), CHUNK):
        yield data[offset : offset + CHUNK]
