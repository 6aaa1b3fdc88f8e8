"""Digests as the project writes them everywhere: ``sha256:`` and 64 lower-case hexadecimal digits.

The form is that of OCI content descriptors (image-spec 1.1, descriptor.md, "Digests").
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, BinaryIO

from regista.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 20
"""Bytes read, hashed or written at once: large enough for full speed, small enough to hold many at a time."""

_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def is_digest(text: object) -> bool:
    """Whether ``text`` is a digest in the one form that is used."""
    return isinstance(text, str) and _FORM.fullmatch(text) is not None


def parse_digest(text: object) -> str:
    """Return ``text`` unchanged when it is a digest, else raise ``Invalid`` (``digest_malformed``)."""
    if isinstance(text, str) and _FORM.fullmatch(text):
        return text
    raise Invalid(
        f"{str(text)[:100]!r} is not a digest.",
        code="digest_malformed",
        hint="Write sha256: and 64 lower-case hexadecimal digits.",
    )


def hex_of(digest: str) -> str:
    """Return the 64 hexadecimal digits of a digest."""
    return parse_digest(digest).removeprefix("sha256:")


def digest_of(data: bytes | bytearray | memoryview) -> str:
    """Digest of bytes in memory."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def mismatch(expected: str, found: str) -> Invalid:
    """Return the error for bytes that are not what their digest says."""
    return Invalid(
        f"The bytes have the digest {found}, not the announced {expected}.",
        code="digest_mismatch",
        hint="Compute the digest of the very bytes that are sent, and send them again.",
    )


def read_chunks(file: BinaryIO, size: int, chunk: int = CHUNK) -> Iterator[bytes]:
    """Yield the next ``size`` bytes of ``file`` in chunks; ends early where the file does."""
    while size > 0 and (data := file.read(min(size, chunk))):
        size -= len(data)
        yield data


def digest_file(path: str | os.PathLike[str]) -> str:
    """Digest of a whole file, read in chunks."""
    with open(path, "rb") as file:  # noqa: PTH123 - any path-like, strings too
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
