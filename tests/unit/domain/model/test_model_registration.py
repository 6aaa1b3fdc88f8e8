"""Registering versions: everything required, everything right, nothing reused, imports marked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

import pytest
from tests.support.domain_book import TRAINED, Book, artifact, codes, complete, digest, fields

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain import metadata as m
from regista.domain.errors import Invalid, NotFound, Reason, Refused, Retired
from regista.domain.model import KnownArtifact
from regista.domain.model.registration import NO_ARTIFACT, named_models

KNOWN = KnownArtifact(artifact("bytes"))
ORIGIN = e.Origin("mlflow", "fraud/7", TRAINED)
REQUIRED = {"artifact", "code", "datasets", "metrics", "trained_at", "author"}


def invalid(**changes: Any) -> Invalid:
    return Book().refused(Invalid, "invalid_metadata", complete(**changes), known=KNOWN)


def test_everything_that_was_said_stands_in_the_event() -> None:
    command = complete(
        change="retrained",
        related_code=(m.RelatedCode("features", "git@host:features", "77aa"),),
        features=(m.FeatureSet("customer", "3"),),
        evaluations=(m.Evaluation(m.Dataset("holdout"), "country=IT", {"auc": 1}),),
        params={"depth": 3, "rate": 0.1, "loss": "log", "flag": True, "none": None},
        configuration={"threshold": 0.5},
        runtime=m.Runtime(7, "3.12.1", {"scikit-learn": "1.7"}, {"cpu": "x86_64"}),
        run=m.Run("mlflow", "r1", None),
        tags={"team": "risk"},
        custom='{"a":1}',
        description="First.\nSecond line.",
    )
    event = Book().do(command, known=KNOWN)
    assert isinstance(event, e.VersionRegistered)
    said = {name: getattr(command, name) for name in command.__dataclass_fields__ if name not in _DECIDED}
    assert {name: getattr(event, name) for name in said} == said
    assert event.artifact == KNOWN.artifact
    assert event.incomplete == ()


_DECIDED = {"version", "base", "artifact", "ordinal", "origin", "create"}


def test_metrics_are_floats_even_where_whole_numbers_were_given() -> None:
    event = Book().register(metrics={"n": 3}, evaluations=(m.Evaluation(None, None, {"k": 2}),))
    assert [type(value) for value in (*event.metrics.values(), *event.evaluations[0].metrics.values())] == [float] * 2


def test_a_refusal_lists_everything_missing_at_once_each_with_the_way_to_supply_it() -> None:
    error = Book().refused(Invalid, "missing_metadata", c.RegisterVersion("fraud"))
    assert fields(error.reasons) == REQUIRED
    assert codes(error.reasons) == {"missing"}
    assert all(reason.hint for reason in error.reasons)


@pytest.mark.parametrize(
    ("field", "empty"),
    [
        ("code", None),
        ("code", m.Code(repository="git@host:fraud")),
        ("code", m.Code(commit="")),
        ("datasets", ()),
        ("metrics", {}),
        ("trained_at", None),
        ("author", None),
        ("author", ""),
    ],
)
def test_each_required_field_is_missed(field: str, empty: object) -> None:
    error = Book().refused(Invalid, "missing_metadata", complete(**{field: empty}), known=KNOWN)
    assert field in fields(error.reasons)


def test_what_is_missing_and_what_is_wrong_is_said_together() -> None:
    command = complete(author=None, metrics={"auc": float("nan")}, tags={"a\x00": "b"})
    error = Book().refused(Invalid, "missing_metadata", command)
    assert fields(error.reasons) >= {"author", "artifact", "metrics.auc", "tags"}


def test_a_snapshot_is_code_and_an_evaluation_has_metrics() -> None:
    Book().register(code=m.Code(snapshot=digest("script")))
    Book().register(metrics={}, evaluations=(m.Evaluation(m.Dataset("holdout"), None, {"auc": 0.9}),))


def test_problems_of_the_artifact_are_passed_on_and_it_is_not_called_missing() -> None:
    wrong = KnownArtifact(problems=(Reason("digest_mismatch", "other bytes", "artifact.digest"),))
    error = Book().refused(Invalid, "invalid_metadata", complete(), known=wrong)
    assert codes(error.reasons) == {"digest_mismatch"}


class _NoZone(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("metrics.auc", "not_finite", {"metrics": {"auc": float("nan")}}),
    ("metrics.auc", "not_finite", {"metrics": {"auc": float("-inf")}}),
    ("metrics.auc", "not_finite", {"metrics": {"auc": 10**400}}),
    ("evaluations[0].metrics.auc", "not_finite", {"evaluations": (m.Evaluation(None, None, {"auc": float("inf")}),)}),
    ("evaluations[0].metrics", "empty", {"evaluations": (m.Evaluation(m.Dataset("holdout"), None, {}),)}),
    ("evaluations[0].dataset.name", "empty_name", {"evaluations": (m.Evaluation(m.Dataset(" "), None, {"auc": 1.0}),)}),
    ("params.a", "not_finite", {"params": {"a": float("nan")}}),
    ("params.a", "too_long", {"params": {"a": 2**63}}),
    ("configuration.a", "too_long", {"configuration": {"a": -(2**63) - 1}}),
    ("runtime.seed", "too_long", {"runtime": m.Runtime(seed=2**63)}),
    ("trained_at", "no_zone", {"trained_at": datetime(2026, 5, 4, 12)}),  # noqa: DTZ001  # what is refused
    ("trained_at", "no_zone", {"trained_at": datetime(2026, 5, 4, 12, tzinfo=_NoZone())}),
    ("trained_at", "out_of_range", {"trained_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))}),
    ("trained_at", "out_of_range", {"trained_at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}),
    ("author", "bad_identifier", {"author": " ada"}),
    ("author", "bad_identifier", {"author": "   "}),
    ("author", "bad_identifier", {"author": "a" * 257}),
    ("author", "bad_identifier", {"author": "a\nb"}),
    ("code.commit", "bad_identifier", {"code": m.Code(commit="", snapshot=digest("script"))}),
    ("code.commit", "bad_identifier", {"code": m.Code(commit="4be1\n")}),
    ("code.snapshot", "bad_digest", {"code": m.Code(snapshot="sha256:abc")}),
    ("datasets[0]", "not_pinned", {"datasets": (m.Dataset("transactions"),)}),
    ("datasets[0]", "not_pinned", {"datasets": (m.Dataset("transactions", uri="s3://bucket/file"),)}),
    ("datasets[0].name", "empty_name", {"datasets": (m.Dataset(" ", "1"),)}),
    ("features[0]", "not_pinned", {"features": (m.FeatureSet("customer"),)}),
    ("features[0].name", "empty_name", {"features": (m.FeatureSet("", "1"),)}),
    ("related_code[0].role", "empty_name", {"related_code": (m.RelatedCode("", None, "4b"),)}),
    ("related_code[0].commit", "empty_name", {"related_code": (m.RelatedCode("features", None, ""),)}),
    ("run.tracker", "empty_name", {"run": m.Run("", "1")}),
    ("run.id", "empty_name", {"run": m.Run("mlflow", "")}),
    ("parents[0].relation", "empty_name", {"parents": (m.Parent("fraud", "1.0.0", ""),)}),
    ("dependencies[0].role", "empty_name", {"dependencies": (m.Dependency("fraud", "1.0.0", " "),)}),
    ("ordinal", "out_of_range", {"ordinal": 0, "origin": ORIGIN}),
    ("ordinal", "out_of_range", {"ordinal": 2**31, "origin": ORIGIN}),
]


@pytest.mark.parametrize(("field", "code", "changes"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_there_but_wrong_is_refused(field: str, code: str, changes: dict[str, Any]) -> None:
    error = invalid(**changes)
    assert (field, code) in {(reason.field, reason.code) for reason in error.reasons}


def tensor(name: str = "x", kind: str = "float32", shape: tuple[int | None, ...] | None = None) -> m.TensorField:
    return m.TensorField(name, kind, shape)


@pytest.mark.parametrize(
    ("inputs", "field", "code"),
    [
        ((tensor(), tensor()), "signature.inputs", "duplicate"),
        ((tensor(""),), "signature.inputs[0].name", "empty_name"),
        ((tensor("x", ""),), "signature.inputs[0].type", "empty_name"),
        ((tensor(shape=(-1,)),), "signature.inputs[0].shape", "bad_shape"),
        ((tensor(shape=(None, 2**63)),), "signature.inputs[0].shape", "bad_shape"),
    ],
)
def test_a_signature_names_each_side_once_in_shapes_that_exist(
    inputs: tuple[m.TensorField, ...], field: str, code: str
) -> None:
    for signature in (m.Signature(inputs, ()), m.Signature((), inputs)):
        found = {(reason.field, reason.code) for reason in invalid(signature=signature).reasons}
        assert found & {(field, code), (field.replace("inputs", "outputs"), code)}


def test_whole_numbers_of_64_bits_times_of_any_zone_and_booleans_are_right() -> None:
    Book().register(
        params={"low": -(2**63), "high": 2**63 - 1, "flag": True, "text": "NaN", "none": None},
        trained_at=datetime(2026, 5, 4, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
        runtime=m.Runtime(seed=-1),
    )


def test_ordinals_are_contiguous_and_never_named_but_by_an_import() -> None:
    book = Book("1.0.0", "1.1.0")
    assert book.register().ordinal == 3
    book.refused(Invalid, "ordinal_given", complete(ordinal=9), known=KNOWN)


def test_only_an_import_leaves_gaps_in_the_ordinals_and_they_go_on_behind_it() -> None:
    book = Book("1.0.0")
    assert book.register("1.1.0", ordinal=7, origin=ORIGIN).ordinal == 7
    assert book.register("1.2.0").ordinal == 8
    for ordinal in (1, 5, 8):
        book.refused(Refused, "ordinal_taken", complete(version="2.0.0", ordinal=ordinal, origin=ORIGIN), known=KNOWN)
    book.refused(NotFound, "unknown_version", c.Promote("fraud", "5", "staging"))


def test_an_import_may_be_incomplete_and_is_marked() -> None:
    book = Book()
    event = book.do(c.RegisterVersion("fraud", "1.0.0", origin=ORIGIN))
    assert isinstance(event, e.VersionRegistered)
    assert set(event.incomplete) == REQUIRED
    assert event.artifact == NO_ARTIFACT


def test_an_import_that_is_complete_is_not_marked() -> None:
    assert Book().register(origin=ORIGIN).incomplete == ()


def test_an_import_may_lack_but_not_be_wrong() -> None:
    command = complete(author=None, metrics={"auc": float("nan")}, origin=ORIGIN)
    error = Book().refused(Invalid, "invalid_metadata", command, known=KNOWN)
    assert fields(error.reasons) == {"metrics.auc"}


def test_an_incomplete_import_is_not_found_by_an_empty_digest() -> None:
    book = Book()
    book.do(c.RegisterVersion("fraud", "1.0.0", origin=ORIGIN))
    assert "" not in book.state.digests


def test_a_model_must_exist_and_take_writes() -> None:
    Book(registered=False).refused(NotFound, "unknown_model", complete(), known=KNOWN)
    book = Book()
    book.do(c.RetireModel("fraud"))
    book.refused(Retired, "model_retired", complete(), known=KNOWN)


def test_the_spelling_of_the_model_is_that_of_its_registration() -> None:
    book = Book(registered=False)
    book.do(c.RegisterModel("Fraud"))
    event = book.do(complete(model="FRAUD"), known=KNOWN)
    assert isinstance(event, e.VersionRegistered)
    assert event.model == "Fraud"


def family() -> Book:
    """A book that knows another model, ``Base``, with 2.0.0 in production and nothing else."""
    base = Book("2.0.0")
    base.serve("2.0.0")
    book = Book("1.0.0")
    book.others = {"model/base": replace(base.state, name="Base"), "model/none": Book(registered=False).state}
    return book


def test_parents_and_dependencies_are_resolved_to_numbers_and_spellings() -> None:
    event = family().register(
        parents=(m.Parent("base", "@production", "fine-tuned"), m.Parent("fraud", "1", "retrained")),
        dependencies=(m.Dependency("BASE", "v2.0.0", "tokenizer"),),
    )
    assert event.parents == (m.Parent("Base", "2.0.0", "fine-tuned"), m.Parent("fraud", "1.0.0", "retrained"))
    assert event.dependencies == (m.Dependency("Base", "2.0.0", "tokenizer"),)


def test_parents_must_exist_before_their_children_and_all_that_do_not_are_named() -> None:
    command = complete(
        parents=(
            m.Parent("base", "9.9.9", "fine-tuned"),
            m.Parent("none", "1.0.0", "fine-tuned"),
            m.Parent("fraud", "1.1.0", "itself"),
            m.Parent("base", "newest", "fine-tuned"),
        ),
        dependencies=(m.Dependency("base", "@champion", "tokenizer"),),
        version="1.1.0",
    )
    error = family().refused(Refused, "unknown_parent", command, known=KNOWN)
    assert fields(error.reasons) == {"parents[0]", "parents[1]", "parents[2]", "parents[3]", "dependencies[0]"}
    assert all(reason.hint for reason in error.reasons)


def test_the_streams_that_a_decision_reads_are_those_of_other_models_once_each() -> None:
    command = complete(
        parents=(m.Parent("Base", "1", "r"), m.Parent("base", "2", "r"), m.Parent("Fraud", "1", "r")),
        dependencies=(m.Dependency("other", "1", "r"),),
    )
    assert named_models(command) == ["model/base", "model/other"]


def test_a_name_that_is_none_is_no_parent() -> None:
    with pytest.raises(Invalid) as caught:
        named_models(complete(parents=(m.Parent("../base", "1", "r"),)))
    assert caught.value.code == "bad_name"


def test_time_zones_are_kept_as_the_moment_they_name() -> None:
    noon = datetime(2026, 5, 4, 14, tzinfo=timezone(timedelta(hours=2)))
    assert Book().register(trained_at=noon).trained_at == datetime(2026, 5, 4, 12, tzinfo=UTC)


def shaped(name: str, kind: str, *shape: int | None) -> m.TensorField:
    return m.TensorField(name, kind, shape)


READ = m.Signature(
    (shaped("x", "float32", None, 30),), (shaped("label", "int64", None), shaped("p", "float32", None, 2))
)


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (replace(READ, inputs=(shaped("z", "float32", None, 30),)), {"signature.inputs[0]", "signature.inputs"}),
        (replace(READ, inputs=(*READ.inputs, shaped("z", "bool"))), {"signature.inputs[1]"}),
        (replace(READ, outputs=READ.outputs[:1]), {"signature.outputs"}),
        (replace(READ, inputs=(shaped("x", "float64", None, 30),)), {"signature.inputs[0].type"}),
        (replace(READ, inputs=(shaped("x", "float32", None, 31),)), {"signature.inputs[0].shape"}),
        (replace(READ, inputs=(shaped("x", "float32", 30),)), {"signature.inputs[0].shape"}),
    ],
)
def test_a_declared_signature_that_the_bytes_belie_is_refused(declared: m.Signature, said: set[str]) -> None:
    known = KnownArtifact(artifact("bytes"), READ)
    error = Book().refused(Invalid, "invalid_metadata", complete(signature=declared), known=known)
    assert codes(error.reasons) == {"signature_mismatch"}
    assert fields(error.reasons) == said


@pytest.mark.parametrize(
    "declared",
    [
        READ,
        replace(READ, inputs=(shaped("x", "float32", 16, 30),)),
        replace(READ, inputs=(m.TensorField("x", "any"),)),
        replace(READ, inputs=(m.TensorField("x", "tensor(float)", (None, None)),)),
        replace(READ, outputs=READ.outputs[::-1]),
    ],
)
def test_a_declared_signature_may_say_more_or_less_than_the_bytes_do(declared: m.Signature) -> None:
    assert Book().register(signature=declared, read=READ).signature == declared


def test_an_input_that_a_model_can_do_without_need_not_be_declared() -> None:
    read = replace(READ, inputs=(*READ.inputs, m.TensorField("mask", "bool", optional=True)))
    assert Book().register(signature=READ, read=read).signature == READ
