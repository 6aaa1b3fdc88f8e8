"""Parts of the server, used where they are installed: to serve, and to work on a data directory without a server."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from regista.cli.exits import USAGE
from regista.cli.loading import loading

_HINT = (
    "This needs the server's packages, which are not installed. Install them with:\n\n  pip install 'regista[server]'\n"
)


def server_part(name: str) -> ModuleType:
    """A module of the server; where its packages are missing, the program ends with what to install (exit code 2)."""
    try:
        with loading():
            return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "regista":
            raise
        sys.stderr.write(f"{_HINT}\n({error})\n")
        raise typer.Exit(USAGE) from None


def offline_settings(data: Path | None, database: str | None) -> Any:  # noqa: ANN401 - of the server, if installed
    """The settings of a log to work on without its registry; None where neither is named and a registry is asked.

    What is named counts alone: with a directory, ``REGISTA_DATABASE`` says nothing.
    """
    if data is None and database is None:
        return None
    given: dict[str, object] = {"data": data, "database": database}
    if database is None:
        given |= {"database": "", "views": ""}
    return server_part("regista.settings").load(**given)
