"""Modules are loaded without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import in this block: what modules make stays, and no collection walks it, in the block or after it.

    With the collector on, a third of the time that ``regista up`` takes to import the server went into walking what
    had been imported before, and the full collections that came next walked it again.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
