"""The command line against a real registry: the life of a model, in tables and in JSON."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.command_line import Regista
from tests.support.server import RunningServer, running_server

METADATA = (
    "--commit",
    "a" * 40,
    "--dataset",
    "tx@2026-05",
    "--trained-at",
    "2026-05-04T12:00:00Z",
    "--author",
    "m.rossi",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("cli")) as running:
        yield running


@pytest.fixture
def regista(server: RunningServer) -> Regista:
    return Regista(server.url)


@pytest.fixture
def name() -> str:
    return f"model-{uuid4().hex[:8]}"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(uuid4().bytes)
    return path


def test_the_life_of_a_model(regista: Regista, name: str, weights: Path, tmp_path: Path) -> None:
    printed = regista("register", name, weights, *METADATA, "--metric", "auc=0.91", "--reason", "first")
    assert printed.startswith(f"{name} 1.0.0\n  The first version of a model is 1.0.0.\n")
    weights.write_bytes(uuid4().bytes)
    second = regista.json("register", name, weights, *METADATA, "--metric", "auc=0.95", "--change", "retrained")
    assert (second["version"], second["numbering"]["level"]) == ("1.1.0", "minor")
    for version in ("1.0.0", "1.1.0"):
        regista("promote", name, version, "--to", "staging", "--reason", "try")
        regista("promote", name, version, "--to", "production", "--reason", "better")
    position = regista.json("show", name, "@production")["position"]
    assert "1.0.0 to archived" in regista("history", name)
    rolled = regista.json("rollback", name, "--reason", "auc fell", "--expect", "1.1.0")
    assert (rolled["version"], rolled["previous_version"]) == ("1.0.0", "1.1.0")
    assert [p["version"] for p in regista.json("production", name)] == ["1.0.0"]
    assert [p["version"] for p in regista.json("production", name, "--at", str(rolled["position"] - 1))] == ["1.1.0"]
    assert regista.json("production", name, "--at", str(position)) == []
    lines = regista("production", name).splitlines()
    assert re.split(r"\s{2,}", lines[0]) == ["model", "version", "since", "by", "why", "before"]
    assert re.split(r"\s{2,}", lines[1])[-3:] == ["tester", "auc fell", "1.1.0"]
    assert "rolled production back from 1.1.0 to 1.0.0" in regista("history", name)
    assert f"{weights.name}" in regista("pull", name, "@production", tmp_path / "out")
    assert (tmp_path / "out" / weights.name).stat().st_size == 16
    assert "leave" in regista.refused("archive", name, "1.0.0", "--reason", "over")
    regista("archive", name, "1.0.0", "--reason", "over", "--leave-empty")
    regista("retire", name, "--reason", "over")
    assert "revive" in regista.refused("update", name, "1.0.0", "--description", "x")
    regista("revive", name)
    regista("update", name, "1.0.0", "--description", "the first", "--tag", "team=risk")
    regista("model", "update", name, "--title", "Betrüger", "--tag", "a=b")
    assert "Betrüger" in regista("show", name)
    shown = regista("show", name, "1.0.0")
    assert "team=risk" in shown
    assert "tx@2026-05" in shown


def test_what_is_missing_is_told_with_its_options(regista: Regista, name: str, weights: Path) -> None:
    said = regista.refused("register", name, weights)
    for option in ("--git .", "--dataset", "--metric", "--trained-at", "--author"):
        assert option in said
    assert "[missing_metadata]" in said


def test_the_options_that_are_missing_can_be_copied_from_the_refusal(
    regista: Regista, name: str, weights: Path
) -> None:
    said = regista.refused("register", name, weights, "--author", "m.rossi", "--metric", "auc=1")
    (line,) = [line for line in said.splitlines() if line.startswith("Add: ")]
    assert line == "Add: --git . --dataset NAME=PATH --trained-at now"


def test_a_file_that_is_not_there_is_told_before_metadata_is_asked_for(regista: Regista, name: str) -> None:
    assert "[path_not_found]" in regista.refused("register", name, "no-such-file")


def test_hints_are_in_the_words_of_the_command_line(regista: Regista, name: str, weights: Path) -> None:
    regista("register", name, weights, *METADATA, "--metric", "auc=1")
    for stage in ("staging", "production"):
        regista("promote", name, "1", "--to", stage, "--reason", "r")
    refusals = [
        ("show", f"{name}-x"),
        ("show", name, "7.0.0"),
        ("promote", f"{name}-x", "1", "--to", "staging", "--reason", "r"),
        ("archive", name, "1", "--reason", "r"),
        ("retire", name, "--reason", "r"),
        ("alias", "rm", name, "none", "--reason", "r"),
        ("alias", "set", name, "production", "1"),
        ("rollback", name, "--reason", "r"),
        ("production", "--at", "99999999"),
        ("model", "create", name),
        ("model", "update", name),
    ]
    for refusal in refusals:
        said = regista.refused(*refusal)
        assert not re.search(r"/v1/|\b(?:GET|POST|PATCH)\b|leave_empty|expect_current|This client", said), said


def test_a_version_is_named_alike_in_all_commands(regista: Regista, name: str, weights: Path) -> None:
    for metric in ("auc=0.5", "auc=0.75"):
        regista("register", name, weights, *METADATA, "--metric", metric)
    assert regista.json("lineage", name, "2") == regista.json("lineage", f"version:{name}/2")
    assert regista.json("lineage", name)["root"] == f"model:{name}"
    assert regista.json("compare", name, "1", "2") == regista.json("compare", f"{name}/1", f"{name}/2")
    assert "REF" in regista.refused("lineage", "dataset:tx@2026-05", "2", code=2)


def test_a_saved_run_is_registered(regista: Regista, name: str, weights: Path, tmp_path: Path) -> None:
    program = (
        "import sys, regista\n"
        "with regista.capture(author='ci', snapshot=sys.argv[0]) as run:\n"
        "    run.dataset('numbers', [1, 2, 3]); run.metrics(auc=0.5)\n"
        "run.save('run.json')\n"
    )
    (tmp_path / "train.py").write_text(program)
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, check=True)
    version = regista.json("register", name, weights, "--from", tmp_path / "run.json", "--metric", "f1=0.4")
    assert version["version"] == "1.0.0"
    found = regista.json("show", name, "1.0.0")
    assert found["metrics"] == {"auc": 0.5, "f1": 0.4}
    assert found["code"]["snapshot"].startswith("sha256:")
    assert found["author"] == "ci"


def test_a_dry_run_changes_nothing(regista: Regista, name: str, weights: Path) -> None:
    regista("register", name, weights, *METADATA, "--metric", "auc=0.9")
    said = regista("promote", name, "1.0.0", "--to", "staging", "--reason", "try", "--dry-run")
    assert "would append regista.version.promoted.v1" in said
    assert regista.json("show", name)["sequence"] == 2
    plan = regista.json("retire", name, "--reason", "over", "--dry-run")
    assert plan["events"][0]["type"] == "regista.model.retired.v1"


def test_refusals_name_every_reason_and_races_are_lost_cleanly(regista: Regista, name: str, weights: Path) -> None:
    regista("register", name, weights, *METADATA, "--metric", "auc=0.9")
    regista("check", name, "1.0.0", "bias", "failed", "--summary", "too much")
    said = regista.refused("promote", name, "1.0.0", "--to", "production", "--reason", "go")
    assert "staging" in said
    assert "bias" in said
    regista("alias", "set", name, "champion", "1.0.0", "--expect", "none")
    assert "1.0.0" in regista("alias", "ls", name)
    assert "[expectation_failed]" in regista.refused("alias", "set", name, "champion", "1", "--expect", "none")
    assert "[if_match_failed]" in regista.refused("model", "update", name, "--title", "T", "--if-match", "1")
    regista("alias", "rm", name, "@champion", "--expect", "1.0.0")
    assert "unknown_model" in regista.refused("history", "nobody-has-this-name")


def test_the_same_command_id_is_done_once(regista: Regista, name: str) -> None:
    first = regista.json("model", "create", name, "--command-id", name)
    again = regista.json("model", "create", name, "--command-id", name)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["position"] == again["position"]


def test_who_asks_may_stand_before_or_after_the_command(regista: Regista, name: str) -> None:
    regista("--actor", "ci/a", "model", "create", name)
    regista("model", "update", name, "--title", "T", "--actor", "ci/b")
    lines = regista("history", name, "--json").splitlines()
    assert [json.loads(line)["actor"] for line in lines] == ["ci/a", "ci/b"]
    assert [json.loads(line) for line in regista("--json", "history", name).splitlines()] == [
        json.loads(line) for line in lines
    ]


def test_looking_from_all_sides(regista: Regista, name: str, weights: Path) -> None:
    regista("register", name, weights, *METADATA, "--metric", "auc=0.8", "--param", "depth=3")
    start = regista.json("status")["log_position"]
    regista("register", name, weights, *METADATA, "--metric", "auc=0.9", "--parent", f"{name}@1.0.0:retrained")
    regista("promote", name, "2", "--to", "staging", "--reason", "try")
    regista("evaluate", name, "2", "--metric", "auc=0.7", "--dataset", "holdout@1", "--slice", "eu")
    assert name in regista("ls")
    assert [v["version"] for v in regista.json("ls", name)] == ["1.1.0", "1.0.0"]
    assert [v["version"] for v in regista.json("ls", "--filter", f"name = '{name}' AND metrics.auc > 0.85")] == [
        "1.1.0"
    ]
    assert "+0.1" in regista("compare", f"{name}/1", f"{name}/2")
    assert "staging" in regista("diff", str(start), "--model", name)
    assert "trained-on" in regista("lineage", f"{name}/2")
    assert "flowchart" in regista("lineage", f"version:{name}/2", "--format", "mermaid")
    assert regista.json("lineage", "dataset:tx@2026-05", "--direction", "downstream")["root"] == "dataset:tx@2026-05"
    assert "writes" in regista("status")
    assert len(regista("log", "--model", name, "-n", "2", "--json").splitlines()) == 2
    assert len(regista("log", "--model", name, "--after", "0", "--json").splitlines()) == 5
    assert "holdout@1" in regista("show", name, "2")


def test_the_log_as_a_whole_online_and_offline(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data) as server:
        regista = Regista(server.url)
        for number in range(3):
            regista("model", "create", f"model-{number}")
        head = regista.json("verify")["head"]
        known = f"{head['position']}:{head['digest']}"
        assert "proves the whole log" in regista("verify", "--head", known)
        assert regista("status", "--head") == f"{known}\n"
        assert regista.json("rebuild")["equal"] is True
        digests = regista.json("digests")["digests"]
        assert "4 events" in regista("export", tmp_path / "a.jsonl")
    assert regista.json("verify", "--data", data, "--head", known)["proven"] == "log"
    assert regista.json("rebuild", "--data", data)["digests"] == digests
    regista("export", tmp_path / "b.jsonl", "--data", data)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert regista("export", "-", "--data", data).encode() == (tmp_path / "a.jsonl").read_bytes()
    assert regista.json("import", tmp_path / "a.jsonl", "--data", tmp_path / "new")["copied"] is False
    assert regista.json("digests", "--data", tmp_path / "new")["digests"] == digests
    assert regista.json("import", tmp_path / "a.jsonl", "--data", tmp_path / "own", "--copy")["copied"] is True
    assert "registry_not_empty" in regista.refused("import", tmp_path / "a.jsonl", "--data", data)
    assert "path_not_found" in regista.refused("import", tmp_path / "none", "--data", tmp_path / "x")


def test_a_view_is_told_to_pass_over_a_position_and_by_whom_and_why_is_kept(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        regista = Regista(server.url)
        regista("model", "create", "fraud")
        assert "nothing_to_skip" in regista.refused("skip", "2", "--reason", "a slip")
        assert "unknown_view" in regista.refused("skip", "2", "--view", "alias", "--reason", "a slip")
        assert "position 2 is passed over, as tester decided" in regista(
            "skip", "2", "--view", "aliases", "--reason", "a defect"
        )
        [skip] = regista.json("status")["components"]["projector"]["skips"]
    assert (skip["view"], skip["position"], skip["reason"], skip["actor"]) == ("aliases", 2, "a defect", "tester")


def test_a_log_that_was_cut_short_is_exit_code_1(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        regista = Regista(server.url)
        regista("model", "create", "fraud")
        done = regista.run("verify", "--head", f"9:{'0' * 64}")
        assert done.exit_code == 1
        assert "problem" in done.stdout


def test_following_prints_each_event_until_it_is_interrupted(regista: Regista, name: str) -> None:
    regista("model", "create", name)
    follower = subprocess.Popen(
        [sys.executable, "-c", "from regista.cli import main; main()", "log", "--follow", "--model", name],
        env={**os.environ, "REGISTA_URL": regista.url, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with follower:
        assert follower.stdout is not None
        assert f"took the name {name}" in follower.stdout.readline()
        regista("model", "update", name, "--title", "T", "--reason", "a better name")
        assert "changed title  (a better name)" in follower.stdout.readline()
        follower.send_signal(signal.SIGINT)
        assert follower.wait(20) == 130


def test_following_goes_on_when_the_registry_comes_back(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running_server(tmp_path / "data", port=port) as server:
        regista = Regista(server.url)
        follower = subprocess.Popen(
            [sys.executable, "-c", "from regista.cli import main; main()", "log", "--follow"],
            env={**os.environ, "REGISTA_URL": server.url, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with follower:
            assert follower.stdout is not None
            assert follower.stderr is not None
            assert "created the log" in follower.stdout.readline()
            server.terminate()
            assert "does not answer" in follower.stderr.readline()
            server.restart()
            regista("model", "create", "fraud")
            assert "took the name fraud" in follower.stdout.readline()
            follower.send_signal(signal.SIGINT)
            assert follower.wait(20) == 130


def test_a_reader_that_has_seen_enough_ends_the_program_quietly(regista: Regista) -> None:
    command = f"{sys.executable} -c 'from regista.cli import main; main()' log --after 0 --json | head -1"
    environment = {**os.environ, "REGISTA_URL": regista.url}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout)["position"] == 1
    assert done.stderr == ""


def test_a_token_opens_a_registry_that_wants_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTA_TOKEN", raising=False)
    with running_server(tmp_path / "data", token="0123456789abcdef") as server:
        regista = Regista(server.url)
        assert "unauthenticated" in regista.refused("ls")
        assert regista.json("ls", "--token", "0123456789abcdef") == []
