"""Settings of the kind ``kserve``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from regista.deployer.targets.options import Options, checked_address, checked_place

_FIELDS = dict.fromkeys(("model", "version", "ordinal", "digest"), "1")
_NAMES = dict.fromkeys(("environment", "endpoint"), "a")
Dns = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class ModelFormat(Options):
    """What runs the model, as KServe names it: ``sklearn``, ``onnx``, ``xgboost``."""

    name: str
    version: str | None = None


class KServeOptions(Options):
    """Where InferenceServices are put, and what is in them.

    ``storage_uri`` is where the cluster finds a version's files, with model, version, ordinal and digest (its
    hexadecimal digits) in braces. ``predictor`` has more fields of the predictor (minReplicas, serviceAccountName), ``model`` more
    of its model (resources, runtime). ``region``: this cluster serves that one alone. ``server`` is the address of the
    Kubernetes API; without it the service account of the pod is used, or the operator's kubeconfig. With ``path``
    files are written for a GitOps tool instead. ``force``: take fields over from other managers.
    """

    storage_uri: str
    model_format: ModelFormat
    namespace: Dns = "default"
    name: str = "{environment}-{endpoint}"
    predictor: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    region: Annotated[str, Field(max_length=128)] | None = None
    server: str | None = None
    path: str | None = None
    force: bool = False
    ready_within: Annotated[float, Field(gt=0, le=3600)] = 300.0

    @field_validator("storage_uri")
    @classmethod
    def _storage(cls, value: str) -> str:
        _formatted(value, _FIELDS)
        if "{" not in value or "://" not in value:
            msg = "it does not tell versions apart: s3://models/{model}/{digest}"
            raise ValueError(msg)
        return value

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        _formatted(value, _NAMES)
        return value

    @field_validator("predictor")
    @classmethod
    def _predictor(cls, value: dict[str, Any]) -> dict[str, Any]:
        if ours := value.keys() & {"model", "canaryTrafficPercent"}:
            msg = f"{', '.join(sorted(ours))} is set by the deployment itself"
            raise ValueError(msg)
        return value

    @field_validator("server")
    @classmethod
    def _server(cls, value: str | None, info: ValidationInfo) -> str | None:
        return checked_address(value, info.context) if value and info.context else value

    @field_validator("path")
    @classmethod
    def _path(cls, value: str | None, info: ValidationInfo) -> str | None:
        return str(checked_place(value, info.context)) if value and info.context else value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.server and self.path:
            msg = "an InferenceService goes to a server or to a path"
            raise ValueError(msg)
        return self

    def name_of(self, environment: str, endpoint: str) -> str:
        """The InferenceService of an endpoint: a DNS label, as Kubernetes wants it."""
        shown = self.name.format(environment=environment, endpoint=endpoint)
        return re.sub(r"[^a-z0-9]+", "-", shown.lower()).strip("-")[:63].rstrip("-")


def _formatted(value: str, fields: dict[str, str]) -> None:
    try:
        value.format(**fields)
    except (KeyError, IndexError, ValueError) as error:
        msg = f"it has a field that is none of {', '.join(fields)}: {error}"
        raise ValueError(msg) from error
