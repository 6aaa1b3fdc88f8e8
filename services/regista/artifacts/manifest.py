"""The identity of a model's bytes: a canonical OCI image manifest over its files.

The form is OCI image-spec 1.1 (manifest.md, "Guidelines for Artifact Usage"): an empty config, one layer for each file with
its media type, size, digest and the path in ``org.opencontainers.image.title``. Canonical means: one set of files has one
byte string (keys sorted, no white space, UTF-8, layers by path), so its digest is a name for names, sizes and bytes at once.

A file over :data:`PART_SIZE` becomes several layers, each of exactly that size but the last, with the digest of the whole in
their annotations: no driver has to hold a larger object (S3 takes 5 GiB in one PUT), and all drivers cut alike.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from regista.artifacts.digests import digest_of, is_digest, mismatch, parse_digest
from regista.artifacts.paths import check_path, check_paths
from regista.domain.errors import Invalid, TooLarge

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.regista.model.v1"
FILE_TYPE = "application/octet-stream"
"""The media type of every file that is scanned. A guessed one would make identity depend on who guessed."""

PART_SIZE = 4 << 30
MANIFEST_LIMIT = 4 << 20
"""Bytes of a manifest: what OCI registries must accept (distribution-spec 1.1, "Pushing Manifests"), some 16,000 files."""

TITLE = "org.opencontainers.image.title"
FILE_DIGEST = "dev.regista.file.digest"
PART = "dev.regista.file.part"
PREFIX = b'{"artifactType":"' + ARTIFACT_TYPE.encode() + b'",'
"""What every canonical manifest starts with: tells one from other blobs without parsing those."""

_CONFIG = {
    "data": "e30=",
    "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    "mediaType": "application/vnd.oci.empty.v1+json",
    "size": 2,
}
# RFC 6838, section 4.2.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}")
_SIZE_LIMIT = 1 << 60


@dataclass(frozen=True, slots=True)
class Part:
    """A run of bytes that is stored as one blob; ``sha256`` is a full digest (``sha256:<hex>``)."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file: its path, size in bytes and digest (``sha256:<hex>``); ``parts`` only where it is over the part size."""

    path: str
    size: int
    sha256: str
    media_type: str = FILE_TYPE
    parts: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        check_path(self.path)
        parse_digest(self.sha256)
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise _invalid(f"{self.media_type[:100]!r} of {self.path!r} is not a media type")
        for part in self.blobs:
            parse_digest(part.sha256)
            if type(part.size) is not int or not 0 <= part.size < _SIZE_LIMIT:
                raise _invalid(f"the size of {self.path!r} is not a number of bytes")
        if sum(part.size for part in self.blobs) != self.size:
            raise _invalid(f"the parts of {self.path!r} do not add up to its size")

    @property
    def blobs(self) -> tuple[Part, ...]:
        """The blobs that hold the file, in order: one, unless it is split."""
        return self.parts or (Part(self.size, self.sha256),)


