"""What the registrar knows of an artifact that a registration names, from the store or from the announcement.

Three ways to name one:

* ``digest`` alone, or with the URI ``regista:<digest>``: uploaded before; sizes, format and signature are read from it.
* ``uri`` with ``files[]``: it lies elsewhere; its manifest is made of the announced sizes and digests, and ``digest``,
  where given, must be the manifest's.
* ``uri`` with ``digest`` and ``size``: one file that lies elsewhere; ``digest`` is the file's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from regista.artifacts.manifest import FileEntry, Manifest
from regista.domain.commands import AnnouncedArtifact
from regista.domain.errors import NotFound, Reason, RegistaError
from regista.domain.metadata import Artifact, Code, File, Signature
from regista.domain.model import KnownArtifact
from regista.domain.references import check_digest

STORED = "regista:"
"""The scheme of URIs that point into the artifact store: ``regista:sha256:…``."""
UNKNOWN_FORMAT = "unknown"
_NOT_PATH = re.compile("[?#]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:", re.ASCII)
"""RFC 3986, section 3.1."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a stored artifact turned out to be, by its bytes."""

    manifest: Manifest
    format: str
    signature: Signature | None
    weights_digest: str | None


class ArtifactSource(Protocol):
    """What the registrar asks of the artifact store."""

    async def describe(self, digest: str) -> Described:
        """What lies under the digest of a manifest. Raises ``NotFound``."""

    async def missing(self, digests: Iterable[str]) -> frozenset[str]:
        """Those blobs that are gone, and those manifests of which any byte is; the age of the others is renewed."""


def is_stored(uri: str) -> bool:
    """Whether the bytes behind a URI are in the artifact store."""
    return uri.startswith(STORED)


class Artifacts:
    """The registrar's view of artifacts, stored and announced."""

    def __init__(self, source: ArtifactSource) -> None:
        self._source = source

    async def missing(self, digests: Sequence[str]) -> frozenset[str]:
        """Those manifests of which any byte is gone."""
        return await self._source.missing(digests)

    async def know(self, announced: AnnouncedArtifact) -> KnownArtifact:
        """All that is known, or every problem with what was announced. Nothing announced: nothing known."""
        if announced == AnnouncedArtifact():
            return KnownArtifact()
        problems = list(_malformed(announced))
        if problems:
            return KnownArtifact(problems=tuple(problems))
        if announced.uri is None or is_stored(announced.uri):
            return await self._stored(announced)
        return _external(announced, announced.uri)

    async def know_code(self, code: Code | None) -> tuple[Reason, ...]:
        """Why the training code cannot be recorded: a snapshot that is not stored. The age of one that is, is renewed."""
        snapshot = None if code is None else code.snapshot
        if snapshot is None or next(_bad_digest(snapshot, "code.snapshot"), None):
            return ()  # the rules refuse a digest that is none
        if not await self._source.missing([snapshot]):
            return ()
        detail = f"{snapshot} is not in the artifact store"
        hint = "Upload the script first: POST /v1/artifacts?digest=…; regista.capture(snapshot=True) does so."
        return (Reason("artifact_not_uploaded", detail, "code.snapshot", hint),)

    async def _stored(self, announced: AnnouncedArtifact) -> KnownArtifact:
        try:
            digest = _stored_digest(announced)
            if digest is None:
                hint = (
                    "Upload the files first (regista register MODEL PATH does) and give artifact.digest, or give a uri."
                )
                return _problem("missing", "the artifact is not named", "artifact.digest", hint)
            found = await self._source.describe(digest)
        except NotFound:
            hint = "Upload its files and then its manifest: POST /v1/artifacts; regista register MODEL PATH does both."
            return _problem("artifact_not_uploaded", f"{digest} is not in the artifact store", "artifact.digest", hint)
        except RegistaError as error:
            return _problem(error.code, error.detail, "artifact", error.hint)
        manifest = found.manifest
        told = Artifact(
            uri=STORED + digest,
            digest=digest,
            size=manifest.size,
            format=found.format if found.format != UNKNOWN_FORMAT else announced.format or UNKNOWN_FORMAT,
            files=tuple(File(entry.path, entry.size, entry.sha256) for entry in manifest.files),
            weights_digest=found.weights_digest or announced.weights_digest,
        )
        problems = tuple(_contradictions(announced, told, found.format))
        return KnownArtifact(None if problems else told, found.signature, problems)


