"""The targets set up what they need from a bare Python, and once it is there they start at once."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = {
    "up",
    "up-kafka",
    "test",
    "compose-test",
    "demo",
    "demo-kafka",
    "demo-deploy",
    "check",
    "format",
    "bench",
    "soak",
    "lock",
    "build",
    "newcomer",
    "clean",
}

pytestmark = pytest.mark.engine("make")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what make looks at, and nothing installed."""
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


def install(checkout: Path) -> None:
    """Stand in for an installation: the interpreter, and the stamps that are written last."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/python", ".server", ".dev", ".lock"):
        (checkout / ".venv" / name).touch()


def make(checkout: Path, *arguments: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(checkout)}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_make_alone_lists_every_target(checkout: Path) -> None:
    listed = re.findall(r"^make ([a-z-]+) +\S", make(checkout).stdout, re.MULTILINE)
    assert set(listed) == TARGETS | {"help"}


@pytest.mark.parametrize(
    "target",
    [
        "up",
        "up-kafka",
        "test",
        "compose-test",
        "demo",
        "demo-kafka",
        "demo-deploy",
        "check",
        "format",
        "bench",
        "soak",
        "build",
    ],
)
def test_a_bare_python_gets_pinned_packages_with_hashes_before_anything_runs(checkout: Path, target: str) -> None:
    lines = make(checkout, "-n", target).stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if "-m pip" in line)
    assert any("-m venv" in line for line in lines[:first])
    assert "--require-hashes -r requirements/" in lines[first]
    assert "--no-deps --no-build-isolation --editable ." in lines[first + 1]
    assert len(lines) > first + 3


def test_the_server_alone_is_installed_to_start_it(checkout: Path) -> None:
    answer = make(checkout, "-n", "up").stdout
    assert "requirements/server.txt" in answer
    assert "requirements/dev.txt" not in answer


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_second_run_installs_nothing(checkout: Path, target: str) -> None:
    install(checkout)
    answer = make(checkout, "-n", target)
    assert answer.returncode == 0
    assert "-m pip" not in answer.stdout


@pytest.mark.parametrize("changed", ["requirements/dev.txt", "pyproject.toml"])
def test_changed_requirements_are_installed_again(checkout: Path, changed: str) -> None:
    install(checkout)
    later = (checkout / ".venv" / ".dev").stat().st_mtime + 1
    os.utime(checkout / changed, (later, later))
    assert "requirements/dev.txt" in make(checkout, "-n", "test").stdout


def test_an_unsupported_python_is_refused_with_the_way_out(checkout: Path) -> None:
    old = checkout / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    answer = make(checkout, f"PYTHON={old}", "up")
    assert answer.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13: make PYTHON=" in answer.stderr
