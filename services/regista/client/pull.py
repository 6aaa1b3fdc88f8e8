"""Downloading: every file is what its digest says, or it is not there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from regista.artifacts.digests import digest_file
from regista.artifacts.manifest import FileEntry, Manifest
from regista.client.exchange import Receive, Request, Run, Sleep, Steps, Stream, TransportFault
from regista.client.landing import beside, finish
from regista.client.push import Progress
from regista.client.retry import open_stream, unreachable
from regista.client.session import Session, path
from regista.domain.errors import Damaged, NotFound, Refused
from regista.wire.resources import Version

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """Files that are on this machine now. ``kept`` bytes of ``size`` were there already, and checked."""

    digest: str
    directory: Path
    files: tuple[str, ...]
    size: int
    kept: int
    model: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class PullVersion:
    """Download the files of a version."""

    model: str
    ref: str
    directory: Path
    progress: Progress | None = None

    def perform(self, session: Session) -> Steps[Pulled]:
        """Do it."""
        request = session.reading(path("models", self.model, "versions", self.ref))
        version = yield from session.ask(request, Version)
        try:
            pulled = yield from pull(session, version.artifact.digest, self.directory, self.progress)
        except NotFound as error:
            raise NotFound(
                f"the registry does not hold the bytes of {version.model} {version.version}: {error.detail}",
                code=error.code,
                hint=f"They were registered at {version.artifact.uri}; their digests are in the version's artifact.files.",
            ) from error
        return replace(pulled, model=version.model, version=version.version)


@dataclass(frozen=True, slots=True)
class PullArtifact:
    """Download the files of an artifact by its digest."""

    digest: str
    directory: Path
    progress: Progress | None = None

    def perform(self, session: Session) -> Steps[Pulled]:
        """Do it."""
        return pull(session, self.digest, self.directory, self.progress)


def pull(session: Session, digest: str, directory: Path, progress: Progress | None = None) -> Steps[Pulled]:
    """Fetch the manifest, then every file that is not there yet.

    Each is written beside its place and moved there once its digest is right: whoever sees a file sees the right one.
    A broken download goes on where it stopped. Other files in the directory are left alone.

    Raises:
        Refused: ``would_overwrite``, when another file has the place of one of these; nothing is downloaded then.
        Damaged: ``digest_mismatch``, when the bytes that came are others than the manifest says.
    """
    response = yield from session.exchange(session.reading(path("artifacts", digest), fresh=False))
    manifest = Manifest.from_bytes(response.content, digest=digest)
    present: set[str] = yield Run(lambda: _present(manifest, directory))
    kept = sum(entry.size for entry in manifest.files if entry.path in present)
    done = kept
    for entry in manifest.files:
        if entry.path not in present:
            yield from _fetch(session, digest, entry, directory / entry.path, _Meter(progress, done, manifest.size))
            done += entry.size
    return Pulled(manifest.digest, directory, tuple(entry.path for entry in manifest.files), manifest.size, kept)


@dataclass(frozen=True, slots=True)
class _Meter:
    progress: Progress | None
    before: int
    total: int

    def at(self, size: int) -> None:
        if self.progress:
            self.progress(self.before + size, self.total)


def _present(manifest: Manifest, directory: Path) -> set[str]:
    """The files that are there already, right to the last bit."""
    root = directory.resolve()
    present, others = set(), []
    for entry in manifest.files:
        place = directory / entry.path
        if not place.resolve().is_relative_to(root):
            raise Refused(
                f"{place} leads out of {directory}", code="would_escape", hint="Pull into an empty directory."
            )
        if not os.path.lexists(place):
            continue
        same = place.is_file() and place.stat().st_size == entry.size and digest_file(place) == entry.sha256
        present.add(entry.path) if same else others.append(entry.path)
    if others:
        raise Refused(
            f"{directory} holds other files under these names: {', '.join(others[:5])}",
            code="would_overwrite",
            hint="Pull into an empty directory, or move those files away.",
        )
    return present


def _fetch(session: Session, digest: str, entry: FileEntry, place: Path, meter: _Meter) -> Steps[None]:
    with beside(place) as (temporary, file):
        hasher = hashlib.sha256()
        received, attempt = 0, 1
        began = session.patience.clock()
        while received < entry.size or not entry.size:
            opened = yield from open_stream(_request(session, digest, entry, received), session.patience, _CHUNK)
            if received and opened.response.status != 206:
                raise Damaged(f"the registry does not go on at byte {received} of {entry.path}", code="no_range")
            before = received
            fault = None
            if opened.stream is not None:
                received, fault = yield from _write(opened.stream, file, hasher, received, meter)
            if received >= entry.size:
                break
            # As long as bytes come it goes on; only an attempt that brings none counts.
            attempt = attempt + 1 if received == before else 1
            if attempt > session.patience.attempts:
                spent = session.patience.clock() - began
                raise unreachable(_request(session, digest, entry, received), fault, attempt - 1, spent)
            yield Sleep(session.patience.pause(attempt, None))
        if received != entry.size or f"sha256:{hasher.hexdigest()}" != entry.sha256:
            raise Damaged(
                f"{entry.path}: other bytes came than the manifest says",
                code="digest_mismatch",
                hint=f"POST /v1/artifacts/{digest}/verify tells whether the registry's copy is damaged.",
            )
        yield Run(lambda: finish(file, temporary, place))


def _request(session: Session, digest: str, entry: FileEntry, start: int) -> Request:
    route = f"{path('artifacts', digest)}/{quote(entry.path, safe='/')}"
    headers = {"Accept": "application/octet-stream", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    return Request("GET", route, (), session.headers(**headers))


def _write(
    stream: Stream, file: BinaryIO, hasher: hashlib._Hash, received: int, meter: _Meter
) -> Steps[tuple[int, TransportFault | None]]:
    def take(chunk: bytes) -> None:
        hasher.update(chunk)
        file.write(chunk)

    try:
        while (chunk := (yield Receive(stream))) is not None:
            data: bytes = chunk
            yield Run(lambda data=data: take(data))  # type: ignore[misc]  # mypy cannot type a default of a lambda
            received += len(data)
            meter.at(received)
    except TransportFault as fault:
        return received, fault
    return received, None
