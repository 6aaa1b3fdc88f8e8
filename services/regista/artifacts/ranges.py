"""The ``Range`` header for single ranges of bytes (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from regista.domain.errors import RegistaError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SINGLE = re.compile(r"bytes=[ \t]*(\d{0,20})-(\d{0,20})[ \t]*", re.IGNORECASE)


class RangeUnsatisfiable(RegistaError):
    """A range beyond the end of the file; ``headers`` name its size, as RFC 9110 asks for in such an answer."""

    status = 416
    default_code = "range_unsatisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(
            f"The range lies beyond the {size} bytes of the file.", hint="Ask for a range within its size."
        )
        self.headers: Mapping[str, str] = {"Content-Range": f"bytes */{size}"}


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the half-open range that is asked for, cut off at the end; None where the whole is to be sent.

    As the RFC lets a server do, several ranges, other units and malformed headers are answered with the whole.
    """
    found = _SINGLE.fullmatch(header or "")
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = int(found[2])
        if length == 0 or size == 0:
            raise RangeUnsatisfiable(size)
        return max(0, size - length), size
    start, stop = int(found[1]), int(found[2]) + 1 if found[2] else size
    if stop <= start and found[2]:
        return None
    if start >= size:
        raise RangeUnsatisfiable(size)
    return start, min(stop, size)
