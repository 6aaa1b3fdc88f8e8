"""All that an artifact's bytes tell, in one answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from regista.artifacts.formats import detect
from regista.artifacts.manifest import FileEntry, Manifest
from regista.artifacts.signatures import read_signature, weights_digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regista.artifacts.source import Source
    from regista.domain.metadata import Signature


@dataclass(frozen=True, slots=True)
class Description:
    """An artifact by its bytes: ``format`` of the whole, ``formats`` by path; see :mod:`regista.artifacts.signatures`."""

    manifest: Manifest
    format: str
    formats: Mapping[str, str]
    signature: Signature | None
    weights_digest: str | None

    @property
    def digest(self) -> str:
        """The identity of the artifact."""
        return self.manifest.digest

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return self.manifest.size

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """The files, by path."""
        return self.manifest.files


def describe(source: Source, manifest: Manifest) -> Description:
    """Read format, signature and weights digest. Blocking; reads all of the weights where they can be told apart."""
    detection = detect(source)
    return Description(
        manifest,
        detection.format,
        detection.files,
        read_signature(source, detection),
        weights_digest(source, detection),
    )
