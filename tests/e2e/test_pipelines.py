"""The examples of pipelines do what they say: their scripts run as they stand, against a real registry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.server import RunningServer, running_server

import regista

ROOT = Path(__file__).parents[2]
PIPELINES = ROOT / "examples" / "ci"
EXPRESSION = re.compile(r"\$\{\{\s*([\w.]+)\s*\}\}")
GITHUB = {
    "github.repository": "acme/iris",
    "github.run_id": "77",
    "github.run_attempt": "1",
    "github.server_url": "https://code.example",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "registry") as running:
        yield running


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder in which the pipeline finds the repository's examples."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def shell(script: str, folder: Path, environment: Mapping[str, str]) -> None:
    """Run a script as the runners of both systems do: bash, ended by the first error."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"


def load(name: str) -> dict[Any, Any]:
    read: dict[Any, Any] = yaml.safe_load((PIPELINES / name).read_text())
    return read


def installs_alone(script: str) -> bool:
    return script == "pip install regista"


def check_story(server: RunningServer, actor: str) -> None:
    """What either pipeline leaves in the registry."""
    with regista.Client(server.url) as client:
        found = client.version("iris", "@production")
        assert found.version == "1.1.0"
        assert {(check.name, check.status) for check in found.checks} == {("accuracy", "passed")}
        mine = client.events(model="iris", actor=actor)
        assert [event.type.split(".")[2] for event in mine][-5:] == [
            "registered", "check-reported", "check-reported", "promoted", "promoted",
        ]  # fmt: skip


def github(server: RunningServer, checkout: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The scripts of the workflow's steps with their environments; what a step puts out is known to those behind it."""
    workflow = load("github-actions.yml")
    job = workflow["jobs"]["release"]
    output = checkout / "output"
    known = {**GITHUB, "vars.REGISTA_URL": server.url, "secrets.REGISTA_TOKEN": ""}

    def filled(values: Mapping[str, object]) -> dict[str, str]:
        return {name: EXPRESSION.sub(lambda found: known[found[1]], str(value)) for name, value in values.items()}

    for step in job["steps"]:
        if "run" not in step:
            continue
        output.write_text("")
        script = EXPRESSION.sub(lambda found: known[found[1]], step["run"])
        yield script, {**filled({**workflow["env"], **job["env"], **step.get("env", {})}), "GITHUB_OUTPUT": str(output)}
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            known[f"steps.{step['id']}.outputs.{name}"] = value


def test_the_workflow_of_github_registers_checks_and_promotes(server: RunningServer, checkout: Path) -> None:
    ran = 0
    for script, environment in github(server, checkout):
        if not installs_alone(script):
            shell(script, checkout, environment)
            ran += 1
    assert ran == 4
    check_story(server, "github:acme/iris")


def test_the_pipeline_of_gitlab_registers_checks_and_promotes(server: RunningServer, checkout: Path) -> None:
    pipeline = load("gitlab-ci.yml")
    assert [line for line in pipeline["default"]["before_script"] if not installs_alone(line)] == []
    environment = {
        "CI_PROJECT_PATH": "acme/iris",
        "CI_PIPELINE_ID": "77",
        "CI_PIPELINE_URL": "https://code.example/pipelines/77",
        "CI_JOB_URL": "https://code.example/jobs/1",
        "REGISTA_URL": server.url,
        "MODEL": pipeline["variables"]["MODEL"],
        "REGISTA_ACTOR": pipeline["variables"]["REGISTA_ACTOR"].replace("$CI_PROJECT_PATH", "acme/iris"),
    }
    for stage in pipeline["stages"]:
        job = pipeline[stage]
        shell("\n".join(job["script"]), checkout, environment)
        dotenv = job.get("artifacts", {}).get("reports", {}).get("dotenv")
        if dotenv is not None:
            environment |= dict(line.split("=", 1) for line in (checkout / dotenv).read_text().splitlines())
    check_story(server, "gitlab:acme/iris")


def run_with_higher_demands(server: RunningServer, checkout: Path) -> None:
    for script, environment in github(server, checkout):
        if not installs_alone(script):
            shell(script.replace(" 0.9)", " 1.1)"), checkout, environment)


def test_a_check_that_fails_ends_the_pipeline_and_blocks_the_version(server: RunningServer, checkout: Path) -> None:
    with pytest.raises(AssertionError, match="accuracy running"):
        run_with_higher_demands(server, checkout)
    with regista.Client(server.url) as client:
        assert {check.status for check in client.version("iris", "1.1.0").checks} == {"failed"}
        assert client.version("iris", "@production").version == "1.0.0"
        with pytest.raises(regista.Refused):
            client.promote("iris", "1.1.0", to="staging", reason="all the same")
