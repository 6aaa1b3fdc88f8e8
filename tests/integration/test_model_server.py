"""The model server runs exactly the bytes that it was told to run, and ends with whoever started it."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic

import httpx
import joblib
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from sklearn.linear_model import LogisticRegression
from tests.support.server import RunningServer, running_server
from tests.support.small_models import linear_json, safetensors

from regista import Client
from regista.artifacts.digests import hex_of
from regista.domain.errors import Invalid, Refused
from regista.serving.loading import load
from regista.serving.pool import CannotServe, Pool, PoolSettings

Push = Callable[[Path], str]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def push(registry: RunningServer) -> Iterator[Push]:
    with Client(registry.url) as client:
        yield lambda path: client.push(path).digest


@pytest.fixture
async def pool(registry: RunningServer, tmp_path: Path) -> AsyncIterator[Pool]:
    opened = Pool(PoolSettings(tmp_path / "models", registry.url, start_within=60))
    yield opened
    await opened.aclose()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


async def until(true: Callable[[], bool], within: float = 20.0) -> None:
    deadline = monotonic() + within
    while not true():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_model_is_fetched_verified_and_served(pool: Pool, push: Push, tmp_path: Path) -> None:
    digest = push(linear_json(tmp_path / "model.json", 7))
    url = (await pool.ensure([digest]))[digest]
    async with httpx.AsyncClient(base_url=url) as client:
        answer = await client.post("/predict", json={"inputs": [[1, 0], [1, 0.5]]})
        assert answer.json() == {"outputs": [[7.0], [7.5]], "artifact_digest": digest, "variant": digest}
        assert answer.headers["Regista-Variant"] == digest
        assert (await client.get("/model")).json()["artifact_digest"] == digest
        assert (await client.get("/healthz")).status_code == httpx.codes.OK
        assert (await client.get("/readyz")).status_code == httpx.codes.OK
        for body in ("{", "[]", '{"inputs": 1}', '{"inputs": [[1]]}', '{"inputs": [["a", "b"]]}'):
            refused = await client.post("/predict", content=body)
            assert (refused.status_code, refused.json()["code"]) == (422, "bad_inputs")
        metrics = (await client.get("/metrics")).text
        assert 'regista_model_requests_total{status="200"} 1.0' in metrics
        assert 'regista_model_requests_total{status="422"} 5.0' in metrics


async def test_one_server_for_each_digest(pool: Pool, push: Push, tmp_path: Path) -> None:
    one, two = (push(linear_json(tmp_path / f"{ordinal}.json", ordinal)) for ordinal in (1, 2))
    urls = await pool.ensure([one, two])
    assert await pool.ensure([one, two]) == urls
    before = dict(pool.running)
    await pool.keep([two])
    assert pool.running == {two: before[two]}
    assert not alive(before[one])


async def test_files_that_were_tampered_with_are_not_served(pool: Pool, push: Push, tmp_path: Path) -> None:
    digest = push(linear_json(tmp_path / "model.json", 11))
    await pool.ensure([digest])
    await pool.keep([])
    (kept,) = (tmp_path / "models" / hex_of(digest)).iterdir()
    kept.chmod(0o644)
    linear_json(kept, 12)
    with pytest.raises(CannotServe, match="would_overwrite"):
        await pool.ensure([digest])
    assert pool.running == {}


async def test_what_the_registry_does_not_have_is_named(pool: Pool) -> None:
    with pytest.raises(CannotServe, match="not_found") as failed:
        await pool.ensure([f"sha256:{'0' * 64}"])
    assert failed.value.final
    assert pool.running == {}


async def test_a_registry_that_is_away_may_come_back(tmp_path: Path) -> None:
    pool = Pool(PoolSettings(tmp_path / "models", "http://127.0.0.1:1", start_within=60))
    with pytest.raises(CannotServe) as failed:
        await pool.ensure([f"sha256:{'0' * 64}"])
    assert not failed.value.final
    await pool.aclose()


async def test_a_server_that_dies_comes_back_at_its_address(pool: Pool, push: Push, tmp_path: Path) -> None:
    digest = push(linear_json(tmp_path / "model.json", 13))
    url = (await pool.ensure([digest]))[digest]
    first = pool.running[digest]
    os.kill(first, signal.SIGKILL)
    await until(lambda: pool.running.get(digest, first) != first)
    assert await pool.ensure([digest]) == {digest: url}


async def test_a_server_that_cannot_be_started_now_is_started_later(
    pool: Pool, push: Push, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    digest = push(linear_json(tmp_path / "model.json", 16))
    url = (await pool.ensure([digest]))[digest]
    first = pool.running[digest]
    (tmp_path / "models").rename(tmp_path / "away")
    (tmp_path / "models").write_text("in the way")
    os.kill(first, signal.SIGKILL)
    await until(lambda: "again in" in caplog.text)
    (tmp_path / "models").unlink()
    (tmp_path / "away").rename(tmp_path / "models")
    await until(lambda: pool.running.get(digest, first) != first)
    assert await pool.ensure([digest]) == {digest: url}


def test_no_server_outlives_the_process_that_started_it(registry: RunningServer, push: Push, tmp_path: Path) -> None:
    digest = push(linear_json(tmp_path / "model.json", 14))
    program = f"""
import asyncio, os, signal
from pathlib import Path
from regista.serving.pool import Pool, PoolSettings
async def main():
    pool = Pool(PoolSettings(Path({str(tmp_path / "models")!r}), {registry.url!r}))
    await pool.ensure([{digest!r}])
    print(*pool.running.values(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    deadline = monotonic() + 20
    while alive(int(ended.stdout)):
        assert monotonic() < deadline


def test_safetensors_of_a_linear_model_answer_probabilities(tmp_path: Path) -> None:
    safetensors(tmp_path / "model.safetensors", [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    loaded = load(tmp_path)
    assert loaded.format == "safetensors"
    even, first = loaded.model.predict([[0.0, 5.0], [100.0, 5.0]])
    assert even == [0.5, 0.5]
    assert first[1] > 0.999


def test_onnx_is_served(tmp_path: Path) -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    weights = helper.make_tensor("w", TensorProto.FLOAT, [2, 1], [1.0, 10.0])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "model.onnx"))
    loaded = load(tmp_path)
    assert loaded.model.predict([[1, 2]]) == [[21.0]]
    assert loaded.model.predict({"x": [[1, 2]]}) == [[21.0]]
    for bad in ([["a", "b"]], {"z": [[1, 2]]}, [[1, 2, 3]]):
        with pytest.raises(Invalid, match="does not take"):
            loaded.model.predict(bad)


def test_a_pickle_is_a_program_and_served_only_where_that_is_allowed(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    joblib.dump(estimator, tmp_path / "model.joblib")
    with pytest.raises(Refused, match="nobody allowed it"):
        load(tmp_path)
    (answer,) = load(tmp_path, allow_pickle=True).model.predict([[1.0]])
    assert answer[1] > 0.5


def test_a_pickle_with_other_imports_is_never_served(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "harm"),)

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(Refused, match="mkdir"):
        load(tmp_path, allow_pickle=True)
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    "content",
    ["{}", '{"type": "regista.linear.v1"}', '{"type": "regista.linear.v1", "weights": []}', "[1]",
     '{"type": "regista.linear.v1", "weights": [[1], [1, 2]]}', '{"type": "regista.linear.v1", "weights": [[1e999]]}',
     '{"type": "regista.linear.v1", "weights": [[1]], "link": "none"}'],
)  # fmt: skip
def test_what_is_no_model_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(Invalid) as refused:
        load(tmp_path)
    assert refused.value.code == "bad_model"
