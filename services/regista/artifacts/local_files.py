"""File work that asynchronous code can await, and what its failures mean to a caller."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from regista.domain.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

_HINTS = {
    errno.ENOSPC: "Free some space on the volume; nothing of this upload was kept.",
    errno.EDQUOT: "Raise the quota; nothing of this upload was kept.",
    errno.EFBIG: "Raise the limit on file sizes; nothing of this upload was kept.",
    errno.EROFS: "Mount the volume writable.",
    errno.EACCES: "Let the user that runs the registry write to the folder.",
    errno.EPERM: "Let the user that runs the registry write to the folder.",
}


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Await ``work`` in a thread; when cancelled, only after the thread has let go of what it was given."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turn the operating system's refusals into ``Unavailable`` (``storage_unavailable``) that say what to do."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"The artifact store cannot be used: {os.strerror(error.errno) if error.errno else error}.",
            code="storage_unavailable",
            hint=_HINTS.get(error.errno or 0, "Look at the volume under the artifact folder, and at the system's log."),
            retry_after=30.0,
        ) from error


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2): a file's own fsync does not cover its directory entry)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folders(folder: Path, root: Path) -> None:
    """Make ``folder`` and its parents, durably up to the parent of ``root``."""
    if folder.is_dir():
        return
    if folder != root:
        make_folders(folder.parent, root)
        folder.mkdir(exist_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
    fsync_folder(folder.parent)
