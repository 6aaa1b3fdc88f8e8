"""What a request body may say in two ways becomes one command."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from regista.domain import metadata as m
from regista.registrar import conversion as to
from regista.wire import requests as q

BY_NAME = m.Dataset("holdout")
PINNED = m.Dataset("holdout", "3", None, "sha256:" + "a" * 64)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("holdout", BY_NAME),
        ({"name": "holdout"}, BY_NAME),
        ({"name": "holdout", "version": "3", "digest": PINNED.digest}, PINNED),
        (None, None),
    ],
)
def test_the_data_set_of_an_evaluation_is_named_or_described(said: object, meant: m.Dataset | None) -> None:
    evaluation = json.dumps({"dataset": said, "metrics": {"auc": 0.9}})
    later = to.record_evaluation("fraud", "1", q.RecordEvaluation.model_validate_json(evaluation))
    assert later.dataset == meant
    body = q.RegisterVersion.model_validate_json(f'{{"evaluations": [{evaluation}]}}')
    [given] = to.register_version("fraud", body).evaluations
    assert given.dataset == meant


@pytest.mark.parametrize(
    ("dataset", "field"),
    [
        ("x" * 2000, ("dataset", "name")),
        ({"name": 1}, ("dataset", "name")),
        ({"name": "x", "rows": 3}, ("dataset", "rows")),
        (7, ("dataset",)),
    ],
)
def test_the_refusal_of_a_data_set_names_its_field(dataset: object, field: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        q.RecordEvaluation.model_validate_json(json.dumps({"dataset": dataset, "metrics": {"auc": 0.9}}))
    assert [error["loc"] for error in caught.value.errors()] == [field]
