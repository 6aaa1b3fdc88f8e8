"""The memory of a server does not grow with what is uploaded to it or downloaded from it."""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20
SERVER = """
import socket, sys, uvicorn
from fastapi import FastAPI
from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.routes import artifact_routes
from regista.artifacts.uploads import ArtifactStore

app = FastAPI()
app.include_router(artifact_routes(ArtifactStore(DirectoryBlobStore(sys.argv[1])), max_bytes=1 << 40))
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])
"""


@contextmanager
def server(root: Path) -> Iterator[tuple[int, int]]:
    """A server of artifacts: its process id and port."""
    with subprocess.Popen([sys.executable, "-c", SERVER, str(root)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.terminate()


def peak(pid: int) -> int:
    """Highest resident memory so far, in bytes (proc(5), VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def upload(port: int, path: Path) -> str:
    with path.open("rb") as file:
        digest = "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120, blocksize=MIB)
        connection.request("POST", f"/v1/artifacts?digest={digest}", file, {"Content-Length": str(path.stat().st_size)})
        assert connection.getresponse().status == 201
        connection.close()
    return digest


def download(port: int, digest: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", f"/v1/artifacts/{digest}")
    answer, length = connection.getresponse(), 0
    while chunk := answer.read(MIB):
        length += len(chunk)
    connection.close()
    return length


@pytest.mark.parametrize(
    "size", [256 * MIB, pytest.param(2048 * MIB, marks=pytest.mark.soak)], ids=["256 MiB", "2 GiB"]
)
def test_memory_does_not_grow_with_the_size_of_a_file(tmp_path: Path, size: int) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"x" * 100_000)
    with large.open("wb") as file:
        file.truncate(size)
    with server(tmp_path / "artifacts") as (pid, port):
        download(port, upload(port, small))
        before = peak(pid)
        digest = upload(port, large)
        uploaded = peak(pid)
        assert download(port, digest) == size
        downloaded = peak(pid)
    assert uploaded - before < 64 * MIB
    assert downloaded - before < 64 * MIB
