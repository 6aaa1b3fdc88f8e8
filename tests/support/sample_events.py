"""Fixed examples of every event: one with everything filled in, one with all null or empty that may be so."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from regista.domain.events import Event, Meta
from regista.domain.metadata import Scalar

T = TypeVar("T")

TEXTS: Mapping[str, str] = {
    "source": "kafka",
    "actor": "ci-pipeline",
    "alias": "champion",
    "artifact_digest": "sha256:" + "ab" * 32,
    "author": "team-risk",
    "base": "1.3.2",
    "cause": "model/fraud-detector@41",
    "change": "configuration",
    "check": "fairness",
    "command_id": "0197f3a2-6f0c-7c51-9d0e-7b1f6a1f8f10",
    "commit": "4f2a9c1d" * 5,
    "custom": '{"ticket": 4711}',
    "dataset": "holdout-2026-q1",
    "description": "Läuft jede Nacht; flags card fraud ✓ 不正検知",
    "digest": "sha256:" + "cd" * 32,
    "format": "safetensors",
    "from_stage": "staging",
    "id": "run-000812",
    "level": "minor",
    "log_id": "01jd3zk7m9",
    "model": "Fraud-Detector",
    "model_card": "# Fraud detection\n\nNot for credit decisions.",
    "name": "transactions",
    "owner": "team-risk",
    "path": "train/fit.py",
    "policy": "default",
    "previous_policy": "strict",
    "previous_owner": "team-cards",
    "previous_version": "1.3.2",
    "python": "3.12.7",
    "reason": "AUC 0.93, up from 0.91 on the frozen test set",
    "relation": "fine-tuned",
    "repository": "https://git.example.org/risk/fraud.git",
    "requested": "auto",
    "role": "features",
    "sha256": "sha256:" + "ef" * 32,
    "slice": "country = DE",
    "snapshot": "sha256:" + "12" * 32,
    "software": "regista 0.1.0",
    "source_log_id": "01jc0a5w2b",
    "stage": "production",
    "subscription": "Risk-Chat",
    "disabled_reason": "410 since Tuesday",
    "template": "cloudevents",
    "summary": "0 of 14 groups off by more than 2 %",
    "system": "mlflow",
    "title": "Fraud détection",
    "to_stage": "production",
    "tracker": "mlflow",
    "type": "float32",
    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "uri": "s3://models/fraud/1.4.0",
    "url": "https://ci.example.org/run/812",
    "version": "1.4.0",
    "weights_digest": "sha256:" + "34" * 32,
    "code": "stage_not_allowed",
    "detail": "Läuft auf 3 von 3 Knoten ✓",
    "endpoint": "Fraud",
    "environment": "Prod",
    "field": "variants[0]",
    "fingerprint": "sha256:5656565656565656565656565656565656565656565656565656565656565656",
    "follow": "@production",
    "followed": "@production",
    "hint": "Promote it to production first.",
    "kind": "nginx",
    "metric": "error_rate",
    "previous_description": "Fängt Kartenbetrug",
    "previous_follow": "@champion",
    "previous_kind": "directory",
    "previous_settings": "{}",
    "region": "eu-central",
    "settings": '{"path": "/etc/nginx/conf.d"}',
    "target": "Edge",
}
NUMBERS: Mapping[str, int] = {
    "attempts": 3,
    "change": 812,
    "events": 812,
    "hold_seconds": 900,
    "minimum_requests": 10_000,
    "minimum_samples": 500,
    "mirror": 2_500,
    "ordinal": 14,
    "previous_change": 811,
    "previous_ordinal": 13,
    "restores": 640,
    "samples": 48_213,
    "seed": -42,
    "size": 5_368_709_120,
    "source_position": 1_000_912,
    "step": 2,
    "weight": 9_000,
}
FLOATS: Mapping[str, float] = {"limit": 1.2, "value": 0.0125}
BYTES: Mapping[str, bytes] = {"command_digest": bytes(range(32)), "previous_hash": bytes(range(224, 256))}
SCALARS: Mapping[str, Scalar] = {
    "shuffle": True,
    "balanced": False,
    "epochs": 1,
    "seed": -(2**63),
    "limit": 2**63 - 1,
    "rate": 1.0,
    "tiny": 5e-324,
    "optimizer": "adam",
    "schedule": None,
}
TIME = datetime(2026, 3, 29, 1, 59, 59, 999_999, tzinfo=UTC)


def full(cls: type[T]) -> T:
    """An instance in which no field is null or empty."""
    return _build(cls, filled=True)


def minimal(cls: type[T]) -> T:
    """An instance in which every field that may be null or empty is."""
    return _build(cls, filled=False)


def _build(cls: type[T], *, filled: bool) -> T:
    assert is_dataclass(cls)
    hints = get_type_hints(cls)
    return cast("T", cls(**{field.name: _value(hints[field.name], field.name, filled=filled) for field in fields(cls)}))


def _value(hint: Any, name: str, *, filled: bool) -> Any:
    if is_dataclass(hint):
        return _build(cast("type[Any]", hint), filled=filled)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return arguments[0] if filled else arguments[-1]
    if origin is tuple:
        return _sequence(arguments[0], name) if filled else ()
    if origin is Mapping:
        return _mapping(arguments[1]) if filled else {}
    if origin in (Union, types.UnionType):
        return _value(arguments[0], name, filled=filled) if filled else None
    return _leaf(hint, name, filled=filled)


def _sequence(item: Any, name: str) -> tuple[Any, ...]:
    if name == "shape":
        return (None, 64, 3)
    if item is str:
        return (f"{name} one", f"{name} two")
    return (_value(item, name, filled=True), _value(item, name, filled=False))


def _mapping(values: Any) -> dict[str, Any]:
    if values is str:
        return {"team": "risk", "größe": "✓"}
    if values is float:
        return {"auc": 0.93, "log_loss": -1.0, "ece": 1e-300}
    return dict(SCALARS)


def _leaf(hint: object, name: str, *, filled: bool) -> Any:
    if hint is bool:
        return filled
    if hint is int:
        return NUMBERS.get(name, 64)
    if hint is float:
        return FLOATS[name]
    if hint is str:
        return TEXTS[name]
    if hint is bytes:
        return BYTES[name]
    assert hint is datetime, hint
    return TIME


def meta(*, filled: bool = True) -> Meta:
    """A full or a minimal ``Meta``."""
    return full(Meta) if filled else minimal(Meta)


def example(cls: type[Event], kind: str) -> tuple[Meta, Event]:
    """The ``full`` or ``minimal`` example of an event type."""
    filled = kind == "full"
    return meta(filled=filled), full(cls) if filled else minimal(cls)
