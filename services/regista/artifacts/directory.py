"""Blobs in a folder of the local file system.

::

    <root>/blobs/sha256/ab/ab12…   the bytes, mode 0444; the file's time is the last upload or renewal
    <root>/guards/sha256/ab/ab12…  retention and hold as JSON, only where there is one
    <root>/unfinished/             uploads under way: temporary files, linked into place when they are complete
    <root>/blobs.lock              taken shared by renewals, exclusively by deletions and guards

A blob becomes visible by ``os.link`` after its bytes are on disk: readers never meet half of one, and of two uploads of the same
digest one wins and the other finds it. Two processes may work on one folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from regista.artifacts.blob_store import BlobInfo, PresignedUrl, blob_key, later_retention, not_found, refuse_held
from regista.artifacts.digests import CHUNK, hex_of, parse_digest
from regista.artifacts.local_files import fsync_folder, in_thread, make_folders, storage_errors
from regista.artifacts.unfinished import UnfinishedBlob
from regista.domain.errors import Damaged, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
    from datetime import timedelta

_BATCH = 4 * CHUNK


class DirectoryBlobStore:
    """A :class:`regista.artifacts.blob_store.BlobStore` below ``root``, which is made when first written to."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)
        self._unfinished = self._root / "unfinished"

    async def put_if_absent(self, digest: str, stream: AsyncIterable[bytes], size: int | None = None) -> bool:
        """See the port. Holds at most some 8 MiB of the stream at a time."""
        present = not await self.renew([digest])
        upload = UnfinishedBlob(self._root, digest, size, present=present)
        try:
            batch = bytearray()
            async for chunk in stream:
                batch += chunk
                if len(batch) >= _BATCH:
                    await in_thread(upload.write, batch)
                    batch = bytearray()
            await in_thread(upload.write, batch)
            return await in_thread(self._finish, upload, digest)
        finally:
            await in_thread(upload.close)

    async def head(self, digest: str) -> BlobInfo | None:
        """See the port."""
        return await in_thread(self._info, hex_of(digest))

    async def open(self, digest: str, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        """See the port."""
        path = self._root / blob_key(digest)
        with storage_errors():
            try:
                file = await in_thread(path.open, "rb", 0)
            except FileNotFoundError:
                raise not_found(digest) from None
        with file, storage_errors():
            position = start
            while stop is None or position < stop:
                length = CHUNK if stop is None else min(CHUNK, stop - position)
                data = await in_thread(os.pread, file.fileno(), length, position)
                if not data:
                    return
                position += len(data)
                yield data

    async def walk(self) -> AsyncIterator[BlobInfo]:
        """See the port."""
        base = self._root / "blobs" / "sha256"
        for folder in await in_thread(_children, base):
            for digits in await in_thread(_children, base / folder):
                if (info := await in_thread(self._info, digits)) is not None:
                    yield info

    async def renew(self, digests: Iterable[str]) -> set[str]:
        """See the port. One step into a thread for all of them."""
        return await in_thread(self._renew, [parse_digest(digest) for digest in digests])

    async def presign(
        self,
        digest: str,
        *,
        method: Literal["GET", "PUT"],  # noqa: ARG002 - the port's signature
        size: int | None = None,  # noqa: ARG002 - the port's signature
        lifetime: timedelta,  # noqa: ARG002 - the port's signature
    ) -> PresignedUrl | None:
        """Nothing serves the folder but the registry itself."""
        hex_of(digest)
        return None

    async def retain_until(self, digest: str, until: datetime) -> None:
        """See the port."""
        await in_thread(self._guard, digest, until, None)

    async def hold(self, digest: str, held: bool) -> None:
        """See the port."""
        await in_thread(self._guard, digest, None, held)

    async def delete(self, digest: str, *, unless_renewed_after: datetime | None = None) -> bool:
        """See the port."""
        return await in_thread(self._delete, digest, unless_renewed_after)

    async def discard_unfinished(self, before: datetime) -> int:
        """See the port."""
        return await in_thread(self._discard, before)

    def _finish(self, upload: UnfinishedBlob, digest: str) -> bool:
        created = upload.finish()
        if not created and self._renew([digest]):
            raise Unavailable(f"{digest} was deleted while it was uploaded.", hint="Upload it again.")
        return created

    def _info(self, digits: str) -> BlobInfo | None:
        digest = f"sha256:{digits}"
        with storage_errors():
            try:
                found = (self._root / blob_key(digest)).stat()
            except FileNotFoundError:
                return None
            retained, held = self._read_guard(digest)
        return BlobInfo(digest, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), retained, held)

    def _renew(self, digests: list[str]) -> set[str]:
        places = {digest: self._root / blob_key(digest) for digest in digests}
        with storage_errors():
            missing = {digest for digest, path in places.items() if not path.exists()}
            if len(missing) == len(places):
                return missing
            with self._locked(fcntl.LOCK_SH):
                for digest, path in places.items():
                    try:
                        os.utime(path, ns=(time.time_ns(),) * 2)  # the file system's own clock is coarse
                    except FileNotFoundError:
                        missing.add(digest)
        return missing

    def _delete(self, digest: str, unless_renewed_after: datetime | None) -> bool:
        path = self._root / blob_key(digest)
        if self._info(hex_of(digest)) is None:
            return False
        with storage_errors(), self._locked(fcntl.LOCK_EX):
            info = self._info(hex_of(digest))
            if info is None or (unless_renewed_after is not None and info.renewed_at > unless_renewed_after):
                return False
            refuse_held(info, datetime.now(UTC))
            path.unlink()
            fsync_folder(path.parent)
            self._guard_path(digest).unlink(missing_ok=True)
        return True

    def _guard(self, digest: str, until: datetime | None, held: bool | None) -> None:
        if self._info(hex_of(digest)) is None:
            raise not_found(digest)
        path = self._guard_path(digest)
        with storage_errors(), self._locked(fcntl.LOCK_EX):
            retained, was_held = self._read_guard(digest)
            retained = retained if until is None else later_retention(retained, until)
            document = {
                "retained_until": retained and retained.isoformat(),
                "held": was_held if held is None else held,
            }
            make_folders(path.parent, self._root)
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".guard-")
            with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, not a path
                json.dump(document, file)
                file.flush()
                os.fsync(descriptor)
            Path(name).replace(path)
            fsync_folder(path.parent)

    def _read_guard(self, digest: str) -> tuple[datetime | None, bool]:
        try:
            document = json.loads(self._guard_path(digest).read_bytes())
            retained = document["retained_until"]
            return retained and datetime.fromisoformat(retained), bool(document["held"])
        except FileNotFoundError:
            return None, False
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(f"The guard of {digest} cannot be read: {self._guard_path(digest)}.") from error

    def _guard_path(self, digest: str) -> Path:
        return self._root / blob_key(digest).replace("blobs", "guards", 1)

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        with (self._root / "blobs.lock").open("ab") as file:
            fcntl.flock(file, mode)  # released with the descriptor, by a crash too
            yield

    def _discard(self, before: datetime) -> int:
        discarded = 0
        with storage_errors():
            for name in _children(self._unfinished):
                path = self._unfinished / name
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime < before.timestamp():
                        path.unlink()
                        discarded += 1
        return discarded


def _children(folder: Path) -> list[str]:
    """Names in a folder, without the temporary ones; none where it was not made yet."""
    with storage_errors():
        try:
            return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
        except FileNotFoundError:
            return []
