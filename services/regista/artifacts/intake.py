"""Checking bytes on their way in: their digest and size, as announced."""

from __future__ import annotations

import hashlib

from regista.artifacts.digests import mismatch
from regista.domain.errors import Invalid


class Intake:
    """Take chunks in order, then :meth:`finish`, which raises unless they are what was announced."""

    def __init__(self, digest: str, size: int | None = None) -> None:
        self._digest, self._expected = digest, size
        self._hash = hashlib.sha256()
        self.size = 0

    def take(self, chunk: bytes | bytearray | memoryview) -> None:
        """Count and hash the next bytes; more of them than announced are refused at once."""
        self.size += len(chunk)
        if self._expected is not None and self.size > self._expected:
            raise self._wrong_size()
        self._hash.update(chunk)

    def finish(self) -> None:
        """Raise ``Invalid`` (``size_mismatch``, ``digest_mismatch``) unless size and digest are as announced."""
        if self._expected is not None and self.size != self._expected:
            raise self._wrong_size()
        found = "sha256:" + self._hash.hexdigest()
        if found != self._digest:
            raise mismatch(self._digest, found)

    def _wrong_size(self) -> Invalid:
        relation = "over" if self.size > (self._expected or 0) else "only"
        return Invalid(
            f"{self._expected} bytes were announced, {relation} {min(self.size, self._expected or 0)} came.",
            code="size_mismatch",
            hint="Send exactly the file whose digest is announced.",
        )
