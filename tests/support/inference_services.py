"""The published definition of InferenceServices as a schema that lets no unknown field through."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

DEFINITION = Path(__file__).parents[1] / "contract" / "data" / "kserve" / "inferenceservices.crd.yaml"


@lru_cache(maxsize=1)
def validator() -> Draft202012Validator:
    definition = yaml.load(DEFINITION.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe one
    (version,) = definition["spec"]["versions"]
    assert version["name"] == "v1beta1"
    schema = version["schema"]["openAPIV3Schema"]
    return Draft202012Validator(_closed(schema))


def problems(value: dict[str, Any]) -> list[str]:
    """What is wrong with an InferenceService."""
    return [f"{error.json_path}: {error.message}" for error in validator().iter_errors(value)]


def _closed(schema: Any) -> Any:
    """Objects with named fields take no others: the API server drops what it does not know, without a word."""
    if isinstance(schema, list):
        return [_closed(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and schema.get("type") == "object"
    if named and not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
        closed["additionalProperties"] = False
    if schema.get("x-kubernetes-int-or-string"):
        closed.pop("type", None)
    return closed
