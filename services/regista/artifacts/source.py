"""Random access to a model's files, wherever they lie: what the readers of formats, signatures and pickles work on."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Protocol

from regista.artifacts.scan import find_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _typeshed import WriteableBuffer

    from regista.artifacts.manifest import Manifest, Part

_BUFFER = 1 << 16


class Source(Protocol):
    """Files by path, and their bytes by range. Blocking."""

    @property
    def files(self) -> Mapping[str, int]:
        """Size of each file in bytes, by its path in the manifest."""
        ...

    def read(self, path: str, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from ``offset``; fewer only at the end of the file."""
        ...


class LocalSource:
    """A local file or folder, with the rules of :func:`regista.artifacts.scan.scan`."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._paths, _ = find_files(path)
        self.files: Mapping[str, int] = {name: place.stat().st_size for name, place in self._paths.items()}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """See the protocol."""
        with self._paths[path].open("rb", buffering=0) as file:
            file.seek(offset)
            return file.read(length)


class ManifestSource:
    """The files of a manifest, read through ``read_blob(digest, start, stop)``, which blocks."""

    def __init__(self, manifest: Manifest, read_blob: Callable[[str, int, int], bytes]) -> None:
        self._manifest, self._read_blob = manifest, read_blob
        self.files: Mapping[str, int] = {entry.path: entry.size for entry in manifest.files}

    def read(self, path: str, offset: int, length: int) -> bytes:
        """See the protocol."""
        entry = self._manifest.file(path)
        if entry is None:
            raise KeyError(path)
        return b"".join(
            self._read_blob(digest, start, stop)
            for digest, start, stop in blob_ranges(entry.blobs, offset, offset + length)
        )


def blob_ranges(parts: Iterable[Part], start: int, stop: int) -> Iterator[tuple[str, int, int]]:
    """Which range of which blob holds the bytes of a file from ``start`` up to but not including ``stop``."""
    position = 0
    for part in parts:
        first, last = max(start - position, 0), min(stop - position, part.size)
        if first < last:
            yield part.sha256, first, last
        position += part.size


def open_file(source: Source, path: str) -> io.BufferedReader:
    """Open one file of a source as an ordinary seekable binary file."""
    return io.BufferedReader(_RawFile(source, path), _BUFFER)


class _RawFile(io.RawIOBase):
    def __init__(self, source: Source, path: str) -> None:
        self._source, self._path, self._size, self._position = source, path, source.files[path], 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the start of the file")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        length = max(min(len(view), self._size - self._position), 0)
        data = self._source.read(self._path, self._position, length) if length else b""
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
