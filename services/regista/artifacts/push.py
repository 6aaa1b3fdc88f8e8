"""Uploading a local file or folder: only what the store does not have, the manifest last."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from regista.artifacts.manifest import PART_SIZE
from regista.artifacts.scan import Scan, scan
from regista.artifacts.steps import Has, Meter, OnProgress, PushStep, PushSteps, Send, SendManifest, Work

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from pathlib import Path

    from regista.artifacts.manifest import Manifest


class Uploader(Protocol):
    """What pushing asks of a connection to the registry."""

    def has(self, digest: str) -> bool:
        """Whether a blob is stored."""
        ...

    def send(self, digest: str, path: Path, offset: int, size: int, sent: Callable[[int], None]) -> None:
        """Upload a run of a file's bytes."""
        ...

    def send_manifest(self, digest: str, data: bytes) -> None:
        """Upload a manifest."""
        ...


class AsyncUploader(Protocol):
    """The same for asynchronous callers."""

    async def has(self, digest: str) -> bool:
        """Whether a blob is stored."""
        ...

    async def send(self, digest: str, path: Path, offset: int, size: int, sent: Callable[[int], None]) -> None:
        """Upload a run of a file's bytes."""
        ...

    async def send_manifest(self, digest: str, data: bytes) -> None:
        """Upload a manifest."""
        ...


def push_plan(
    path: str | os.PathLike[str], *, progress: OnProgress | None = None, part_size: int = PART_SIZE
) -> PushSteps[Manifest]:
    """Yield what has to be done to have a file or folder stored; the generator's value is its manifest.

    Errors of :func:`regista.artifacts.scan.scan`. A file changed after it was hashed is refused by the store, which checks digests.
    """
    found = yield Work(lambda: scan(path, part_size=part_size))
    assert isinstance(found, Scan)
    manifest = found.manifest
    # The manifest is stored only when all of its blobs are, so one question is enough for what was pushed before.
    if not (yield Has(manifest.digest)):
        yield from _blobs(found, Meter(manifest.size, progress))
    # Sent even where it is there: that renews the age of all its blobs.
    yield SendManifest(manifest.digest, manifest.to_bytes())
    return manifest


def _blobs(found: Scan, meter: Meter) -> PushSteps[None]:
    settled: set[str] = set()
    for entry in found.manifest.files:
        meter.at(entry.path)
        offset = 0
        for part in entry.blobs:
            if part.sha256 in settled or (yield Has(part.sha256)):
                meter.add(part.size)
            else:
                yield Send(part.sha256, found.sources[entry.path], offset, part.size, meter.add)
            settled.add(part.sha256)
            offset += part.size


def push(
    path: str | os.PathLike[str],
    uploader: Uploader,
    *,
    progress: OnProgress | None = None,
    part_size: int = PART_SIZE,
) -> Manifest:
    """Carry out :func:`push_plan` over a blocking uploader."""
    plan, result = push_plan(path, progress=progress, part_size=part_size), None
    while True:
        try:
            result = _do(plan.send(result), uploader)
        except StopIteration as end:
            manifest: Manifest = end.value
            return manifest


async def push_async(
    path: str | os.PathLike[str],
    uploader: AsyncUploader,
    *,
    progress: OnProgress | None = None,
    part_size: int = PART_SIZE,
) -> Manifest:
    """Carry out :func:`push_plan` over an asynchronous uploader; hashing runs in a thread."""
    plan, result = push_plan(path, progress=progress, part_size=part_size), None
    while True:
        try:
            step = plan.send(result)
        except StopIteration as end:
            manifest: Manifest = end.value
            return manifest
        result = await _do_async(step, uploader)


def _do(step: PushStep, uploader: Uploader) -> object:
    match step:
        case Work(call):
            return call()
        case Has(digest):
            return uploader.has(digest)
        case Send(digest, path, offset, size, sent):
            uploader.send(digest, path, offset, size, sent)
        case SendManifest(digest, data):
            uploader.send_manifest(digest, data)
    return None


async def _do_async(step: PushStep, uploader: AsyncUploader) -> object:
    match step:
        case Work(call):
            return await asyncio.to_thread(call)
        case Has(digest):
            return await uploader.has(digest)
        case Send(digest, path, offset, size, sent):
            await uploader.send(digest, path, offset, size, sent)
        case SendManifest(digest, data):
            await uploader.send_manifest(digest, data)
    return None
