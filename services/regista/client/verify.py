"""Reading an artifact's bytes again: those in the registry by the registry, those that lie elsewhere from this machine.

The registry never opens a URI that somebody registered: it would do so with its own rights, inside its own network. Who
asks opens it, with theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from regista.artifacts.external import verify_external
from regista.artifacts.manifest import FileEntry, Manifest
from regista.client.exchange import Request, Run, Steps
from regista.client.session import Session, path
from regista.domain.errors import Damaged, Refused
from regista.wire.base import Resource
from regista.wire.resources import Artifact, Version

T = TypeVar("T")
STORED = "regista:"
_PATIENCE = 3600.0
"""Seconds for the registry to read an artifact: a large one takes long."""


class PickleImports(Resource):
    """What the pickles of an artifact import when they are loaded, and what of it nobody has vouched for.

    With ``complete`` false there may be more; ``problem`` says why.
    """

    imports: list[str]
    disallowed: list[str]
    complete: bool
    problem: str | None = None


class ArtifactChecked(Resource):
    """What was read and found to be what its digests say: so many blobs, so many bytes; None where there is no pickle."""

    digest: str
    blobs: int
    size: int
    pickle: PickleImports | None = None


class VersionChecked(Resource):
    """The bytes of a version are what was registered. ``read_by``: the registry its own, this machine those elsewhere.

    ``read`` counts files, and in the registry blobs: the manifest is one of them.
    """

    model: str
    version: str
    uri: str
    digest: str
    read_by: Literal["registry", "client"]
    read: int
    size: int
    pickle: PickleImports | None = None


@dataclass(frozen=True, slots=True)
class VerifyArtifact:
    """Have the registry read stored bytes again."""

    digest: str

    def perform(self, session: Session) -> Steps[ArtifactChecked]:
        """Do it. Takes as long as reading them does."""
        request = Request("POST", path("artifacts", self.digest, "verify"), (), session.headers(), timeout=_PATIENCE)
        return session.ask(request, ArtifactChecked)


@dataclass(frozen=True, slots=True)
class VerifyVersion:
    """Compare the bytes of a version with its digests, wherever they lie."""

    model: str
    ref: str

    def perform(self, session: Session) -> Steps[VersionChecked]:
        """Do it."""
        request = session.reading(path("models", self.model, "versions", self.ref))
        version = yield from session.ask(request, Version)
        artifact = version.artifact
        if not artifact.digest:
            raise Refused(
                f"{version.model} {version.version} was imported without its artifact",
                code="no_artifact",
                hint="There is nothing to verify.",
            )
        told = {"model": version.model, "version": version.version, "uri": artifact.uri, "digest": artifact.digest}
        if artifact.uri.startswith(STORED):
            checked = yield from VerifyArtifact(artifact.digest).perform(session)
            return VersionChecked(
                **told, read_by="registry", read=checked.blobs, size=checked.size, pickle=checked.pickle
            )
        manifest = _manifest(artifact)
        found = yield Run(lambda: _in_its_own_loop(lambda: verify_external(artifact.uri, manifest)))
        return VersionChecked(**told, read_by="client", read=found.blobs, size=found.size)


def _manifest(artifact: Artifact) -> Manifest:
    manifest = Manifest.announced(FileEntry(file.path, file.size, file.sha256) for file in artifact.files)
    if manifest.digest != artifact.digest:
        raise Damaged(
            f"the registered files make the manifest {manifest.digest}, not {artifact.digest}",
            code="digest_mismatch",
            hint="regista verify tells whether the log is whole.",
        )
    return manifest


def _in_its_own_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run it in a thread of its own, since the caller's may have a loop already, as in a notebook."""
    with ThreadPoolExecutor(1, thread_name_prefix="regista-verify") as thread:
        return thread.submit(lambda: asyncio.run(work())).result()
