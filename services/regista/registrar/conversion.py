"""From request bodies to commands: the same fields, in the types of the domain."""

from __future__ import annotations

import json
from typing import Any

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.errors import Invalid, Reason
from regista.domain.events import Origin
from regista.wire import requests as q


def register_model(body: q.RegisterModel) -> c.RegisterModel:
    """``POST /v1/models``."""
    return c.RegisterModel(body.name, body.title, body.description, body.owner, body.tags, body.policy)


def update_model(model: str, body: q.UpdateModel) -> c.UpdateModel:
    """``PATCH /v1/models/{model}``."""
    return c.UpdateModel(model, body.title, body.description, body.owner, body.tags, body.policy)


def register_version(model: str, body: q.RegisterVersion, *, create: bool = False) -> c.RegisterVersion:
    """``POST /v1/models/{model}/versions``."""
    runtime, run, origin = body.runtime, body.run, body.origin
    return c.RegisterVersion(
        model=model,
        version=body.version,
        base=body.base,
        change=body.change,
        artifact=_artifact(body.artifact),
        code=_code(body.code),
        related_code=tuple(m.RelatedCode(r.role, r.repository, r.commit) for r in body.related_code),
        datasets=tuple(map(_dataset, body.datasets)),
        features=tuple(m.FeatureSet(f.name, f.version, f.digest) for f in body.features),
        metrics=body.metrics,
        evaluations=tuple(m.Evaluation(_evaluated_on(e.dataset), e.slice, e.metrics) for e in body.evaluations),
        params=body.params,
        configuration=body.configuration,
        signature=_signature(body.signature),
        runtime=m.Runtime(runtime.seed, runtime.python, runtime.packages, runtime.hardware) if runtime else None,
        run=m.Run(run.tracker, run.id, run.url) if run else None,
        parents=tuple(m.Parent(p.model, p.version, p.relation) for p in body.parents),
        dependencies=tuple(m.Dependency(d.model, d.version, d.role) for d in body.dependencies),
        author=body.author,
        trained_at=body.trained_at,
        tags=body.tags,
        custom=None if body.custom is None else json_text(body.custom, "custom"),
        description=body.description,
        ordinal=body.ordinal,
        origin=Origin(origin.system, origin.id, origin.time) if origin else None,
        create=create,
    )


def update_version(model: str, ref: str, body: q.UpdateVersion) -> c.UpdateVersion:
    """``PATCH /v1/models/{model}/versions/{ref}``."""
    return c.UpdateVersion(
        model=model,
        ref=ref,
        description=body.description,
        tags=body.tags,
        model_card=body.model_card,
        code=_code(body.code),
        datasets=tuple(map(_dataset, body.datasets)),
        metrics=body.metrics,
        author=body.author,
        trained_at=body.trained_at,
        waive=tuple(body.waive),
    )


def record_evaluation(model: str, ref: str, body: q.RecordEvaluation) -> c.RecordEvaluation:
    """``POST …/evaluations``."""
    return c.RecordEvaluation(model, ref, body.metrics, _evaluated_on(body.dataset), body.slice)


def report_check(model: str, ref: str, body: q.ReportCheck) -> c.ReportCheck:
    """``POST …/checks``."""
    return c.ReportCheck(model, ref, body.name, body.status, body.url, body.summary)


def promote(model: str, ref: str, body: q.Promote) -> c.Promote:
    """``POST …/promote``."""
    return c.Promote(model, ref, body.to, body.keep_existing, expectation(body))


def roll_back(model: str, body: q.RollBack) -> c.RollBack:
    """``POST …/rollback``."""
    return c.RollBack(model, body.stage, body.to, expectation(body))


def archive(model: str, ref: str, body: q.Archive) -> c.Archive:
    """``POST …/archive``."""
    return c.Archive(model, ref, body.leave_empty)


def assign_alias(model: str, alias: str, body: q.AssignAlias) -> c.AssignAlias:
    """``PUT …/aliases/{alias}``."""
    return c.AssignAlias(model, alias, body.version, expectation(body))


def expectation(body: q.Promote | q.RollBack | q.AssignAlias) -> c.Expectation:
    """``expect_current``: null means nobody, left out means whoever."""
    return body.expect_current if "expect_current" in body.model_fields_set else c.UNSET


def _artifact(body: q.Artifact) -> c.AnnouncedArtifact:
    files = tuple(m.File(f.path, f.size, f.sha256) for f in body.files)
    return c.AnnouncedArtifact(body.uri, body.digest, body.size, body.format, files, body.weights_digest)


def _code(body: q.Code | None) -> m.Code | None:
    return None if body is None else m.Code(body.repository, body.commit, body.dirty, body.path, body.snapshot)


def _dataset(body: q.Dataset) -> m.Dataset:
    return m.Dataset(body.name, body.version, body.uri, body.digest)


def _evaluated_on(body: q.Dataset | None) -> m.Dataset | None:
    return None if body is None else _dataset(body)


def _signature(body: q.Signature | None) -> m.Signature | None:
    if body is None:
        return None
    return m.Signature(tuple(map(_field, body.inputs)), tuple(map(_field, body.outputs)))


def _field(body: q.TensorField) -> m.TensorField:
    shape = None if body.shape is None else tuple(body.shape)
    return m.TensorField(body.name, body.type, shape, body.optional)


def json_text(value: dict[str, Any], field: str) -> str:
    """A JSON object as text: equal objects are equal texts.

    Raises:
        Invalid: ``not_finite``.
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except ValueError:
        reason = Reason(
            "not_finite", f"{field} holds NaN or Infinity, which JSON has no word for", field, "Write null."
        )
        raise Invalid(reason.detail, reasons=[reason]) from None
