"""The bytes of a version are compared with its digests wherever they lie: by the registry, or by whoever asks."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from tests.support.server import RunningServer, running_server
from typer.testing import CliRunner, Result

import regista
from regista.artifacts.digests import digest_file
from regista.cli.app import build
from regista.client import AsyncClient, Client, Run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("verify")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, actor="tester", deadline=5) as one:
        yield one


@pytest.fixture
def name() -> str:
    return f"model-{uuid4().hex[:8]}"


def a_run() -> Run:
    run = regista.capture(author="ci")
    run.code(commit="a" * 40)
    run.dataset("transactions", version="2026-05")
    run.metrics(auc=0.5)
    run.finish(datetime(2026, 5, 4, tzinfo=UTC))
    return run


def elsewhere(client: Client, name: str, uri: str, file: Path) -> None:
    """Register a file that the registry does not hold."""
    files = [{"path": file.name, "size": file.stat().st_size, "sha256": digest_file(file)}]
    client.register(name, run=a_run(), metadata={"artifact": {"uri": uri, "files": files}})


def verify(server: RunningServer, name: str, *more: str) -> Result:
    return CliRunner().invoke(build(), ["verify-artifact", name, "1.0.0", *more], env={"REGISTA_URL": server.url})


class Surprise:
    """Its pickle imports what is on no allowlist."""

    def __reduce__(self) -> tuple[object, tuple[list[str]]]:
        return subprocess.Popen, (["true"],)


def test_the_registry_reads_what_it_holds_and_names_the_imports_of_pickles(
    server: RunningServer, client: Client, name: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([Surprise(), {"weights": 1.5}]))
    client.register(name, tmp_path / "model.pkl", run=a_run())
    found = client.verify_version(name, "1.0.0")
    assert (found.read_by, found.read, found.size > 0) == ("registry", 2, True)
    assert found.pickle is not None
    assert found.pickle.disallowed == ["subprocess.Popen"]
    assert found.pickle.complete
    said = verify(server, name)
    assert said.exit_code == 0, said.output
    assert "imports outside the allowlist: subprocess.Popen" in said.stdout
    assert json.loads(verify(server, name, "--json").stdout) == found.model_dump(mode="json")


def test_bytes_without_pickles_have_no_imports(client: Client, name: str, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    client.register(name, tmp_path / "model.bin", run=a_run())
    assert client.verify_version(name, "@candidate").pickle is None


def test_stored_bytes_that_were_damaged_are_refused(
    server: RunningServer, client: Client, name: str, tmp_path: Path
) -> None:
    content = uuid4().bytes
    (tmp_path / "model.bin").write_bytes(content)
    client.register(name, tmp_path / "model.bin", run=a_run())
    [blob] = (p for p in (server.data / "blobs").rglob("*") if p.is_file() and p.read_bytes() == content)
    blob.chmod(0o600)
    blob.write_bytes(bytes(len(content)))
    said = verify(server, name)
    assert said.exit_code == 1
    assert "damaged" in said.stderr


async def test_bytes_elsewhere_are_read_from_where_the_client_is(
    server: RunningServer, client: Client, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(b"weights")
    elsewhere(client, name, file.as_uri(), file)
    # A loop runs in this thread, as in a notebook.
    assert (found := client.verify_version(name, "1.0.0")).read_by == "client"
    assert (found.read, found.size, found.uri) == (1, 7, file.as_uri())
    async with AsyncClient(server.url) as other:
        assert await other.verify_version(name, "1.0.0") == found
    assert verify(server, name).exit_code == 0
    file.write_bytes(b"Weights")
    said = verify(server, name)
    assert said.exit_code == 1
    assert "digest_mismatch" in said.stderr
    file.unlink()
    assert verify(server, name).exit_code == 3


def test_a_uri_that_cannot_be_read_from_here_is_said_to_be_so(
    server: RunningServer, client: Client, name: str, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    elsewhere(client, name, "s3://models/model.onnx", tmp_path / "model.onnx")
    said = verify(server, name)
    assert said.exit_code == 1
    assert "uri_unsupported" in said.stderr


def test_a_version_without_bytes_has_nothing_to_verify(server: RunningServer, client: Client, name: str) -> None:
    origin = {"system": "mlflow", "id": "7"}
    client.register(name, version="1.0.0", metadata={"origin": origin})
    said = verify(server, name)
    assert said.exit_code == 1
    assert "no_artifact" in said.stderr
