"""Which file paths a manifest may hold, so that every system can write them and all mean the same file."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from regista.domain.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

_DRIVE = re.compile(r"[A-Za-z]:")
_PATH_LIMIT = 1024
_NAME_LIMIT = 255
# Control characters, surrogates, line and paragraph separators: none can be printed, some break terminals and logs.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check_path(path: object) -> str:
    """Return a path that is relative, in forward slashes, NFC, printable and free of ``.`` and ``..``.

    Raises ``Invalid`` (``path_invalid``). NFC because macOS and Windows would make one file out of two spellings; at most
    1,024 bytes, and 255 for each name, because file systems hold no longer ones.
    """
    fault = _fault(path)
    if fault is None and isinstance(path, str):
        return path
    raise Invalid(
        f"The path {str(path)[:200]!r} cannot be stored: {fault}.",
        code="path_invalid",
        hint="Use relative paths with forward slashes, Unicode NFC, without '..', empty or unprintable parts.",
    )


def check_paths(paths: Iterable[str]) -> None:
    """Refuse a set of paths that no folder could hold: one twice, or one that is a file and a folder."""
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            raise Invalid(f"The path {path!r} is there twice.", code="path_invalid")
        seen.add(path)
    for path in seen:
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if (folder := "/".join(parts[:depth])) in seen:
                raise Invalid(f"{folder!r} is a file and a folder at once.", code="path_invalid")


def _fault(path: object) -> str | None:
    if not isinstance(path, str):
        return "it is not text"
    if not _is_plain(path) and any(unicodedata.category(character) in _UNPRINTABLE for character in path):
        return "it holds control characters or undecodable bytes"
    if path.startswith("/") or _DRIVE.match(path):
        return "it is not relative"
    if "\\" in path:
        return "it holds a backslash"
    if not unicodedata.is_normalized("NFC", path):
        return "it is not in Unicode normal form C"
    return _part_fault(path)


def _is_plain(path: str) -> bool:
    """Whether it is printable ASCII, which nearly all paths are, and is seen without a look at each character."""
    return path.isascii() and path.isprintable()


def _part_fault(path: str) -> str | None:
    parts = path.split("/")
    if "" in parts:
        return "a part of it is empty"
    if "." in parts or ".." in parts:
        return "it holds '.' or '..'"
    if len(path.encode()) > _PATH_LIMIT or any(len(part.encode()) > _NAME_LIMIT for part in parts):
        return "it is too long"
    return None
