"""Why nothing moves, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from regista.domain.errors import RegistaError


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong, in words for people. Without a hint there is nothing that they could do."""

    detail: str
    hint: str | None = None

    @classmethod
    def of(cls, error: Exception) -> Trouble:
        """What an exception says; of a defect its kind, too."""
        if isinstance(error, RegistaError):
            return cls(error.detail, error.hint)
        return cls(f"{type(error).__name__}: {error}")
