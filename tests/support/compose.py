"""docker-compose.yml, read by compose itself: by the plugin of docker, or by the program that came before it."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SECRETS = {"REGISTA_TOKEN": "a-token-of-this-test-alone", "POSTGRES_PASSWORD": "a-password-of-this-test"}
Service = dict[str, Any]


def why_not() -> str | None:
    """None when there is a compose that can read the file; it needs no engine for that."""
    return None if _command() else "neither docker compose nor docker-compose on the PATH"


def config(**variables: str) -> subprocess.CompletedProcess[str]:
    """What ``compose config`` makes of the file with these variables and no others, and without a ``.env``."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    if "DOCKER_CONFIG" in os.environ:  # where plugins are looked for
        environment["DOCKER_CONFIG"] = os.environ["DOCKER_CONFIG"]
    with NamedTemporaryFile(prefix="regista-", suffix=".env") as empty:
        command = [*_command(), "--env-file", empty.name, "--file", str(ROOT / "docker-compose.yml"), "config"]
        return subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
        )


def services(**variables: str) -> dict[str, Service]:
    """The services as they would be started; YAML of both programs, and their different ways to write a command."""
    answer = config(**SECRETS | variables)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Service] = yaml.safe_load(answer.stdout)["services"]
    return found


@cache
def _command() -> tuple[str, ...]:
    if shutil.which("docker") and _works("docker", "compose"):
        return ("docker", "compose")
    return ("docker-compose",) if shutil.which("docker-compose") and _works("docker-compose") else ()


def _works(*command: str) -> bool:
    return subprocess.run([*command, "version"], capture_output=True, check=False, timeout=60).returncode == 0
