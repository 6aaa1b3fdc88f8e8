"""Exit codes, for scripts."""

from __future__ import annotations

from typing import Final

from regista.domain.errors import RegistaError

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3
"""Nothing answered, or what answered cannot do it now: the same command may work later."""
TARGET_FAILED: Final = 4
"""Done, and not what is served everywhere: a target failed, was overtaken by a newer change, or told nothing in time."""
_OF_USAGE: Final = frozenset({"bad_settings", "settings_invalid"})
INTERRUPTED: Final = 130
"""Ctrl+C: 128 and the number of the signal, as shells have it."""


def code_of(error: RegistaError) -> int:
    """The exit code of an error."""
    if error.code in _OF_USAGE:
        return USAGE
    return UNREACHABLE if error.status in {429, 502, 503, 504} else REFUSED
