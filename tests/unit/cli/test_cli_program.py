"""The program itself: what it loads, what it needs, how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from regista.cli.app import build

PROGRAM = "from regista.cli import main; main()"


def regista(*arguments: str, code: str = PROGRAM, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_help_loads_no_http_client_and_no_server() -> None:
    look = "import sys, atexit; atexit.register(lambda: sys.stderr.write(' '.join(sys.modules)));"
    done = regista("--help", code=look + PROGRAM)
    assert done.returncode == 0
    assert not {"httpx", "pydantic", "fastapi", "regista.client", "regista.server"} & set(done.stderr.split())
    for name in ("register", "promote", "rollback", "archive", "verify", "rebuild", "export", "import", "up", "pull"):
        assert f" {name} " in done.stdout


def test_the_release_is_told() -> None:
    release = regista("--version").stdout.strip()
    assert release == regista("version").stdout.strip()
    assert json.loads(regista("version", "--json").stdout) == {"version": release}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("promote", "fraud", "1.0.0", "--to", "staging"), "--reason"),
        (("rollback", "fraud"), "--reason"),
        (("archive", "fraud", "1.0.0"), "--reason"),
        (("retire", "fraud"), "--reason"),
        (("promote", "fraud", "1.0.0", "--reason", "r"), "--to"),
        (("show", "fraud", "--at", "yesterday"), "--at"),
        (("register", "fraud", "x", "--metric", "auc"), "--metric"),
        (("check", "fraud", "1.0.0", "bias", "maybe"), "STATUS"),
        (("lineage", "fraud/1.0.0", "--direction", "sideways"), "--direction"),
        (("nonsense",), "nonsense"),
    ],
)
def test_what_is_missing_or_cannot_be_read_is_a_usage_error(arguments: tuple[str, ...], named: str) -> None:
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 2
    assert named in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [("--url", "http://127.0.0.1:9", "ls"), ("ls", "--url", "http://127.0.0.1:9")])
def test_a_registry_that_is_not_there_is_exit_code_3(arguments: tuple[str, ...]) -> None:
    done = regista(*arguments)
    assert done.returncode == 3
    assert "unreachable" in done.stderr
    assert "regista up" in done.stderr


def test_errors_are_json_where_json_was_asked_for() -> None:
    done = regista("ls", "--json", REGISTA_URL="http://127.0.0.1:9")
    assert json.loads(done.stderr)["code"] == "unreachable"


def test_a_bad_address_is_refused_without_showing_a_token() -> None:
    done = regista("ls", "--url", "ftp://example.org", "--token", "s3cret-s3cret-s3cret")
    assert done.returncode == 2
    assert "REGISTA_URL" in done.stderr
    assert "s3cret" not in done.stderr


def test_without_the_server_its_commands_say_what_to_install(tmp_path: Path) -> None:
    block = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'fastapi', 'sqlalchemy', 'uvicorn', 'orjson', 'eventsourcing', 'fastavro'}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
    )
    for arguments in (("up",), ("verify", "--data", str(tmp_path)), ("rebuild", "--data", str(tmp_path))):
        done = regista(*arguments, code=block + PROGRAM)
        assert done.returncode == 2
        assert "pip install 'regista[server]'" in done.stderr
    assert regista("--help", code=block + PROGRAM).returncode == 0
