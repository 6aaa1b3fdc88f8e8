"""What a version says about itself: the value objects inside the events, also used by the commands.

All are frozen and hold plain values; digests are written ``sha256:<64 hex>``, times are aware and in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str | None
"""A value of ``params`` and ``configuration``. Integers are signed 64 bit."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an artifact: path relative to its root, size in bytes, digest of its content."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """The model's bytes. ``digest`` is that of the canonical manifest, ``size`` the sum of the files, in bytes."""

    uri: str
    digest: str
    size: int
    format: str
    files: tuple[File, ...] = ()
    weights_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """The training code: a commit, or the digest of a stored snapshot of the script or notebook."""

    repository: str | None = None
    commit: str | None = None
    dirty: bool = False
    path: str | None = None
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class RelatedCode:
    """Code beside the training code, by its role: features, evaluation, serving."""

    role: str
    repository: str | None
    commit: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as it was used: by version, digest, or both."""

    name: str
    version: str | None = None
    uri: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A feature set as it was used."""

    name: str
    version: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics on one data set and, maybe, one slice of it.

    ``dataset`` None: that of the main metrics, or not known. Its name alone may be all that is known of it.
    """

    dataset: Dataset | None
    slice: str | None
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class TensorField:
    """One input or output. ``shape`` None: a scalar or unknown; a dimension None: any size. ``optional``: has a default."""

    name: str
    type: str
    shape: tuple[int | None, ...] | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """What the model takes and gives."""

    inputs: tuple[TensorField, ...]
    outputs: tuple[TensorField, ...]


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where it was trained: seed, Python, packages by version, hardware by name."""

    seed: int | None = None
    python: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """The run of an experiment tracker that made it."""

    tracker: str
    id: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Parent:
    """A version that this one was made from: ``relation`` says how (fine-tuned, distilled, merged, …)."""

    model: str
    version: str
    relation: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """A version that this one needs when it serves: ``role`` says what for (tokenizer, preprocessor, …)."""

    model: str
    version: str
    role: str
