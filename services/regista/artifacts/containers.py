"""Opening what model files are wrapped in: compressed streams and ZIP archives, with limits against bombs."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed import WriteableBuffer

UNPACKED_LIMIT = 64 << 20
"""Bytes that are unpacked of one file to tell its format: what it is stands at its beginning."""

_RATIO, _FREE = 64, 1 << 20
"""Bytes that are unpacked for each packed one, beside those that any file may have; model files reach a ratio of 10."""

DIRECTORY_LIMIT = 32 << 20
"""Bytes of a ZIP archive's directory, which is read into memory whole."""

_ZIP, _ZIP_END, _ZIP64_END = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06"
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_UNKNOWN_SIZE = 0xFFFFFFFF


class Unreadable(Exception):
    """The container is broken, or larger than is unpacked."""


class UnpackedEnough(Unreadable):
    """The container goes on after all that may be unpacked of it."""


def compression(head: bytes) -> str | None:
    """Name the compression that a file begins with: one of those that joblib writes, or None."""
    for name, magics in (("gzip", (b"\x1f\x8b",)), ("bz2", (b"BZh",)), ("xz", (b"\xfd7zXZ\x00",)), ("zlib", _ZLIB)):
        if head.startswith(magics):
            return name
    return "lzma" if head[:1] == b"\x5d" and head[5:13] == b"\xff" * 8 else None


def allowance(size: int) -> int:
    """How many bytes may be unpacked of so many packed ones, so that the work is in proportion to what was uploaded."""
    return _FREE + _RATIO * size


def decompressed(file: io.BufferedReader, limit: int | None = None) -> io.BufferedReader:
    """Return a file that reads the unpacked bytes from the start, or the file itself where it is not packed.

    Reading beyond ``limit``, or beyond the :func:`allowance` of the file, raises ``UnpackedEnough``.
    """
    allowed = allowance(file.seek(0, io.SEEK_END))
    if limit is not None:
        allowed = min(limit, allowed)
    file.seek(0)
    name = compression(file.read(16))
    file.seek(0)
    if name is None:
        return file
    if name == "zlib":
        return bounded(_ZlibFile(file), allowed)
    if name == "gzip":
        return bounded(gzip.GzipFile(fileobj=file), allowed)
    return bounded(bz2.BZ2File(file) if name == "bz2" else lzma.LZMAFile(file), allowed)


def bounded(file: io.RawIOBase | io.BufferedIOBase, limit: int) -> io.BufferedReader:
    """Return a file that reads the same bytes, forwards only; ``UnpackedEnough`` beyond the limit, ``Unreadable`` where broken."""
    return io.BufferedReader(_Bounded(file, limit))


@contextmanager
def open_zip(file: BinaryIO) -> Iterator[zipfile.ZipFile | None]:
    """Open a ZIP archive for reading; None where the file does not begin like one. ``Unreadable`` where it is broken."""
    file.seek(0)
    if file.read(4) != _ZIP:
        file.seek(0)
        yield None
        return
    if _directory_size(file) > DIRECTORY_LIMIT:
        raise Unreadable("the archive's directory is too large")
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, OSError, struct.error) as error:
        raise Unreadable("the archive is broken") from error
    with archive:
        yield archive


def _directory_size(file: BinaryIO) -> int:
    """Size of the central directory as its end record says (APPNOTE.TXT 4.3.16 and 4.3.14)."""
    length = file.seek(0, io.SEEK_END)
    file.seek(max(0, length - (1 << 16) - 100))
    tail = file.read()
    end = tail.rfind(_ZIP_END)
    if end < 0 or end + 22 > len(tail):
        raise Unreadable("the archive has no end record")
    (size,) = struct.unpack_from("<I", tail, end + 12)
    wide = tail.rfind(_ZIP64_END, 0, end)
    if size == _UNKNOWN_SIZE and 0 <= wide <= len(tail) - 56:
        (size,) = struct.unpack_from("<Q", tail, wide + 40)
    return int(size)


class _ZlibFile(io.RawIOBase):
    """A zlib stream without gzip's header, as joblib writes by default."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._inflate = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        while view and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._file.read(1 << 16)
            data = self._inflate.decompress(packed, len(view))
            if data:
                view[: len(data)] = data
                return len(data)
            if not packed:
                raise EOFError("the compressed stream is cut off")
        return 0


class _Bounded(io.RawIOBase):
    """Forward reading of an unpacked stream, up to the limit; jumps ahead are read over."""

    def __init__(self, file: io.RawIOBase | io.BufferedIOBase, limit: int) -> None:
        self._file, self._limit, self._position = file, limit, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        target = offset + (self._position if whence == io.SEEK_CUR else 0)
        if whence == io.SEEK_END or target < self._position:
            raise Unreadable("a packed stream is read forwards only")
        scratch = bytearray(1 << 16)
        while self._position < target:
            if not self.readinto(memoryview(scratch)[: min(len(scratch), target - self._position)]):
                break
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self._file.readinto(buffer) or 0
        except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
            raise Unreadable(str(error)) from error
        self._position += count
        if self._position > self._limit:
            raise UnpackedEnough("it unpacks to more than is followed")
        return count
