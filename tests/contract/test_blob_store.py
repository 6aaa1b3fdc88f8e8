"""What every place for blobs must do, whichever it is."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from regista.artifacts.digests import digest_of
from regista.artifacts.directory import DirectoryBlobStore
from regista.artifacts.memory import MemoryBlobStore
from regista.domain.errors import Invalid, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from regista.artifacts.blob_store import BlobStore

LARGE = os.urandom(5 << 20) + b"and an odd end"


@pytest.fixture(params=["memory", "directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return MemoryBlobStore() if request.param == "memory" else DirectoryBlobStore(tmp_path / "artifacts")


async def chunks(data: bytes, length: int = 100_000) -> AsyncIterator[bytes]:
    for offset in range(0, len(data), length):
        yield data[offset : offset + length]


async def read(store: BlobStore, digest: str, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.open(digest, start, stop)])


async def put(store: BlobStore, data: bytes) -> str:
    await store.put_if_absent(digest_of(data), chunks(data), len(data))
    return digest_of(data)


async def everything(store: BlobStore) -> set[str]:
    return {info.digest async for info in store.walk()}


@pytest.mark.parametrize("data", [b"", b"x", LARGE], ids=["empty", "one byte", "several batches"])
async def test_what_is_put_is_read_back(store: BlobStore, data: bytes) -> None:
    assert await store.put_if_absent(digest_of(data), chunks(data))
    assert await read(store, digest_of(data)) == data
    info = await store.head(digest_of(data))
    assert info is not None
    assert (info.digest, info.size, info.held, info.retained_until) == (digest_of(data), len(data), False, None)
    assert await everything(store) == {digest_of(data)}


async def test_a_second_upload_finds_the_first(store: BlobStore) -> None:
    digest = await put(store, LARGE)
    assert not await store.put_if_absent(digest, chunks(LARGE), len(LARGE))
    assert await read(store, digest) == LARGE


@pytest.mark.parametrize("present", [False, True], ids=["new", "present"])
async def test_other_bytes_than_announced_are_refused(store: BlobStore, present: bool) -> None:
    digest = await put(store, b"right") if present else digest_of(b"right")
    with pytest.raises(Invalid) as refusal:
        await store.put_if_absent(digest, chunks(b"wrong"))
    assert refusal.value.code == "digest_mismatch"
    assert await everything(store) == ({digest} if present else set())


@pytest.mark.parametrize("size", [4, 6])
async def test_another_size_than_announced_is_refused(store: BlobStore, size: int) -> None:
    with pytest.raises(Invalid) as refusal:
        await store.put_if_absent(digest_of(b"right"), chunks(b"right"), size)
    assert refusal.value.code == "size_mismatch"
    assert await everything(store) == set()


async def test_a_stream_that_breaks_leaves_nothing(store: BlobStore) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield LARGE
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_if_absent(digest_of(LARGE), broken())
    assert await everything(store) == set()
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(days=1)) == 0


async def test_a_cancelled_upload_leaves_nothing(store: BlobStore) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield LARGE
        waiting.set()
        await asyncio.Event().wait()

    upload = asyncio.create_task(store.put_if_absent(digest_of(LARGE), endless()))
    await waiting.wait()
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await everything(store) == set()
    assert await store.discard_unfinished(datetime.now(UTC) + timedelta(days=1)) == 0


async def test_of_many_uploads_at_once_one_is_first(store: BlobStore) -> None:
    digest = digest_of(LARGE)
    created = await asyncio.gather(*(store.put_if_absent(digest, chunks(LARGE)) for _ in range(8)))
    assert sorted(created) == [False] * 7 + [True]
    assert await read(store, digest) == LARGE


@pytest.mark.parametrize(
    ("start", "stop"), [(0, 1), (7, 7), (1, 1 << 20), ((1 << 20) - 1, (2 << 20) + 1), (5 << 20, None), (0, 1 << 40)]
)
async def test_ranges_are_half_open_and_cut_at_the_end(store: BlobStore, start: int, stop: int | None) -> None:
    digest = await put(store, LARGE)
    assert await read(store, digest, start, stop) == LARGE[start:stop]


async def test_chunks_are_bounded(store: BlobStore) -> None:
    digest = await put(store, LARGE)
    assert max([len(chunk) async for chunk in store.open(digest)]) <= 1 << 20


async def test_what_is_not_there(store: BlobStore) -> None:
    digest = digest_of(b"nothing")
    assert await store.head(digest) is None
    assert await store.renew([digest]) == {digest}
    assert not await store.delete(digest)
    with pytest.raises(NotFound, match="artifact_not_found"):
        await read(store, digest)
    with pytest.raises(NotFound, match="artifact_not_found"):
        await store.hold(digest, held=True)
    with pytest.raises(NotFound, match="artifact_not_found"):
        await store.retain_until(digest, datetime.now(UTC))


@pytest.mark.parametrize(
    "digest", ["", "sha256:", "sha256:../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 64]
)
async def test_a_malformed_digest_never_reaches_the_storage(store: BlobStore, digest: str) -> None:
    for attempt in (
        store.head(digest),
        store.renew([digest]),
        store.delete(digest),
        store.put_if_absent(digest, chunks(b"")),
    ):
        with pytest.raises(Invalid, match="digest_malformed"):
            await attempt
    with pytest.raises(Invalid, match="digest_malformed"):
        await read(store, digest)


async def test_a_hold_forbids_deletion_until_released(store: BlobStore) -> None:
    digest = await put(store, b"evidence")
    await store.hold(digest, held=True)
    with pytest.raises(Refused, match="artifact_held"):
        await store.delete(digest)
    info = await store.head(digest)
    assert info is not None
    assert info.held
    assert await read(store, digest) == b"evidence"
    await store.hold(digest, held=False)
    assert await store.delete(digest)
    assert await store.head(digest) is None


async def test_a_retention_forbids_deletion_and_is_never_shortened(store: BlobStore) -> None:
    digest, soon = await put(store, b"evidence"), datetime.now(UTC) + timedelta(hours=1)
    await store.retain_until(digest, soon)
    await store.retain_until(digest, soon + timedelta(hours=1))
    with pytest.raises(Refused, match="artifact_held"):
        await store.retain_until(digest, soon)
    with pytest.raises(Refused, match="artifact_held"):
        await store.delete(digest)
    await store.hold(digest, held=True)
    await store.hold(digest, held=False)
    info = await store.head(digest)
    assert info is not None
    assert info.retained_until == soon + timedelta(hours=1)


async def test_a_retention_that_is_over_forbids_nothing(store: BlobStore) -> None:
    digest = await put(store, b"old")
    await store.retain_until(digest, datetime.now(UTC) - timedelta(seconds=1))
    assert await store.delete(digest)


async def test_deletion_spares_what_was_renewed(store: BlobStore) -> None:
    digest, before = await put(store, b"orphan"), datetime.now(UTC) - timedelta(hours=1)
    assert not await store.delete(digest, unless_renewed_after=before)
    assert await store.renew([digest]) == set()
    assert await store.delete(digest, unless_renewed_after=datetime.now(UTC) + timedelta(hours=1))


async def test_many_are_renewed_at_once_and_those_that_are_gone_named(store: BlobStore) -> None:
    there, gone = [await put(store, data) for data in (b"1", b"2")], digest_of(b"3")
    assert await store.renew([*there, gone]) == {gone}
    assert await store.renew([]) == set()


async def test_a_renewal_and_a_deletion_at_once_agree(store: BlobStore) -> None:
    """Whoever was told "it is there" finds it: of the two one wins, and the other says so."""
    outcomes = set()
    for number in range(200):
        digest = await put(store, str(number).encode())
        before = datetime.now(UTC)
        gone, deleted = await asyncio.gather(store.renew([digest]), store.delete(digest, unless_renewed_after=before))
        outcomes.add((bool(gone), deleted, await store.head(digest) is not None))
    assert outcomes <= {(False, False, True), (True, True, False)}


async def test_an_upload_renews_what_is_there(store: BlobStore) -> None:
    digest = await put(store, b"orphan")
    first = await store.head(digest)
    await put(store, b"orphan")
    second = await store.head(digest)
    assert first is not None
    assert second is not None
    assert second.renewed_at > first.renewed_at


async def test_deleted_bytes_can_be_stored_again(store: BlobStore) -> None:
    digest = await put(store, b"again")
    assert await store.delete(digest)
    assert await store.put_if_absent(digest, chunks(b"again"))


async def test_no_storage_answers_behind_these(store: BlobStore) -> None:
    digest = await put(store, b"here")
    assert await store.presign(digest, method="GET", lifetime=timedelta(minutes=5)) is None
