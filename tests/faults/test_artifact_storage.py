"""When the storage under the artifacts fails or the process dies, nobody sees half a blob, and the error says what to do."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from regista.artifacts.digests import digest_of
from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.uploads import ArtifactStore
from regista.domain.errors import Damaged, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PRELUDE = """
import asyncio, json, os, random, resource, sys
from regista.artifacts.digests import digest_of
from regista.artifacts.directory import DirectoryBlobStore
from regista.domain.errors import RegistaError

async def stream(data):
    for offset in range(0, len(data), 65536):
        yield data[offset:offset + 65536]

async def attempt(store, data):
    try:
        return {"created": await store.put_if_absent(digest_of(data), stream(data))}
    except RegistaError as error:
        return {"code": error.code, "status": error.status, "detail": error.detail, "hint": error.hint}

store = DirectoryBlobStore(sys.argv[1])
"""
LIMITED = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
async def main():
    large, small = bytes(5 << 20), b"small"
    print(json.dumps([await attempt(store, large), await attempt(store, small)]))
asyncio.run(main())
"""
AS_NOBODY = """
# Entered, and Python read, as the present user, who may pass the folders above; then as one who may only read in it.
import concurrent.futures.thread
os.chdir(sys.argv[1])
store = DirectoryBlobStore(".")
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
async def main():
    old = b"".join([chunk async for chunk in store.open(digest_of(b"old"))])
    print(json.dumps([await attempt(store, b"new"), await attempt(store, b"old"), old.decode()]))
asyncio.run(main())
"""
HALF = """
async def half():
    yield bytes(9 << 20)
    print("half", flush=True)
    await asyncio.Event().wait()
asyncio.run(store.put_if_absent("sha256:" + "0" * 64, half()))
"""
LOOP = """
async def main():
    number = int(sys.argv[2])
    while True:
        data = random.Random(number).randbytes(200_000)
        await store.put_if_absent(digest_of(data), stream(data))
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""


def command(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", PRELUDE + script, *map(str, arguments)]


def run(script: str, root: Path) -> list[Any]:
    done = subprocess.run(command(script, root), capture_output=True, check=False, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def put(root: Path, data: bytes) -> str:
    async def stream() -> AsyncIterator[bytes]:
        yield data

    asyncio.run(DirectoryBlobStore(root).put_if_absent(digest_of(data), stream()))
    return digest_of(data)


def visible(root: Path) -> set[str]:
    async def collect() -> set[str]:
        return {info.digest async for info in DirectoryBlobStore(root).walk()}

    return asyncio.run(collect())


def verify(root: Path, digests: set[str]) -> None:
    async def check() -> None:
        store = ArtifactStore(DirectoryBlobStore(root))
        for digest in digests:
            await store.verify(digest)
        store.close()

    asyncio.run(check())


def unfinished(root: Path) -> list[Path]:
    return list((root / "unfinished").iterdir())


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    full, small = run(LIMITED, tmp_path)
    assert (full["code"], full["status"]) == ("storage_unavailable", 503)
    assert "too large" in full["detail"].lower()
    assert "nothing of this upload was kept" in full["hint"]
    assert small == {"created": True}
    assert visible(tmp_path) == {digest_of(b"small")}
    assert unfinished(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_said_and_reads_go_on(tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    put(root, b"old")
    folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        new, again, old = run(AS_NOBODY, root)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert (new["code"], new["status"]) == ("storage_unavailable", 503)
    assert "permission denied" in new["detail"].lower()
    assert again["code"] == "storage_unavailable"
    assert old == "old"
    assert visible(root) == {digest_of(b"old")}


def test_a_file_in_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_bytes(b"in the way")
    with pytest.raises(Unavailable, match="storage_unavailable"):
        put(tmp_path / "artifacts", b"x")
    with pytest.raises(Unavailable, match="storage_unavailable"):
        asyncio.run(DirectoryBlobStore(tmp_path / "artifacts").head(digest_of(b"x")))


def test_a_blob_that_was_cut_short_is_not_taken_for_stored(tmp_path: Path) -> None:
    digest = put(tmp_path, b"whole")
    path = next(tmp_path.rglob(digest[7:]))
    path.chmod(0o644)
    path.write_bytes(b"who")
    with pytest.raises(Damaged):
        put(tmp_path, b"whole")


def test_a_blob_is_read_only_under_its_one_name(tmp_path: Path) -> None:
    digest = put(tmp_path, b"whole")
    path = tmp_path / "blobs" / "sha256" / digest[7:9] / digest[7:]
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_nlink == 1
    assert unfinished(tmp_path) == []


def test_kill_in_the_middle_of_an_upload_leaves_no_visible_blob(tmp_path: Path) -> None:
    with subprocess.Popen(command(HALF, tmp_path), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "half\n"
        child.kill()
    assert visible(tmp_path) == set()
    assert len(unfinished(tmp_path)) == 1
    store = DirectoryBlobStore(tmp_path)
    day_ago = datetime.now(UTC) - timedelta(days=1)
    assert asyncio.run(store.head("sha256:" + "0" * 64)) is None
    assert asyncio.run(store.discard_unfinished(day_ago)) == 0
    os.utime(unfinished(tmp_path)[0], (day_ago.timestamp() - 60,) * 2)
    assert asyncio.run(store.discard_unfinished(day_ago)) == 1
    assert unfinished(tmp_path) == []


def test_kills_at_any_moment_lose_no_answered_upload(tmp_path: Path) -> None:
    """Every digest that was answered is there with its bytes, and every blob that is there is whole."""
    seed = random.randrange(1 << 30)
    chance, answered, number = random.Random(seed), set[str](), 0
    for _ in range(8):
        with subprocess.Popen(command(LOOP, tmp_path, number), stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline()]
            end = time.monotonic() + chance.random() * 0.15
            while time.monotonic() < end:
                lines.append(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.readlines()
        numbers = [int(line) for line in lines if line.endswith("\n")]
        answered |= {digest_of(random.Random(n).randbytes(200_000)) for n in numbers}
        number = max(numbers) + 1
    there = visible(tmp_path)
    assert answered <= there, f"seed {seed}"
    verify(tmp_path, there)
