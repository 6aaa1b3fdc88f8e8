"""What a training run records by itself, from real repositories, and what it never records."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regista.client import Run, capture
from regista.client.register import WAYS, checked
from regista.client.training.git import NoGit, read_state, strip_credentials
from regista.domain.errors import Invalid, NotFound

GIT = pytest.mark.engine("git")
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}


def git(directory: Path, *arguments: str) -> str:
    environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", "-C", str(directory), *arguments], env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    git(root, "init", "-q")
    (root / "train.py").write_text("print('training')\n")
    git(root, "add", "train.py")
    git(root, "commit", "-qm", "first")
    git(root, "remote", "add", "origin", "https://bot:s3cret@git.example.org/team/fraud.git?token=s3cret")
    return root


@GIT
def test_commit_repository_and_path_are_those_of_the_script(repository: Path) -> None:
    run = capture(snapshot=repository / "train.py")
    assert run.body["code"] == {
        "repository": "https://git.example.org/team/fraud.git",
        "commit": git(repository, "rev-parse", "HEAD"),
        "dirty": False,
        "path": "train.py",
    }


@GIT
def test_a_changed_file_makes_it_dirty_and_data_beside_it_do_not(repository: Path) -> None:
    (repository / "data.csv").write_text("1,2\n")
    assert read_state(repository).dirty is False
    (repository / "train.py").write_text("print('changed')\n")
    assert read_state(repository).dirty is True


@GIT
def test_a_script_that_is_not_in_the_commit_makes_it_dirty(repository: Path) -> None:
    folder = repository / "new"
    folder.mkdir()
    (folder / "other.py").write_text("pass\n")
    assert read_state(repository).dirty is False
    assert read_state(repository, folder / "other.py").dirty is True


@GIT
def test_a_rename_is_read_as_one_change(repository: Path) -> None:
    git(repository, "mv", "train.py", "fit.py")
    assert read_state(repository).dirty is True


@GIT
def test_looking_changes_nothing_in_the_repository(repository: Path) -> None:
    os.utime(repository / "train.py", (1, 1))  # a plain `git status` would write the new time into its index
    before = (repository / ".git" / "index").read_bytes()
    read_state(repository)
    assert (repository / ".git" / "index").read_bytes() == before


@GIT
def test_where_there_is_no_commit_the_run_says_why(tmp_path: Path) -> None:
    with pytest.raises(NoGit, match="not a git repository"):
        read_state(tmp_path)
    git(tmp_path, "init", "-q")
    with pytest.raises(NoGit):
        read_state(tmp_path)
    run = capture(directory=tmp_path)
    assert "code" not in run.body
    assert run.no_code


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://user:pa:ss@git.example.org/a.git", "https://git.example.org/a.git"),
        ("https://token@git.example.org:8443/a.git#x", "https://git.example.org:8443/a.git"),
        ("https://a@b:pw@git.example.org/a", "https://git.example.org/a"),
        ("git@git.example.org:team/a.git", "ssh://git.example.org/team/a.git"),
        ("ssh://git@git.example.org/a.git", "ssh://git.example.org/a.git"),
        ("user:s3cret@git.example.org/a", "git.example.org/a"),
        ("/srv/git/a.git", "/srv/git/a.git"),
    ],
)
def test_no_credentials_are_left_in_an_address(url: str, stripped: str) -> None:
    assert strip_credentials(url) == stripped


def test_a_seed_is_planted_everywhere_and_recorded() -> None:
    run = capture()
    assert run.seed(7) == 7
    first = (random.random(), float(np.random.random()))
    run.seed(7)
    assert (random.random(), float(np.random.random())) == first
    assert run.metadata()["runtime"]["seed"] == 7
    assert 0 <= Run().seed() < 2**32


def test_packages_are_those_in_use_and_hardware_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "s3cret-in-the-environment")
    runtime = capture().metadata()["runtime"]
    assert runtime["packages"]["numpy"] == np.__version__
    assert "hatchling" not in runtime["packages"]
    assert runtime["python"].endswith(f"{sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}")
    assert int(runtime["hardware"]["cores"]) >= 1
    assert "s3cret-in-the-environment" not in json.dumps(runtime)
    assert os.uname().nodename not in runtime["hardware"].values()


def test_the_author_is_the_actor_and_an_anonymous_one_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_ACTOR", "ci/nightly")
    assert capture().body["author"] == "ci/nightly"
    monkeypatch.setenv("REGISTA_ACTOR", "anonymous")
    assert "author" not in capture().body
    assert capture(author="m.rossi").body["author"] == "m.rossi"


def test_everything_told_ends_up_in_the_request(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"1,2\n")
    with capture(author="ci") as run:
        run.code(commit="a" * 40, repository="https://u:p@example.org/r")
        digest = run.dataset("transactions", tmp_path / "x.csv", version="2026-05")
        run.dataset("transactions", tmp_path / "x.csv", version="2026-05")
        run.features("profile", version="3")
        run.params(depth=np.int64(4), rate=np.float32(0.5))
        run.metrics({"f1@0.5": 0.7}, auc=np.float64(0.9))
        run.evaluation("holdout", slice="eu", auc=0.8)
        run.evaluation({"name": "holdout", "version": "3"}, auc=0.7)
        run.evaluation(None, auc=0.6)
        run.configuration(threshold=0.4)
        run.tags(team="risk")
        run.parent("base", "1.0.0", "fine-tuned")
        run.dependency("tokenizer", "@champion", "tokenizer")
        run.related_code("features", "b" * 40, "git@example.org:f")
        run.tracked_by("mlflow", "42", "https://u:p@tracker.example.org/42")
        run.describe("night run")
    found = run.metadata()
    assert found["datasets"] == [{"name": "transactions", "version": "2026-05", "digest": digest}]
    assert found["params"] == {"depth": 4, "rate": 0.5}
    assert found["metrics"] == {"f1@0.5": 0.7, "auc": 0.9}
    assert [evaluation.get("dataset") for evaluation in found["evaluations"]] == [
        {"name": "holdout"}, {"name": "holdout", "version": "3"}, None
    ]  # fmt: skip
    assert found["run"]["url"] == "https://tracker.example.org/42"
    assert found["code"]["repository"] == "https://example.org/r"
    checked(found, artifact=True)


def test_metrics_that_are_no_numbers_are_refused_where_they_are_told() -> None:
    with pytest.raises(Invalid, match=r"metrics\.auc is nan"):
        Run().metrics(auc=float("nan"))


def test_a_name_alone_is_no_data_set() -> None:
    with pytest.raises(Invalid, match="does not say which data") as error:
        Run().dataset("transactions")
    assert 'run.dataset("transactions", df)' in (error.value.hint or "")
    with pytest.raises(NotFound):
        Run().dataset("transactions", "no/such/file.csv")


def test_the_time_is_that_of_the_end_unless_training_failed() -> None:
    with capture() as run:
        pass
    ended = run.metadata()["trained_at"]
    assert ended == run.metadata()["trained_at"]
    assert ended.endswith("Z")
    failed = capture()
    with pytest.raises(RuntimeError), failed:
        raise RuntimeError
    assert "trained_at" not in failed.body


def test_a_snapshot_is_the_script_as_it_was_when_the_run_began(tmp_path: Path) -> None:
    script = tmp_path / "train.ipynb"
    script.write_text("first")
    run = capture(snapshot=script)
    script.write_text("edited meanwhile")
    assert run.code_snapshot is not None
    assert run.code_snapshot.content == b"first"
    assert run.metadata()["code"]["snapshot"] == run.code_snapshot.digest
    with pytest.raises(Invalid, match="cannot be read"):
        capture(snapshot=tmp_path / "none.py")


def test_a_snapshot_of_a_script_that_runs_is_found(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("import regista\nprint(regista.capture(snapshot=True).code_snapshot.name)\n")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "train.py"


def test_a_run_is_saved_and_read_again(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("pass")
    run = capture(snapshot=script, author="ci")
    run.metrics(auc=0.5)
    run.save(tmp_path / "run.json")
    again = Run.load(tmp_path / "run.json")
    assert again.metadata() == run.metadata()
    assert again.code_snapshot == run.code_snapshot
    assert list(tmp_path.glob(".*.new")) == []


def test_bare_metadata_is_a_run_too(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"metrics": {"auc": 0.5}, "trained_at": "2026-05-01T00:00:00Z"}')
    assert Run.load(tmp_path / "run.json").metadata()["metrics"] == {"auc": 0.5}


@pytest.mark.parametrize("text", ["[1]", "{", '{"format": "regista-run"}', '{"format": "regista-run", "metadata": 3}'])
def test_what_is_no_run_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(Invalid) as error:
        Run.load(tmp_path / "run.json")
    assert error.value.code == "bad_run"


def test_each_missing_field_is_named_with_the_line_that_supplies_it() -> None:
    with pytest.raises(Invalid) as error:
        checked({}, artifact=False)
    assert error.value.code == "missing_metadata"
    assert {reason.field: reason.hint for reason in error.value.reasons} == WAYS


def test_a_field_of_the_wrong_type_is_named() -> None:
    body: dict[str, Any] = {"metrics": {"auc": "high"}, "datasets": [{"name": 3}], "colour": "red"}
    with pytest.raises(Invalid) as error:
        checked(body, artifact=True)
    assert {reason.field for reason in error.value.reasons} == {"metrics.auc", "datasets[0].name", "colour"}
