"""Pushing sends what is missing and nothing else; pulling leaves a whole, checked folder or none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import FileEntry, Manifest
from regista.artifacts.pull import pull, pull_async
from regista.artifacts.push import push, push_async
from regista.artifacts.steps import Progress
from regista.domain.errors import Invalid, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

PART = 100


class Store:
    """Blobs by digest, and what was asked of it; the blocking and the asynchronous protocols alike."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.sent: list[str] = []

    def has(self, digest: str) -> bool:
        return digest in self.blobs

    def send(self, digest: str, path: Path, offset: int, size: int, sent: Callable[[int], None]) -> None:
        self.blobs[digest] = path.read_bytes()[offset : offset + size]
        assert digest_of(self.blobs[digest]) == digest
        self.sent.append(digest)
        sent(size)

    def send_manifest(self, digest: str, data: bytes) -> None:
        assert digest_of(data) == digest
        assert all(blob in self.blobs for blob in Manifest.from_bytes(data, part_size=PART).blobs)
        self.blobs[digest] = data

    def fetch(self, digest: str, size: int, write: Callable[[bytes], None]) -> None:
        data = self.blobs[digest]
        assert len(data) == size
        for offset in range(0, size, 7):
            write(data[offset : offset + 7])


class AsyncStore:
    def __init__(self, store: Store) -> None:
        self.store = store

    async def has(self, digest: str) -> bool:
        return self.store.has(digest)

    async def send(self, digest: str, path: Path, offset: int, size: int, sent: Callable[[int], None]) -> None:
        self.store.send(digest, path, offset, size, sent)

    async def send_manifest(self, digest: str, data: bytes) -> None:
        self.store.send_manifest(digest, data)

    async def fetch(self, digest: str, size: int, write: Callable[[bytes], None]) -> None:
        self.store.fetch(digest, size, write)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "large").write_bytes(os.urandom(3 * PART + 20))
    (root / "sub" / "small").write_bytes(b"small")
    (root / "sub" / "same").write_bytes(b"small")
    (root / "empty").write_bytes(b"")
    return root


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_goes_there_and_back(model: Path, tmp_path: Path) -> None:
    store = Store()
    manifest = push(model, store, part_size=PART)
    target = pull(store.fetch, manifest, tmp_path / "new" / "copy")
    assert contents(target) == contents(model)
    assert Manifest.scan(target, part_size=PART).digest == manifest.digest
    assert [path.name for path in target.parent.iterdir()] == ["copy"]


async def test_asynchronous_callers_do_the_same(model: Path, tmp_path: Path) -> None:
    store = Store()
    manifest = await push_async(model, AsyncStore(store), part_size=PART)
    target = await pull_async(AsyncStore(store).fetch, manifest, tmp_path / "copy")
    assert contents(target) == contents(model)


def test_only_what_is_missing_is_sent_and_each_blob_once(model: Path) -> None:
    store = Store()
    manifest = push(model, store, part_size=PART)
    assert sorted(store.sent) == sorted(manifest.blobs)
    store.sent.clear()
    push(model, store, part_size=PART)
    assert store.sent == []
    (model / "sub" / "small").write_bytes(b"other")
    push(model, store, part_size=PART)
    assert store.sent == [digest_of(b"other")]


def test_progress_ends_at_the_whole_both_ways(model: Path, tmp_path: Path) -> None:
    store, seen = Store(), list[Progress]()
    store.blobs[digest_of(b"small")] = b"small"
    manifest = push(model, store, part_size=PART, progress=seen.append)
    total = manifest.size
    assert [step.done for step in seen] == sorted(step.done for step in seen)
    assert (seen[-1].done, {step.total for step in seen}) == (total, {total})
    assert {step.path for step in seen} == set(contents(model))
    seen.clear()
    pull(store.fetch, manifest, tmp_path / "copy", progress=seen.append)
    assert (seen[-1].done, {step.path for step in seen}) == (total, set(contents(model)))


@pytest.mark.parametrize("obstacle", ["file", "folder", "link"])
def test_nothing_is_overwritten(model: Path, tmp_path: Path, obstacle: str) -> None:
    store = Store()
    manifest = push(model, store, part_size=PART)
    target = tmp_path / "target"
    if obstacle == "file":
        target.write_bytes(b"mine")
    elif obstacle == "folder":
        target.mkdir()
        (target / "mine").write_bytes(b"mine")
    else:
        target.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="destination_not_empty"):
        pull(store.fetch, manifest, target)
    assert names_in(tmp_path) == ["model", "target"]


def test_an_empty_folder_may_be_the_destination(model: Path, tmp_path: Path) -> None:
    store = Store()
    (tmp_path / "target").mkdir()
    pull(store.fetch, push(model, store, part_size=PART), tmp_path / "target")
    assert contents(tmp_path / "target") == contents(model)


@pytest.mark.parametrize(
    ("damage", "code"),
    [(b"smalL", "digest_mismatch"), (b"small and more", "size_mismatch"), (b"sma", "size_mismatch")],
)
def test_bytes_that_differ_leave_nothing(model: Path, tmp_path: Path, damage: bytes, code: str) -> None:
    store = Store()
    manifest = push(model, store, part_size=PART)

    def fetch(digest: str, size: int, write: Callable[[bytes], None]) -> None:
        write(damage) if digest == digest_of(b"small") else store.fetch(digest, size, write)

    with pytest.raises(Invalid) as refusal:
        pull(fetch, manifest, tmp_path / "copy")
    assert refusal.value.code == code
    assert names_in(tmp_path) == ["model"]


async def test_a_download_that_breaks_leaves_nothing(model: Path, tmp_path: Path) -> None:
    store = Store()
    manifest = push(model, store, part_size=PART)

    def broken(digest: str, size: int, write: Callable[[bytes], None]) -> None:
        write(store.blobs[digest][:3])
        raise ConnectionResetError(size)

    async def broken_later(digest: str, size: int, write: Callable[[bytes], None]) -> None:
        broken(digest, size, write)

    with pytest.raises(ConnectionResetError):
        pull(broken, manifest, tmp_path / "copy")
    with pytest.raises(ConnectionResetError):
        await pull_async(broken_later, manifest, tmp_path / "copy")
    assert names_in(tmp_path) == ["model"]


def test_parts_put_together_must_be_the_file(tmp_path: Path) -> None:
    """A manifest whose parts hold, but make another file than it says, is not believed."""
    store = Store()
    (tmp_path / "m").write_bytes(os.urandom(PART + 50))
    entry = push(tmp_path / "m", store, part_size=PART).files[0]
    lying = Manifest((FileEntry("m", entry.size, digest_of(b"other"), parts=entry.parts),))
    with pytest.raises(Invalid, match="digest_mismatch"):
        pull(store.fetch, lying, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
