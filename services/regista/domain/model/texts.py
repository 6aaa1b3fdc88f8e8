"""Which texts of a model's commands are looked at, and which have rules of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from regista.domain import commands as c
from regista.domain import texts
from regista.domain.errors import Reason

_JUDGED_ELSEWHERE: Final = frozenset(
    {"model", "alias", "check", "ref", "to", "stage", "version", "base", "expect_current", "artifact.files"}
)
"""Names and references, which have rules of their own, and the paths of files, which the artifact store judges."""


def check_texts(command: c.Command, reason: str | None) -> None:
    """Check every text of a command, and the reason given for it.

    Raises:
        Invalid: ``invalid_text``.
    """
    texts.check_texts(command, reason, _JUDGED_ELSEWHERE)


def text_problems(command: c.Command, reason: str | None) -> Iterator[Reason]:
    """A reason for every text that may not stand in an event."""
    return texts.text_problems(command, reason, _JUDGED_ELSEWHERE)
