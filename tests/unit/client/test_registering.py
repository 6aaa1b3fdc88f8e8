"""Registering in one call: nothing is sent before it is complete, and only what the registry lacks."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.support.scripted import Script, answer

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import MANIFEST_TYPE, Manifest
from regista.client import Run
from regista.client.estimator import dump, guess_signature, hyperparameters
from regista.client.exchange import FileBody, Response
from regista.client.push import Push
from regista.client.register import Register
from regista.client.session import Session
from regista.client.training.snapshot import Snapshot
from regista.domain.errors import Invalid, NotFound, Refused

WRITTEN = {
    "stream": "model/fraud", "sequence": 2, "position": 3, "hash": "ab", "command_id": "c", "model": "fraud",
    "version": "1.0.0", "ordinal": 1, "stage": "candidate", "aliases": [], "artifact": {"digest": "sha256:00"},
}  # fmt: skip
UNKNOWN = answer(404, {"code": "unknown_model", "detail": "there is no model fraud"})
STORED = answer(201, {"digest": "sha256:00", "size": 1})


def complete_run() -> Run:
    run = Run()
    run.code(commit="a" * 40)
    run.dataset("d", version="1")
    run.metrics(auc=0.9)
    run.author("ci")
    return run


def call(source: Any, run: Run | None = None, **more: Any) -> Register:
    values: dict[str, Any] = {"given": {}, "create": True, "example": None, "if_match": None, "command_id": "key"}
    return Register("fraud", source, run or complete_run(), **{**values, "progress": None, **more})


def lacking(*digests: str) -> Response:
    reasons = [{"code": "blob_missing", "detail": digest, "field": digest} for digest in digests]
    return answer(409, {"code": "blobs_missing", "detail": "missing", "reasons": reasons})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.bin").write_bytes(b"aaaa")
    (tmp_path / "model" / "b.bin").write_bytes(b"bb")
    (tmp_path / "model" / "copy.bin").write_bytes(b"bb")
    return tmp_path / "model"


def test_only_the_blobs_that_are_lacking_are_sent_each_once(script: Script, session: Session, folder: Path) -> None:
    wanted = digest_of(b"bb")
    played = script.play(Push(folder).perform(session), [lacking(wanted), STORED, STORED])
    offer, blob, manifest = played.requests
    assert offer.headers["Content-Type"] == manifest.headers["Content-Type"] == MANIFEST_TYPE
    assert offer.body == manifest.body == Manifest.scan(folder).to_bytes()
    assert blob.query == (("digest", wanted),)
    assert blob.body == FileBody(folder / "b.bin", 0, 2)
    assert (played.answer.sent, played.answer.size, played.answer.files) == (2, 8, 3)


def test_an_artifact_that_is_there_is_not_sent_again(script: Script, session: Session, folder: Path) -> None:
    played = script.play(Push(folder).perform(session), [STORED])
    assert played.answer.sent == 0


def test_progress_tells_bytes_of_the_whole_and_goes_back_with_a_repeated_part(
    script: Script, session: Session, folder: Path
) -> None:
    told: list[tuple[int, int]] = []
    push = Push(folder, lambda done, total: told.append((done, total)))
    played = script.play(push.perform(session), [lacking(digest_of(b"aaaa"), digest_of(b"bb")), STORED, STORED, STORED])
    for request in played.requests[1:3]:
        request.body.sent(1, request.body.size)
        request.body.sent(request.body.size, request.body.size)
    assert told == [(1, 6), (4, 6), (5, 6), (6, 6)]


def test_a_new_model_gets_its_name_with_its_first_version(script: Script, session: Session, folder: Path) -> None:
    played = script.play(call(folder).perform(session), [STORED, answer(201, WRITTEN)])
    assert [(request.method, request.path) for request in played.requests] == [
        ("POST", "/v1/artifacts"),
        ("POST", "/v1/models/fraud/versions"),
    ]
    assert played.requests[1].query == (("create", "true"),)
    assert played.requests[1].headers["Idempotency-Key"] == "key"


def test_without_create_a_new_model_is_refused(script: Script, session: Session, folder: Path) -> None:
    with pytest.raises(NotFound):
        script.play(call(folder, create=False).perform(session), [STORED, UNKNOWN])


def test_what_is_missing_is_named_before_anything_is_sent(script: Script, session: Session, folder: Path) -> None:
    with pytest.raises(Invalid) as error:
        script.play(call(folder, Run()).perform(session), [])
    assert [reason.field for reason in error.value.reasons] == ["code", "datasets", "metrics", "author"]
    assert script.played.requests == []


def test_what_is_given_wins_over_the_run(script: Script, session: Session, folder: Path) -> None:
    given = {"metrics": {"f1": 0.5}, "author": "m.rossi", "version": "2.0.0"}
    played = script.play(call(folder, given=given).perform(session), [STORED, answer(201, WRITTEN)])
    body = json.loads(played.requests[1].body)
    assert body["metrics"] == {"auc": 0.9, "f1": 0.5}
    assert (body["author"], body["version"]) == ("m.rossi", "2.0.0")
    assert body["artifact"] == {"digest": Manifest.scan(folder).digest}


def test_an_announced_digest_must_be_that_of_the_files(script: Script, session: Session, folder: Path) -> None:
    with pytest.raises(Invalid, match="not the given"):
        script.play(call(folder, given={"artifact": {"digest": digest_of(b"x")}}).perform(session), [])


def test_bytes_elsewhere_are_registered_without_an_upload(script: Script, session: Session) -> None:
    given = {"artifact": {"uri": "s3://b/m", "files": [{"path": "m", "size": 1, "sha256": digest_of(b"x")}]}}
    played = script.play(call(None, given=given).perform(session), [answer(201, WRITTEN)])
    assert json.loads(played.requests[0].body)["artifact"] == given["artifact"]


def test_a_snapshot_is_uploaded_as_a_blob(script: Script, session: Session, folder: Path) -> None:
    run = complete_run()
    run.code_snapshot = Snapshot("train.py", b"pass")
    played = script.play(call(folder, run).perform(session), [STORED, STORED, answer(201, WRITTEN)])
    assert (played.requests[1].body, played.requests[1].query) == (b"pass", (("digest", digest_of(b"pass")),))
    assert json.loads(played.requests[2].body)["code"]["snapshot"] == digest_of(b"pass")


def test_a_dry_run_uploads_and_asks_for_the_plan(script: Script, session: Session, folder: Path) -> None:
    played = script.play(call(folder).plan(session), [STORED, answer(200, {"dry_run": True, "events": []})])
    assert played.requests[1].path == "/v1/models/fraud/versions"
    assert set(played.requests[1].query) == {("create", "true"), ("dry_run", "true")}


def test_a_refusal_goes_through(script: Script, session: Session, folder: Path) -> None:
    with pytest.raises(Refused):
        script.play(call(folder).perform(session), [STORED, answer(409, {"code": "version_taken", "detail": "no"})])


def test_an_estimator_tells_its_parameters_and_its_interface(script: Script, session: Session) -> None:
    model = LogisticRegression(C=0.5).fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])
    run = complete_run()
    run.params(C=0.25)
    played = script.play(call(model, run).perform(session), [STORED, answer(201, WRITTEN)])
    body = json.loads(played.requests[1].body)
    assert body["params"]["C"] == 0.25
    assert body["params"]["fit_intercept"] is True
    assert body["signature"] == {
        "inputs": [{"name": "X", "type": "any", "shape": [None, 2]}],
        "outputs": [
            {"name": "label", "type": "int64", "shape": [None]},
            {"name": "probability", "type": "float64", "shape": [None, 2]},
        ],
    }


def test_an_estimator_is_a_joblib_file_and_anything_else_a_pickle(tmp_path: Path) -> None:
    assert dump(LinearRegression(), tmp_path).name == "model.joblib"
    assert dump({"weights": [1, 2]}, tmp_path).name == "model.pkl"
    with pytest.raises(Invalid, match="cannot be written as a file"):
        dump(lambda: None, tmp_path)


def test_a_data_frame_names_inputs_and_an_example_types_them() -> None:
    x = pd.DataFrame({"amount": [1.0, 2.0], "count": [1, 2]})
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(x, [0.0, 1.0])
    untyped, typed = guess_signature(model), guess_signature(model, x)
    assert untyped is not None
    assert typed is not None
    assert untyped["inputs"] == [{"name": "amount", "type": "any"}, {"name": "count", "type": "any"}]
    assert typed["inputs"] == [{"name": "amount", "type": "float64"}, {"name": "count", "type": "int64"}]
    assert typed["outputs"] == [{"name": "prediction", "type": "float64", "shape": [None]}]
    assert hyperparameters(model)["linearregression__fit_intercept"] is True


def test_what_cannot_be_told_is_not_guessed() -> None:
    assert guess_signature(LinearRegression()) is None
    assert guess_signature({"weights": 1}) is None
    assert hyperparameters({"weights": 1}) == {}
