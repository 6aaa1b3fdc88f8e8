"""Manifests over blobs: nothing incomplete is accepted, nothing needed is collected, all damage is named."""

from __future__ import annotations

import asyncio
import os
import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy

from regista.artifacts.digests import digest_of
from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.manifest import FileEntry, Manifest, Part
from regista.artifacts.memory import MemoryBlobStore
from regista.artifacts.uploads import ArtifactStore
from regista.domain.errors import Damaged, Invalid, NotFound, Refused
from regista.domain.metadata import Signature

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PART = 1000


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def blobs(clock: Clock) -> MemoryBlobStore:
    return MemoryBlobStore(clock)


@pytest.fixture
def store(blobs: MemoryBlobStore, clock: Clock) -> Iterator[ArtifactStore]:
    artifacts = ArtifactStore(blobs, part_size=PART, now=clock)
    yield artifacts
    artifacts.close()


async def stream(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def put(store: ArtifactStore, data: bytes) -> str:
    await store.put_blob(digest_of(data), stream(data))
    return digest_of(data)


async def stored(store: ArtifactStore, **files: bytes) -> Manifest:
    entries = []
    for name, data in files.items():
        pieces = [data[start : start + PART] for start in range(0, len(data), PART)] or [b""]
        parts = [Part(len(piece), await put(store, piece)) for piece in pieces]
        entries.append(FileEntry(name, len(data), digest_of(data), parts=tuple(parts if len(parts) > 1 else ())))
    manifest, _ = await store.put_manifest(Manifest(tuple(entries)).to_bytes())
    return manifest


async def test_a_manifest_names_every_blob_that_is_missing(store: ArtifactStore) -> None:
    await put(store, b"there")
    entries = [FileEntry(name, len(name), digest_of(name.encode())) for name in ("there", "gone", "lost")]
    manifest = Manifest(tuple(entries))
    with pytest.raises(Refused) as refusal:
        await store.put_manifest(manifest.to_bytes())
    assert refusal.value.code == "blobs_missing"
    assert {reason.field for reason in refusal.value.reasons} == {digest_of(b"gone"), digest_of(b"lost")}
    with pytest.raises(NotFound):
        await store.manifest(manifest.digest)


async def test_a_manifest_that_lies_about_sizes_is_refused(store: ArtifactStore) -> None:
    await put(store, b"there")
    with pytest.raises(Invalid, match="size_mismatch"):
        await store.put_manifest(Manifest((FileEntry("a", 4, digest_of(b"there")),)).to_bytes())


async def test_a_file_that_is_no_manifest_is_not_read_as_one(store: ArtifactStore) -> None:
    with pytest.raises(Invalid, match="manifest_invalid"):
        await store.manifest(await put(store, b"weights"))
    with pytest.raises(NotFound, match="artifact_not_found"):
        await store.manifest(digest_of(b"nothing"))


@pytest.mark.parametrize("length", [0, 5, 999, 1000, 1001, 3500])
async def test_files_are_read_by_path_and_range_over_their_parts(store: ArtifactStore, length: int) -> None:
    data = os.urandom(length)
    manifest = await stored(store, weights=data, other=b"x")
    opened = await store.open_file(manifest.digest, "weights")
    assert (opened.size, opened.digest) == (length, digest_of(data))
    for start, stop in [(0, length), (0, 1), (998, 1002), (1000, 2000), (500, 3100), (length - 1, length)]:
        first, last = max(start, 0), min(stop, length)
        assert b"".join([chunk async for chunk in opened.stream(first, last)]) == data[first:last]
    with pytest.raises(NotFound, match="file_not_found"):
        await store.open_file(manifest.digest, "../weights")


async def test_missing_tells_blobs_and_manifests_that_lack_one(store: ArtifactStore, blobs: MemoryBlobStore) -> None:
    manifest = await stored(store, a=b"1", b=b"2")
    gone = digest_of(b"never")
    assert await store.missing([manifest.digest, digest_of(b"1"), gone]) == {gone}
    await blobs.delete(digest_of(b"1"))
    assert await store.missing([manifest.digest, digest_of(b"2")]) == {manifest.digest}


async def test_orphans_go_after_a_day_and_what_is_registered_stays(store: ArtifactStore, clock: Clock) -> None:
    kept = await stored(store, a=b"shared", b=b"kept")
    dropped = await stored(store, a=b"shared", b=b"dropped")
    card = await put(store, b"a model card, named by an event")
    clock.now += timedelta(hours=23)
    assert (await store.collect_orphans({kept.digest, card})).blobs == ()
    clock.now += timedelta(hours=2)
    collected = await store.collect_orphans({kept.digest, card, digest_of(b"lies elsewhere")})
    assert set(collected.blobs) == {dropped.digest, digest_of(b"dropped")}
    assert collected.size == len(dropped.to_bytes()) + len(b"dropped")
    assert (await store.verify(kept.digest)).blobs == 3
    assert await store.missing([kept.digest, card]) == frozenset()


@pytest.mark.parametrize("touch", ["upload", "question", "manifest", "description"])
async def test_what_a_caller_was_told_is_there_stays_for_another_day(
    store: ArtifactStore, clock: Clock, touch: str
) -> None:
    manifest = await stored(store, a=b"1", b=b"2")
    clock.now += timedelta(hours=23)
    if touch == "upload":
        await put(store, b"1")
        await put(store, b"2")
        await store.put_manifest(manifest.to_bytes())
    elif touch == "question":
        assert await store.missing([manifest.digest]) == frozenset()
    elif touch == "manifest":
        await store.put_manifest(manifest.to_bytes())
    else:
        await store.describe(manifest.digest)
    clock.now += timedelta(hours=23)
    assert (await store.collect_orphans(set())).blobs == ()
    clock.now += timedelta(hours=2)
    assert len((await store.collect_orphans(set())).blobs) == 3


async def test_held_orphans_are_kept_and_named(store: ArtifactStore, blobs: MemoryBlobStore, clock: Clock) -> None:
    digest = await put(store, b"evidence")
    await blobs.hold(digest, held=True)
    clock.now += timedelta(days=2)
    collected = await store.collect_orphans(set())
    assert (collected.blobs, collected.held) == ((), (digest,))


async def test_a_damaged_registered_manifest_stops_the_collection(tmp_path: Path) -> None:
    """Else its files would look like orphans."""
    store = ArtifactStore(DirectoryBlobStore(tmp_path / "blobs"), part_size=PART)
    manifest = await stored(store, a=b"1")
    path = next((tmp_path / "blobs").rglob(manifest.digest[7:]))
    path.chmod(0o644)
    path.write_bytes(manifest.to_bytes().replace(b'"size":1}', b'"size":2}'))
    with pytest.raises(Damaged):
        await store.collect_orphans({manifest.digest}, older_than=timedelta(0))
    assert await store.missing([digest_of(b"1")]) == frozenset()
    store.close()


async def test_verify_names_every_blob_that_does_not_hold(tmp_path: Path) -> None:
    store = ArtifactStore(DirectoryBlobStore(tmp_path / "blobs"), part_size=PART)
    files = {"a": b"one", "b": b"two", "c": b"three", "d": b"four"}
    manifest = await stored(store, **files)
    verified = await store.verify(manifest.digest)
    assert (verified.blobs, verified.size) == (5, len(manifest.to_bytes()) + 15)
    for data, damage in ((b"one", b"0ne"), (b"two", b"twoo"), (b"three", None)):
        path = next((tmp_path / "blobs").rglob(digest_of(data)[7:]))
        path.chmod(0o644)
        path.write_bytes(damage) if damage else path.unlink()
    with pytest.raises(Damaged) as damaged:
        await store.verify(manifest.digest)
    assert {reason.field for reason in damaged.value.reasons} == {
        digest_of(data) for data in (b"one", b"two", b"three")
    }
    assert (await store.verify(digest_of(b"four"))).size == 4
    with pytest.raises(NotFound):
        await store.verify(digest_of(b"nothing"))
    store.close()


async def test_a_description_is_read_from_the_stored_bytes(store: ArtifactStore) -> None:
    weights = safetensors.numpy.save({"w": np.arange(900, dtype="float32")})
    manifest = await stored(store, weights=weights, note=pickle.dumps([1.5, {"a": 2}]))
    description = await store.describe(manifest.digest)
    assert (description.format, description.signature) == ("safetensors", None)
    assert description.formats == {"note": "pickle", "weights": "safetensors"}
    assert description.weights_digest is not None
    assert (description.digest, description.size) == (manifest.digest, manifest.size)
    assert description.files == manifest.files
    assert isinstance(description.signature, Signature | None)


async def test_many_descriptions_at_once_do_not_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    store = ArtifactStore(DirectoryBlobStore(tmp_path / "blobs"), part_size=PART)
    manifests = [await stored(store, model=pickle.dumps([n, n])) for n in range(40)]
    async with asyncio.timeout(30):
        found = await asyncio.gather(*(store.describe(manifest.digest) for manifest in manifests))
    assert {description.format for description in found} == {"pickle"}
    store.close()


async def test_a_description_of_what_is_gone_is_refused(
    store: ArtifactStore, blobs: MemoryBlobStore, clock: Clock
) -> None:
    manifest = await stored(store, a=b"1")
    await store.describe(manifest.digest)
    await blobs.delete(digest_of(b"1"))
    clock.now += timedelta(minutes=2)
    with pytest.raises(Refused, match="blobs_missing"):
        await store.describe(manifest.digest)
    with pytest.raises(NotFound, match="artifact_not_found"):
        await store.describe(digest_of(b"nothing"))
