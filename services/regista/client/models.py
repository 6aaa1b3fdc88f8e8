"""Models with their files: registering, uploading, downloading."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat

from pydantic import BaseModel

from regista.client.bind import read, write
from regista.client.calls import Structure
from regista.client.pull import PullArtifact, PullVersion
from regista.client.push import Progress, Push
from regista.client.register import Register, Source
from regista.client.session import given
from regista.client.training.run import Run
from regista.client.verify import VerifyArtifact, VerifyVersion

if TYPE_CHECKING:
    from regista.wire import requests  # a tenth of the SDK's loading time, for types alone

Change = Literal["interface", "retrained", "configuration"]


class Models:
    """The operations that move files, of both clients."""

    @write
    def register(  # the fields of the API
        self,
        model: str,
        artifact: Source = None,
        *,
        version: str = "auto",
        run: Run | None = None,
        create: bool = True,
        base: str | None = None,
        change: Change | None = None,
        example: Any = None,  # noqa: ANN401 - what the model is called with
        metrics: Mapping[str, SupportsFloat] | None = None,
        params: Mapping[str, object] | None = None,
        configuration: Mapping[str, object] | None = None,
        datasets: Sequence[requests.Dataset | Structure] | None = None,
        evaluations: Sequence[requests.Evaluation | Structure] | None = None,
        signature: requests.Signature | Structure | None = None,
        code: requests.Code | Structure | None = None,
        parents: Sequence[requests.Parent | Structure] | None = None,
        author: str | None = None,
        trained_at: datetime | None = None,
        tags: Mapping[str, str] | None = None,
        custom: Mapping[str, Any] | None = None,
        description: str | None = None,
        reason: str | None = None,
        metadata: requests.RegisterVersion | Structure | None = None,
        if_match: int | str | None = None,
        command_id: str | None = None,
        progress: Progress | None = None,
    ) -> Register:
        """Upload a model's files and register them as a version; the answer has its number, and why it got that.

        ``artifact`` is the path of a file or a folder, or a model object: a scikit-learn estimator is written with
        joblib, anything else as a pickle, and inputs, outputs and hyperparameters are read from it. Left out, the
        ``metadata`` names bytes that lie elsewhere (``artifact.uri`` with sizes and digests).

        ``run`` is what ``regista.capture()`` recorded; ``metadata`` has any field of the API; the named arguments win over
        both. ``create``: a new model's name is taken at once. Files that the registry has are not sent again.

        ``register.dry_run`` uploads the files, too: what they are decides about the number.

        Raises:
            Invalid: ``missing_metadata``, before anything is sent: each reason has the line of code that supplies it.
            Refused: the rules say no.
        """
        fields = given(
            version=version,
            base=base,
            change=change,
            metrics=metrics,
            params=params,
            configuration=configuration,
            datasets=datasets,
            evaluations=evaluations,
            signature=signature,
            code=code,
            parents=parents,
            author=author,
            trained_at=trained_at,
            tags=tags,
            custom=custom,
            description=description,
            reason=reason,
        )
        more = metadata.model_dump(exclude_unset=True) if isinstance(metadata, BaseModel) else metadata
        everything = {**(more or {}), **fields}
        return Register(model, artifact, run, everything, create, example, if_match, command_id, progress)

    @read
    def push(self, source: str | os.PathLike[str], *, progress: Progress | None = None) -> Push:
        """Upload a file or a folder without registering it. What nothing registers within a day is collected."""
        return Push(source, progress)

    @read
    def pull(
        self, model: str, ref: str, directory: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> PullVersion:
        """Download the files of a version; on return every one of them is what its digest says."""
        return PullVersion(model, ref, Path(directory), progress)

    @read
    def pull_artifact(
        self, digest: str, directory: str | os.PathLike[str], *, progress: Progress | None = None
    ) -> PullArtifact:
        """Download the files of an artifact by the digest of its manifest."""
        return PullArtifact(digest, Path(directory), progress)

    @read
    def verify_artifact(self, digest: str) -> VerifyArtifact:
        """Have the registry read an artifact's bytes again and compare their digests; what its pickles import, too.

        Raises:
            Damaged: with a reason for each blob that is gone or has other bytes.
        """
        return VerifyArtifact(digest)

    @read
    def verify_version(self, model: str, ref: str) -> VerifyVersion:
        """Compare the bytes of a version with its digests: by the registry where it holds them, else from this machine.

        Files behind ``file:``, ``http:`` and ``https:`` are read as whoever runs this may read them.

        Raises:
            Damaged: stored bytes are gone or others; a reason for each blob.
            Invalid: ``digest_mismatch`` with a reason for each file elsewhere that differs; ``uri_unsupported``.
            Unavailable: ``artifact_unreachable``, when bytes elsewhere cannot be read now.
        """
        return VerifyVersion(model, ref)