@dataclass(frozen=True)
class Manifest:
    """A model's files, sorted by path. Equal files give equal bytes and so an equal :attr:`digest`."""

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        if not self.files:
            raise Invalid("There is no file in it.", code="artifact_empty", hint="Name a file, or a folder with files.")
        object.__setattr__(self, "files", tuple(sorted(self.files, key=lambda entry: entry.path)))
        check_paths(entry.path for entry in self.files)
        if len(self.to_bytes()) > MANIFEST_LIMIT:
            raise _too_large()

    @classmethod
    def announced(cls, files: Iterable[FileEntry]) -> Manifest:
        """Manifest of files that lie elsewhere, from their sizes and digests alone.

        Its digest equals that of the same files scanned or uploaded, except where a file is over the part size and announced
        without its parts: then it is one layer, which can be verified but not stored here.
        """
        return cls(tuple(files))

    @classmethod
    def scan(cls, path: str | os.PathLike[str], *, part_size: int = PART_SIZE) -> Manifest:
        """Read and hash a local file or folder; see :func:`regista.artifacts.scan.scan` for what is refused."""
        from regista.artifacts.scan import scan  # the scanner builds manifests, so it imports this module  # noqa: PLC0415

        return scan(path, part_size=part_size).manifest

    @classmethod
    def from_bytes(cls, data: bytes, *, digest: str | None = None, part_size: int = PART_SIZE) -> Manifest:
        """Read a canonical manifest, and nothing else.

        Raises ``TooLarge`` over :data:`MANIFEST_LIMIT`, ``Invalid`` with the code ``digest_mismatch`` where ``digest`` names
        other bytes, ``path_invalid`` for paths, ``manifest_invalid`` for all else that :meth:`to_bytes` would not write.
        """
        if len(data) > MANIFEST_LIMIT:
            raise _too_large()
        if digest is not None and digest_of(data) != digest:
            raise mismatch(digest, digest_of(data))
        try:
            document = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _invalid("it is not JSON in UTF-8") from error
        manifest = cls(tuple(_entries(document)))
        for entry in manifest.files:
            _check_parts(entry, part_size)
        if manifest.to_bytes() != data:
            raise _invalid("it is not canonical: keys sorted, no white space, UTF-8, layers sorted by path")
        return manifest

    def to_bytes(self) -> bytes:
        """Return the canonical bytes: what is hashed, stored and sent."""
        return self._bytes

    @property
    def digest(self) -> str:
        """The identity of the model: ``sha256:<hex>`` of :meth:`to_bytes`."""
        return self._digest

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)

    @property
    def blobs(self) -> dict[str, int]:
        """Every blob that the files need, by digest, with its size."""
        return {part.sha256: part.size for entry in self.files for part in entry.blobs}

    def file(self, path: str) -> FileEntry | None:
        """Return the file at ``path``, or None."""
        return self._by_path.get(path)

    @cached_property
    def _bytes(self) -> bytes:
        document = {
            "artifactType": ARTIFACT_TYPE,
            "config": _CONFIG,
            "layers": [layer for entry in self.files for layer in _layers(entry)],
            "mediaType": MANIFEST_TYPE,
            "schemaVersion": 2,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def _digest(self) -> str:
        return digest_of(self._bytes)

    @cached_property
    def _by_path(self) -> Mapping[str, FileEntry]:
        return {entry.path: entry for entry in self.files}


def _layers(entry: FileEntry) -> Iterable[dict[str, object]]:
    for number, part in enumerate(entry.blobs, start=1):
        annotations = {TITLE: entry.path}
        if entry.parts:
            annotations |= {FILE_DIGEST: entry.sha256, PART: f"{number}/{len(entry.parts)}"}
        yield {"annotations": annotations, "digest": part.sha256, "mediaType": entry.media_type, "size": part.size}


def _entries(document: object) -> list[FileEntry]:
    """Put the layers of a parsed manifest back together as files; only what is canonical survives the round trip."""
    layers = document.get("layers") if isinstance(document, dict) else None
    if not isinstance(layers, list):
        raise _invalid("it has no list of layers")
    grouped: dict[str, list[dict[str, Any]]] = {}
    for layer in layers:
        annotations = layer.get("annotations") if isinstance(layer, dict) else None
        title = annotations.get(TITLE) if isinstance(annotations, dict) else None
        if not isinstance(title, str):
            raise _invalid(f"a layer has no annotation {TITLE}")
        grouped.setdefault(title, []).append(layer)
    return [_entry(path, layers) for path, layers in grouped.items()]


def _entry(path: str, layers: list[dict[str, Any]]) -> FileEntry:
    parts = []
    for layer in layers:
        size, digest = layer.get("size"), layer.get("digest")
        if type(size) is not int or not isinstance(digest, str):
            raise _invalid(f"a layer of {path!r} lacks its size or digest")
        parts.append(Part(size, digest))
    media_type = layers[0].get("mediaType")
    if not isinstance(media_type, str):
        raise _invalid(f"a layer of {path!r} lacks its media type")
    whole = layers[0]["annotations"].get(FILE_DIGEST)
    if whole is None and len(parts) == 1:
        return FileEntry(path, parts[0].size, parts[0].sha256, media_type)
    if not isinstance(whole, str) or not is_digest(whole):
        raise Invalid(f"The path {path!r} is there twice, or its parts lack {FILE_DIGEST}.", code="path_invalid")
    return FileEntry(path, sum(part.size for part in parts), whole, media_type, tuple(parts))


def _check_parts(entry: FileEntry, part_size: int) -> None:
    whole, rest = divmod(entry.size, part_size)
    expected = [part_size] * whole + [rest] * bool(rest)
    if entry.size <= part_size and not entry.parts:
        return
    if entry.size <= part_size or [part.size for part in entry.parts] != expected:
        raise _invalid(f"{entry.path!r} must be cut in parts of {part_size} bytes, and only where it is larger")


def _invalid(why: str) -> Invalid:
    return Invalid(
        f"This is not a manifest of Regista: {why}.",
        code="manifest_invalid",
        hint="Build it with regista.artifacts.manifest.Manifest, or in the form that docs/architecture.md gives.",
    )


def _too_large() -> TooLarge:
    return TooLarge(
        f"The manifest is over {MANIFEST_LIMIT >> 20} MiB.",
        code="manifest_too_large",
        hint="Pack many small files into one archive.",
    )
