"""The command line as tests use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from regista.cli.app import build


class Regista:
    """Runs commands in this process, on the registry of the test."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        environment = {"REGISTA_URL": self.url, "REGISTA_ACTOR": "tester"}
        return CliRunner().invoke(build(), [str(argument) for argument in arguments], env=environment, input=stdin)

    def __call__(self, *arguments: str | Path, code: int = 0, stdin: str | None = None) -> str:
        """What it prints."""
        done = self.run(*arguments, stdin=stdin)
        assert done.exit_code == code, done.output
        return done.stdout

    def json(self, *arguments: str | Path, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code))

    def refused(self, *arguments: str | Path, code: int = 1) -> str:
        """Why it does not."""
        done = self.run(*arguments)
        assert done.exit_code == code, done.output
        assert done.stdout == ""
        return done.stderr