def _external(announced: AnnouncedArtifact, uri: str) -> KnownArtifact:
    try:
        manifest = _announced_manifest(announced, uri)
    except RegistaError as error:
        return _problem(error.code, error.detail, "artifact.files", error.hint)
    if manifest is None:
        hint = "Give artifact.files with path, size and sha256 of each, or digest and size of the one file."
        return _problem("missing", "size and digest of the artifact are not known", "artifact.files", hint)
    if announced.files and announced.digest not in (None, manifest.digest):
        detail = f"the manifest of the announced files is {manifest.digest}, not {announced.digest}"
        return _problem("digest_mismatch", detail, "artifact.digest", "Leave it out, or mend the list of files.")
    if announced.size not in (None, manifest.size):
        detail = f"the files add up to {manifest.size} bytes, not {announced.size}"
        return _problem("size_mismatch", detail, "artifact.size", "Leave it out, or mend the list of files.")
    files = tuple(File(entry.path, entry.size, entry.sha256) for entry in manifest.files)
    known = Artifact(
        uri, manifest.digest, manifest.size, announced.format or UNKNOWN_FORMAT, files, announced.weights_digest
    )
    return KnownArtifact(known)


def _announced_manifest(announced: AnnouncedArtifact, uri: str) -> Manifest | None:
    if announced.files:
        return Manifest.announced(FileEntry(file.path, file.size, file.sha256) for file in announced.files)
    if announced.digest is None or announced.size is None:
        return None
    name = _NOT_PATH.split(uri, 1)[0].rpartition("/")[2] or "artifact"
    return Manifest.announced([FileEntry(name, announced.size, announced.digest)])


def _stored_digest(announced: AnnouncedArtifact) -> str | None:
    if announced.uri is not None:
        return check_digest(announced.uri.removeprefix(STORED), "artifact.uri")
    if announced.files:
        return _announced_digest(announced)
    return announced.digest


def _announced_digest(announced: AnnouncedArtifact) -> str:
    return Manifest.announced(FileEntry(file.path, file.size, file.sha256) for file in announced.files).digest


def _contradictions(announced: AnnouncedArtifact, told: Artifact, format_read: str) -> Iterable[Reason]:
    if announced.digest not in (None, told.digest):
        detail = f"the artifact is {told.digest}, not {announced.digest}"
        yield Reason("digest_mismatch", detail, "artifact.digest", "Name what was uploaded.")
    if announced.size not in (None, told.size):
        detail = f"the artifact has {told.size} bytes, not {announced.size}"
        yield Reason("size_mismatch", detail, "artifact.size", "Leave it out: it is known.")
    if format_read != UNKNOWN_FORMAT and announced.format not in (None, format_read):
        detail = f"by its bytes the artifact is {format_read}, not {announced.format}"
        yield Reason("format_mismatch", detail, "artifact.format", "Leave it out: it is read from the bytes.")
    if announced.weights_digest not in (None, told.weights_digest):
        detail = f"the weights are {told.weights_digest}, not {announced.weights_digest}"
        yield Reason("digest_mismatch", detail, "artifact.weights_digest", "Leave it out: it is read from the bytes.")


def _malformed(announced: AnnouncedArtifact) -> Iterable[Reason]:
    yield from _bad_digest(announced.digest, "artifact.digest")
    yield from _bad_digest(announced.weights_digest, "artifact.weights_digest")
    for i, file in enumerate(announced.files):
        yield from _bad_digest(file.sha256, f"artifact.files[{i}].sha256")
    if announced.uri is not None and _SCHEME.match(announced.uri) is None:
        hint = "Write it with a scheme: s3://bucket/key, https://…, file:///…"
        yield Reason("bad_uri", f"{announced.uri!r} is no absolute URI", "artifact.uri", hint)


def _bad_digest(digest: str | None, field: str) -> Iterator[Reason]:
    try:
        if digest is not None:
            check_digest(digest, field)
    except RegistaError as error:
        yield Reason(error.code, error.detail, field, error.hint)


def _problem(code: str, detail: str, field: str, hint: str | None) -> KnownArtifact:
    return KnownArtifact(problems=(Reason(code, detail, field, hint),))
