"""Files that are either as they were or as they are to be, also after a power cut."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from regista.artifacts.local_files import fsync_folder, make_folders

_PART = ".part"
SECTOR = 512
"""Bytes that a disk writes as a whole or not at all."""
_sync = getattr(os, "fdatasync", os.fsync)  # not everywhere


def replace(place: Path, content: bytes, root: Path) -> None:
    """Put a file at its place at once, durably. Folders below ``root`` are made."""
    make_folders(place.parent, root)
    temporary = place.with_name(f".{place.name}{_PART}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(place)
    fsync_folder(place.parent)


def overwrite(place: Path, content: bytes, root: Path) -> None:
    """Put a file of no more than a sector at its place at once, durably, filled up with blanks.

    Over one that was put there so it costs one write to the disk: neither its length nor its name changes.
    """
    whole = content.ljust(SECTOR)
    if len(whole) > SECTOR:
        raise ValueError(f"{len(content)} bytes are more than a sector")
    try:
        file = os.open(place, os.O_WRONLY)
    except FileNotFoundError:
        replace(place, whole, root)
        return
    try:
        if os.fstat(file).st_size == SECTOR and os.pwrite(file, whole, 0) == SECTOR:
            _sync(file)
            return
    finally:
        os.close(file)
    replace(place, whole, root)


def remove(place: Path) -> None:
    """Take a file or a link away, durably."""
    with suppress(FileNotFoundError):
        place.unlink()
        fsync_folder(place.parent)


def point(link: Path, folder: Path, root: Path) -> None:
    """Make ``link`` lead to a folder at once, durably: all files below it change together."""
    make_folders(link.parent, root)
    temporary = link.with_name(f".{link.name}{_PART}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(os.path.relpath(folder, link.parent), target_is_directory=True)
    temporary.replace(link)
    fsync_folder(link.parent)


def discard(folder: Path) -> None:
    """Take a folder away with everything in it, if it is there."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)


@contextmanager
def locked(place: Path, root: Path) -> Iterator[None]:
    """Alone among all processes that lock the same file; the lock ends with the process."""
    make_folders(place.parent, root)
    with place.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
