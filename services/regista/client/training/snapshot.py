"""The script or notebook that trains, as it is now: its path and its bytes."""

from __future__ import annotations

import os
import sys
import sysconfig
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regista.artifacts.digests import digest_of
from regista.domain.errors import Invalid

LIMIT = 32 * 2**20
"""Bytes of a script or notebook. Larger ones hold data, which belongs elsewhere."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A script or notebook. ``name`` is its file's name."""

    name: str
    content: bytes

    @property
    def digest(self) -> str:
        """``sha256:…`` of the bytes."""
        return digest_of(self.content)

    def to_json(self) -> dict[str, str]:
        """For the file of a run."""
        return {"name": self.name, "content": b64encode(self.content).decode()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Snapshot:
        """What ``to_json`` gave."""
        return cls(str(document["name"]), b64decode(document["content"], validate=True))


def main_source() -> Path | None:
    """The file that runs: the notebook where there is one, else the script, else None (a shell)."""
    main = sys.modules.get("__main__")
    notebook = getattr(main, "__vsc_ipynb_file__", None) or os.environ.get("JPY_SESSION_NAME")
    for candidate in (notebook, getattr(main, "__file__", None)):
        if isinstance(candidate, str) and (path := Path(candidate).resolve()).is_file() and not _is_launcher(path):
            return path
    return None


def _is_launcher(path: Path) -> bool:
    """Whether a file belongs to the interpreter and its packages: what starts kernels, test runners, notebooks."""
    homes = (sysconfig.get_path(name) for name in ("scripts", "stdlib", "purelib", "platlib"))
    return any(path.is_relative_to(Path(home).resolve()) for home in homes if home)


def take(path: Path | None) -> Snapshot:
    """Read the file now, before somebody goes on editing it.

    Raises:
        Invalid: ``no_snapshot``: there is none to be found, it cannot be read, or it is too large.
    """
    hint = 'Name the file: regista.capture(snapshot="train.ipynb").'
    if path is None:
        raise Invalid("it cannot be told which script or notebook is running", code="no_snapshot", hint=hint)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}", code="no_snapshot", hint=hint) from error
    if len(content) > LIMIT:
        raise Invalid(
            f"{path.name} has {len(content) >> 20} MiB; a snapshot of code has {LIMIT >> 20} at most",
            code="no_snapshot",
            hint="Clear the outputs of the notebook, and save it.",
        )
    return Snapshot(path.name, content)
