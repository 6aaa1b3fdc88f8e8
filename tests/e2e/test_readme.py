"""The README is true: its commands are run word for word, and print what it shows.

``make newcomer`` does the same from a fresh clone; here the environment that runs the tests stands in for the one that
``make up`` would install, and a free port for 8080.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server import RunningServer, running_server

import regista
from regista.server import greeting
from regista.settings import Settings
from walkthrough import Reader, steps

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STEPS = list(steps(README))

pytestmark = pytest.mark.engine("git")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=reader", "-c", "user.email=reader@example.org"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The checkout as it is now, committed, and with its environment installed already."""
    folder = tmp_path / "regista"
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it is now")
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.prefix, "bin"))
    for stamp in (".server", ".dev"):
        (environment / stamp).touch()
    return folder


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "data") as running:
        yield running


def environment(home: Path, **more: str) -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": programs, "HOME": str(home), **more}


def test_the_readme_opens_with_the_commands_that_start_and_test() -> None:
    assert [step.command for step in STEPS][:2] == ["make up", "make test"]


@pytest.mark.engine("make")
def test_every_command_of_the_readme_does_what_it_shows(checkout: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    # Not the programs of the tests: the README activates what it installed.
    bare = environment(tmp_path, PATH=os.environ["PATH"], REGISTA_PORT=port, REGISTA_URL=url)
    with Reader(checkout, bare, url=url, rewrite=lambda text: text.replace(port, "8080")) as reader:
        for step in STEPS:
            reader.follow(step)


def test_the_program_of_the_readme_registers_a_model(server: RunningServer, checkout: Path, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    (checkout / "train.py").write_text(program)
    answer = subprocess.run(
        [sys.executable, "train.py"],
        cwd=checkout,
        env=environment(tmp_path, REGISTA_URL=server.url),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.stdout == "1.0.0 The first version of a model is 1.0.0.\n", answer.stderr
    with regista.Client(server.url) as client:
        assert client.version("tumour", "@staging").metrics["accuracy"] > 0.9


def test_what_the_greeting_suggests_works(server: RunningServer, tmp_path: Path) -> None:
    said = greeting(server.url, Settings(data=tmp_path))
    suggested = said.partition("Next, in another terminal:\n")[2].partition("\n\n")[0]
    commands = [line.strip() for line in suggested.replace("\\\n", "").splitlines()]
    assert commands[-1] == "regista log --follow"  # the one that never ends
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "--message", "code")
    for name in ("model.pkl", "train.csv"):
        (tmp_path / name).write_text(name)
    script = "\n".join(["set -e", *commands[:-1], "regista log"])
    answer = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "promoted 1.0.0 from candidate to staging" in answer.stdout
