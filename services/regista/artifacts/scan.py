"""Reading a local file or folder into a manifest, and remembering where each file lies."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from regista.artifacts.digests import read_chunks
from regista.artifacts.manifest import PART_SIZE, FileEntry, Manifest, Part
from regista.artifacts.paths import check_path
from regista.domain.errors import Invalid, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Scan:
    """A manifest, where each of its files lies, and the folders left out because they hold no file."""

    manifest: Manifest
    sources: Mapping[str, Path]
    empty_folders: tuple[str, ...] = ()


def scan(path: str | os.PathLike[str], *, part_size: int = PART_SIZE) -> Scan:
    """Read and hash a file, or every file below a folder, hidden ones too.

    Symbolic links are followed inside the folder. Refused with ``Invalid``, never skipped: links that lead out or in a circle
    (``link_refused``), sockets, pipes and devices (``file_refused``), paths that not every system can hold (``path_invalid``),
    files that change while they are read (``file_changed``). Folders without any file have no bytes and so no place in the
    identity; they are named in ``empty_folders``. ``NotFound`` when nothing is there.
    """
    sources, empty = find_files(path)
    manifest = Manifest(tuple(_read(name, source, part_size) for name, source in sorted(sources.items())))
    return Scan(manifest, sources, empty)


def find_files(path: str | os.PathLike[str]) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Files below a path by their path in the manifest, unread, and the folders that hold none; raises as :func:`scan`."""
    root = Path(path)
    try:
        real = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links before Python 3.13
        raise NotFound(f"There is nothing to read at {os.fspath(root)!r}.", code="path_not_found") from error
    if not real.is_dir():
        return {root.name or real.name: real}, ()
    empty: list[str] = []
    return dict(_walk(real, real, "", (real,), empty)), tuple(sorted(empty))


def _walk(
    root: Path, folder: Path, prefix: str, trail: tuple[Path, ...], empty: list[str]
) -> Iterator[tuple[str, Path]]:
    """Yield (path in the manifest, real path); ``trail`` holds the real folders entered, to see a circle."""
    children = sorted(folder.iterdir())
    if not children:
        empty.append(prefix.rstrip("/"))
    for child in children:
        real = _resolve(root, child)
        if not real.is_dir():
            yield prefix + child.name, real
        elif real in trail:
            raise Invalid(f"The link {os.fspath(child)!r} leads in a circle.", code="link_refused")
        else:
            yield from _walk(root, real, f"{prefix}{child.name}/", (*trail, real), empty)


def _resolve(root: Path, child: Path) -> Path:
    if not child.is_symlink():
        return child
    try:
        real = child.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise Invalid(f"The link {os.fspath(child)!r} leads nowhere.", code="link_refused") from error
    if not real.is_relative_to(root):
        raise Invalid(
            f"The link {os.fspath(child)!r} leads out of the folder.",
            code="link_refused",
            hint="Copy the folder with its links resolved (cp -rL), and use the copy.",
        )
    return real


def _read(name: str, path: Path, part_size: int) -> FileEntry:
    # Asked before it is opened: opening a pipe would wait until somebody writes.
    if not stat.S_ISREG(path.stat().st_mode):
        raise Invalid(
            f"{os.fspath(path)!r} is a pipe, a socket or a device.",
            code="file_refused",
            hint="Take it out of the folder.",
        )
    check_path(name)
    with path.open("rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        entry = _hash(name, file, before.st_size, part_size)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or entry.size != before.st_size:
        raise Invalid(
            f"{os.fspath(path)!r} changed while it was read.",
            code="file_changed",
            hint="Register a model after it has been written completely.",
        )
    return entry


def _hash(name: str, file: BinaryIO, size: int, part_size: int) -> FileEntry:
    whole = hashlib.sha256()
    parts: list[Part] = []
    while True:
        part, length = hashlib.sha256(), 0
        for chunk in read_chunks(file, part_size):
            part.update(chunk)
            length += len(chunk)
            if size > part_size:
                whole.update(chunk)
        if length or not parts:
            parts.append(Part(length, "sha256:" + part.hexdigest()))
        if length < part_size:
            break
    if len(parts) == 1:
        return FileEntry(name, parts[0].size, parts[0].sha256)
    return FileEntry(name, sum(part.size for part in parts), "sha256:" + whole.hexdigest(), parts=tuple(parts))
