"""A crash at every step that a piece of work takes on the disk: from one step on nothing more happens there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STEPS = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.truncate"})


class PowerCut(BaseException):
    """Not an error that anything handles."""


@dataclass
class _Cut:
    root: str
    left: int
    steps: int = 0


_state: list[_Cut] = []
_hooked: list[bool] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _state or not (event in _STEPS or (event == "open" and _writes(args))):
        return
    cut = _state[0]
    if not any(isinstance(arg, str | bytes | Path) and cut.root in str(arg) for arg in args):
        return
    cut.steps += 1
    if cut.steps > cut.left:
        raise PowerCut


def _writes(args: tuple[Any, ...]) -> bool:
    mode = args[1]
    return isinstance(mode, str) and bool(set(mode) & set("wax+"))


@contextmanager
def cut_after(steps: int, root: Path) -> Iterator[None]:
    """Let so many changes below ``root`` happen, then none, and end with whether the work came to its end.

    Audit hooks cannot be taken off again: one is put on, and sleeps.
    """
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    _state.append(_Cut(str(root), steps))
    try:
        yield
    finally:
        _state.clear()
