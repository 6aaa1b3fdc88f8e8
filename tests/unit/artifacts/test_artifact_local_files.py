"""File work in threads: nobody closes what a thread still uses, and the system's refusals say what to do."""

from __future__ import annotations

import asyncio
import errno
import threading
from typing import TYPE_CHECKING

import pytest

from regista.artifacts.local_files import fsync_folder, in_thread, make_folders, storage_errors
from regista.domain.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_cancelled_caller_waits_until_the_thread_has_let_go() -> None:
    started, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(started.set)
        go_on.wait(10)
        ended.set()

    caller = asyncio.create_task(in_thread(work))
    await started.wait()
    caller.cancel()
    loop.call_later(0.05, go_on.set)
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()


async def test_what_the_thread_raises_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "writable"), (errno.EACCES, "write to the folder")],
)
def test_the_refusals_of_the_system_say_what_to_do(number: int, hint: str) -> None:
    with pytest.raises(Unavailable) as refusal, storage_errors():
        raise OSError(number, "said by the system")
    assert refusal.value.code == "storage_unavailable"
    assert hint in (refusal.value.hint or "")


def test_folders_are_made_down_to_the_last(tmp_path: Path) -> None:
    root = tmp_path / "new" / "root"
    make_folders(root / "a" / "b", root)
    make_folders(root / "a" / "b", root)
    assert (root / "a" / "b").is_dir()
    fsync_folder(root)
