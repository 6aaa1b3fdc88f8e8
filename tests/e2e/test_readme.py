"""The README is true: its commands are run word for word, and print what it shows.

``make newcomer`` does the same from a fresh clone; here the environment that runs the tests stands in for the one that
``make up`` would install, and a free port for 8080.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from walkthrough import Reader, steps

ROOT = Path(__file__).parents[2]
STEPS = list(steps((ROOT / "README.md").read_text(encoding="utf-8")))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the checkout as it is now, whose environment is installed already."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    folder = tmp_path / "regista"
    for name in listing.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    environment = folder / ".venv"
    environment.mkdir()
    (environment / "bin").symlink_to(Path(sys.prefix, "bin"))
    for stamp in (".server", ".dev"):
        (environment / stamp).touch()
    return folder


def test_the_readme_opens_with_the_commands_that_start_and_test() -> None:
    assert [step.command for step in STEPS][:1] == ["make up"]
    assert "make test" in {step.command for step in STEPS}


@pytest.mark.engine("git")
@pytest.mark.engine("make")
def test_every_command_of_the_readme_does_what_it_shows(checkout: Path, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "REGISTA_PORT": port, "REGISTA_URL": url}
    with Reader(checkout, environment, url=url, rewrite=lambda text: text.replace(port, "8080")) as reader:
        for step in STEPS:
            reader.follow(step)
