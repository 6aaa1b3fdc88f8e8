"""Uploading: what the registry does not have yet, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from regista.artifacts.digests import digest_of
from regista.artifacts.manifest import MANIFEST_TYPE, Manifest
from regista.artifacts.scan import Scan, scan
from regista.client.exchange import FileBody, Request, Run, Steps
from regista.client.session import Session
from regista.domain.errors import Refused

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done and the bytes to do, from any thread. It goes back where a part is sent again."""

_ROUTE = "/v1/artifacts"
_PATIENCE = 300.0
"""Seconds that the registry may take to store what it was sent: durable means written to the disk."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """An artifact that the registry holds. ``sent`` bytes went over the wire; the rest was there already."""

    digest: str
    size: int
    files: int
    sent: int


@dataclass(frozen=True, slots=True)
class Push:
    """Upload a file or a folder. Its identity is the digest of its manifest, which the registry computes as well."""

    path: str | os.PathLike[str]
    progress: Progress | None = None

    def perform(self, session: Session) -> Steps[Pushed]:
        """Do it. Raises what ``regista.artifacts.scan.scan`` refuses, before anything is sent."""
        found = yield from scanned(self.path)
        return (yield from push(session, found, self.progress))


@dataclass(frozen=True, slots=True)
class _Blob:
    digest: str
    path: Path
    start: int
    size: int


def scanned(path: str | os.PathLike[str]) -> Steps[Scan]:
    """Read and hash what is to be uploaded."""
    found: Scan = yield Run(lambda: scan(path))
    return found


def push(session: Session, found: Scan, progress: Progress | None = None) -> Steps[Pushed]:
    """Offer the manifest; where the registry names blobs that it lacks, send those and offer it again."""
    manifest = found.manifest
    missing = yield from _offer(session, manifest)
    wanted = list(_blobs(found, missing))
    total, done = sum(blob.size for blob in wanted), 0
    for blob in wanted:
        body = FileBody(blob.path, blob.start, blob.size, _meter(progress, done, total))
        yield from session.exchange(_request(session, body, digest=blob.digest))
        done += blob.size
    if wanted:
        yield from session.exchange(_request(session, manifest.to_bytes(), media_type=MANIFEST_TYPE))
    return Pushed(manifest.digest, manifest.size, len(manifest.files), total)


def push_bytes(session: Session, content: bytes) -> Steps[str]:
    """Upload one blob from memory; its digest."""
    digest = digest_of(content)
    yield from session.exchange(_request(session, content, digest=digest))
    return digest


def _offer(session: Session, manifest: Manifest) -> Steps[frozenset[str]]:
    """The blobs that the registry lacks; with none it has taken the manifest."""
    try:
        yield from session.exchange(_request(session, manifest.to_bytes(), media_type=MANIFEST_TYPE))
    except Refused as error:
        if error.code != "blobs_missing":
            raise
        return frozenset(reason.field for reason in error.reasons if reason.field)
    return frozenset()


def _blobs(found: Scan, missing: Collection[str]) -> Iterator[_Blob]:
    """Where each missing blob lies; files with the same bytes are sent once."""
    seen: set[str] = set()
    for entry in found.manifest.files:
        start = 0
        for part in entry.blobs:
            if part.sha256 in missing and part.sha256 not in seen:
                seen.add(part.sha256)
                yield _Blob(part.sha256, found.sources[entry.path], start, part.size)
            start += part.size


def _meter(progress: Progress | None, before: int, total: int) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda sent, _: progress(before + sent, total)


def _request(
    session: Session, body: bytes | FileBody, *, digest: str | None = None, media_type: str = "application/octet-stream"
) -> Request:
    query = (("digest", digest),) if digest else ()
    return Request("POST", _ROUTE, query, session.headers(**{"Content-Type": media_type}), body, _PATIENCE)
