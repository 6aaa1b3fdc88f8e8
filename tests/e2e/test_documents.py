"""What the documents say is so: their programs and commands run, their tables are complete, their links lead somewhere."""

import os
import re
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.sample_events import example
from tests.support.server import running_server
from typer.main import get_command

from regista.bus.events.envelope import to_headers
from regista.bus.settings import PREFIX
from regista.cli.app import build
from regista.domain.chain import Row
from regista.domain.events import VersionPromoted
from regista.domain.records import meta_to_record, to_record
from regista.schemas.codec import encode
from regista.settings import Settings
from walkthrough import Reader, steps

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def environment(home: Path, **more: str) -> dict[str, str]:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {"PATH": programs, "HOME": str(home), **more}


def run_program(document: str, folder: Path) -> str:
    """Run the Python of a document against a registry of its own; what it printed."""
    program = "\n".join(re.findall(r"^```python\n(.*?)^```", text(document), re.MULTILINE | re.DOTALL))
    (folder / "program.py").write_text(program)
    with running_server(folder / "data") as server:
        answer = subprocess.run(
            [sys.executable, "program.py"],
            cwd=folder,
            env=environment(folder, REGISTA_URL=server.url),
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_the_program_of_the_sdk_runs(tmp_path: Path) -> None:
    run_program("sdk.md", tmp_path)
    assert (tmp_path / "served" / "model.json").read_bytes() == (tmp_path / "model.json").read_bytes()


def test_the_program_about_subscribing_runs(tmp_path: Path) -> None:
    assert "taken over team-risk" in run_program("subscribing.md", tmp_path)


def test_every_header_of_a_record_is_in_the_table() -> None:
    table = text("subscribing.md").partition("| header |")[2].partition("\n\n")[0]
    named = {
        name for cell in re.findall(r"^\|([^|]+)\|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", cell)
    }
    meta, event = example(VersionPromoted, "full")
    traced = {"meta": meta_to_record(replace(meta, traceparent="00-1-2-01")), **to_record(event)}
    row = Row(1, "model/fraud", 1, VersionPromoted.TYPE, encode("VersionPromoted", traced))
    assert named == {name for name, _ in to_headers(row, "log", 1, 2)}


def test_a_registry_is_backed_up_and_restored_as_written(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    todo = list(steps(text("operations.md")))
    assert {"regista verify", "regista rebuild"} <= {" ".join(step.command.split()[:2]) for step in todo}
    with Reader(tmp_path, environment(tmp_path, REGISTA_PORT=port, REGISTA_URL=url), url=url) as reader:
        for step in todo:
            reader.follow(step)


def test_versions_are_deployed_as_written(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    todo = list(steps(text("deployments.md")))
    assert {step.status for step in todo} == {0, 1}
    with Reader(tmp_path, environment(tmp_path, REGISTA_PORT=port, REGISTA_URL=url), url=url) as reader:
        for step in todo:
            reader.follow(step)


def test_every_setting_is_in_the_table() -> None:
    table = text("operations.md").partition("## Settings")[2].partition("## Who")[0]
    assert set(re.findall(rf"`({PREFIX}\w+)`", table)) == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_command_is_in_the_table() -> None:
    table = text("cli.md").partition("## Registering")[0]
    words = set(re.findall(r"[a-z]+(?:-[a-z]+)*", " ".join(re.findall(r"`([^`]+)`", table))))
    commands = set(getattr(get_command(build()), "commands"))  # noqa: B009 - a group's, which its type hides
    assert commands - words == {"version"}, "it says the same as --version"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []
