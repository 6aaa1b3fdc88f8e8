"""Writing a file that is either complete or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from regista.domain.errors import Invalid


@contextmanager
def beside(place: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file in the folder of ``place``, which is gone afterwards unless ``finish`` moved it.

    Raises:
        Invalid: ``cannot_write``.
    """
    temporary = place.with_name(f".{place.name[:200]}.{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            yield temporary, file
    except OSError as error:
        raise Invalid(f"{place} cannot be written: {error.strerror}", code="cannot_write") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def finish(file: BinaryIO, temporary: Path, place: Path) -> None:
    """Make the bytes durable, and move them to their place: whoever looks there sees all of them."""
    file.flush()
    os.fsync(file.fileno())
    temporary.replace(place)
