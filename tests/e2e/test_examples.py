"""The examples run as they stand: on real data, against a real registry, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server import RunningServer, running_server

import regista

EXAMPLES = Path(__file__).parents[2] / "examples"
SYSTEM = "/usr/bin:/bin"
"""A PATH without this environment, as it is for whoever has not activated it."""


def run(example: str, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        cwd=folder,
        env={"PATH": SYSTEM, "HOME": str(folder), "REGISTA_ACTOR": "m.rossi", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("examples")) as running:
        yield running


@pytest.mark.engine("kafka-native")
@pytest.mark.engine("kcat")
def test_the_demonstration_with_kafka_holds(tmp_path: Path) -> None:
    tools, cache = str(EXAMPLES.parent / "tools"), os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    done = run("demo_kafka.py", tmp_path, TMPDIR=str(tmp_path), PYTHONPATH=tools, XDG_CACHE_HOME=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kcat -t regista.events.v1" in done.stdout
    assert done.stdout.rstrip().endswith("Everything held.")


@pytest.mark.engine("nginx")
@pytest.mark.parametrize("way", ["embedded", pytest.param("kafka", marks=pytest.mark.engine("kafka-native"))])
def test_the_demonstration_of_deployments_holds(way: str, tmp_path: Path) -> None:
    tools, cache = str(EXAMPLES.parent / "tools"), os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    done = run("demo_deploy.py", tmp_path, way, TMPDIR=str(tmp_path), PYTHONPATH=tools, XDG_CACHE_HOME=cache)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Everything held.")
    chart = tmp_path / "build" / "demo-deploy" / f"{way}.svg"
    assert "share of requests" in chart.read_text()


def test_the_demonstration_holds(tmp_path: Path) -> None:
    done = run("demo.py", tmp_path, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Everything held.")
    assert list(tmp_path.iterdir()) == [], "it leaves nothing behind"


def test_models_of_scikit_learn_are_trained_numbered_and_served(server: RunningServer, tmp_path: Path) -> None:
    for _ in range(2):  # the names stay taken; the numbers go on
        done = run("train_and_register.py", tmp_path, REGISTA_URL=server.url)
        assert done.returncode == 0, done.stdout + done.stderr
    with regista.Client(server.url) as client:
        registered = client.events(model="tumour", type="regista.version.registered.v1")
        assert {event.data["numbering"]["level"] for event in registered} == {"first", "major", "minor", "patch"}
        back = client.version("tumour", "@production")
        assert back.author == "m.rossi"
        assert [event.type for event in client.events(model="tumour")].count("regista.version.rolled-back.v1") == 2
        assert {check.status for check in client.version("digits", "1.2.0").checks} == {"failed"}
        assert client.verify().ok


def test_a_pipeline_in_plain_python_leaves_what_the_command_line_registers(
    server: RunningServer, tmp_path: Path
) -> None:
    done = run("iris.py", tmp_path, REGISTA_URL=server.url)
    assert done.returncode == 0, done.stdout + done.stderr
    with regista.Client(server.url) as client:
        first = client.version("iris", "@production")
    assert first.artifact.format == "safetensors"
    assert first.metrics["accuracy"] > 0.5
    better = json.loads((tmp_path / "build/iris/run.json").read_text())["metadata"]
    assert better["metrics"]["accuracy"] > max(0.9, first.metrics["accuracy"])


@pytest.mark.parametrize("example", ["iris.py", "train_and_register.py"])
def test_an_example_without_a_registry_says_how_to_start_one(example: str, tmp_path: Path) -> None:
    done = run(example, tmp_path, REGISTA_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "regista up" in done.stderr
    assert "Traceback" not in done.stderr
