"""Asking a log something small from the event loop: where it is answered in microseconds at once, else in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from regista.store.log import LogReader

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def ask(log: LogReader, question: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """The answer of ``question``, which asks ``log`` and blocks; the event loop goes on meanwhile."""
    if log.immediate:
        return question(*args, **kwargs)
    return await asyncio.to_thread(question, *args, **kwargs)
