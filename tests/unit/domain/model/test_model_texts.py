"""Which text may stand in an event for ever."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.domain_book import Book, artifact, complete

from regista.domain import commands as c
from regista.domain import metadata as m
from regista.domain.errors import Invalid
from regista.domain.model import KnownArtifact

KNOWN = KnownArtifact(artifact("bytes"))
NEVER = ["\x00", "\x1b[31m", "\x7f", "\x85", "\ud800"]
"""A NUL, an escape sequence, DEL, a C1 control, half of a surrogate pair."""

IN_REGISTRATIONS: list[tuple[str, dict[str, Any]]] = [
    ("artifact.uri", {"artifact": c.AnnouncedArtifact(uri="s3://bucket/a{}")}),
    ("artifact.format", {"artifact": c.AnnouncedArtifact(format="pickle{}")}),
    ("code.repository", {"code": m.Code("host{}", "4be1")}),
    ("code.path", {"code": m.Code(None, "4be1", path="a{}")}),
    ("related_code[0].repository", {"related_code": (m.RelatedCode("role", "x{}", "4b"),)}),
    ("datasets[1].uri", {"datasets": (m.Dataset("a", "1"), m.Dataset("b", "1", "x{}"))}),
    ("datasets[0].version", {"datasets": (m.Dataset("a", "1{}"),)}),
    ("features[0].name", {"features": (m.FeatureSet("a{}", "1"),)}),
    ("metrics", {"metrics": {"auc{}": 0.9}}),
    ("evaluations[0].dataset.name", {"evaluations": (m.Evaluation(m.Dataset("a{}"), None, {"auc": 0.9}),)}),
    ("evaluations[0].slice", {"evaluations": (m.Evaluation(None, "a{}", {"auc": 0.9}),)}),
    ("evaluations[0].metrics", {"evaluations": (m.Evaluation(None, None, {"a{}": 0.9}),)}),
    ("params.a", {"params": {"a": "x{}"}}),
    ("params", {"params": {"a{}": 1}}),
    ("configuration", {"configuration": {"a{}": 1}}),
    ("runtime.packages", {"runtime": m.Runtime(packages={"a{}": "1"})}),
    ("runtime.hardware.gpu", {"runtime": m.Runtime(hardware={"gpu": "1{}"})}),
    ("run.url", {"run": m.Run("mlflow", "1", "https://host/{}")}),
    ("signature.outputs[0].name", {"signature": m.Signature((), (m.TensorField("y{}", "float32"),))}),
    ("parents[0].relation", {"parents": (m.Parent("fraud", "1", "a{}"),)}),
    ("tags", {"tags": {"a{}": "b"}}),
    ("tags.a", {"tags": {"a": "b{}"}}),
    ("custom", {"custom": '"{}"'}),
    ("description", {"description": "a{}"}),
]


def spoilt(value: Any, text: str) -> Any:
    """The value with ``text`` in place of every ``{}``."""
    if isinstance(value, str):
        return value.replace("{}", text)
    if isinstance(value, dict):
        return {spoilt(key, text): spoilt(inner, text) for key, inner in value.items()}
    if isinstance(value, tuple):
        return tuple(spoilt(inner, text) for inner in value)
    if hasattr(value, "__dataclass_fields__"):
        return type(value)(*(spoilt(getattr(value, name), text) for name in value.__dataclass_fields__))
    return value


@pytest.mark.parametrize("text", NEVER, ids=ascii)
@pytest.mark.parametrize(
    ("field", "changes"), IN_REGISTRATIONS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_text_of_a_registration_holds_control_characters_or_half_of_one(
    field: str, changes: dict[str, Any], text: str
) -> None:
    error = Book().refused(Invalid, "invalid_metadata", complete(**spoilt(changes, text)), known=KNOWN)
    assert field in {reason.field for reason in error.reasons if reason.code == "bad_text"}
    assert all(ascii(reason.detail)[1:-1] == reason.detail for reason in error.reasons if reason.code == "bad_text")


@pytest.mark.parametrize("text", ["\n", "\t", "\r\n"], ids=ascii)
def test_prose_may_have_lines_and_tabs(text: str) -> None:
    allowed = {"description": f"a{text}b", "params": {"a": f"b{text}"}, "tags": {"a": f"b{text}c"}}
    Book().do(complete(**allowed), known=KNOWN)
    Book().do(complete(**allowed), f"because{text}so", KNOWN)


@pytest.mark.parametrize("text", ["\n", "\t", "\u2028"], ids=ascii)
def test_names_may_not(text: str) -> None:
    for changes in ({"tags": {f"a{text}": "b"}}, {"datasets": (m.Dataset(f"a{text}", "1"),)}):
        Book().refused(Invalid, "invalid_metadata", complete(**changes), known=KNOWN)


def test_letters_of_every_script_are_welcome_everywhere() -> None:
    text = "Prüfung ✓ 模型\u3000🦊 é"
    Book().register(description=text, tags={text: text}, params={text: text}, datasets=(m.Dataset(text, text),))


def test_keys_are_not_empty() -> None:
    for changes in ({"tags": {"": "x"}}, {"params": {" ": 1}}, {"metrics": {"": 1.0}}):
        error = Book().refused(Invalid, "invalid_metadata", complete(**changes), known=KNOWN)
        assert {reason.code for reason in error.reasons} == {"empty_name"}


OTHER_COMMANDS: list[tuple[str, c.Command]] = [
    ("title", c.UpdateModel("fraud", title="a{}")),
    ("description", c.UpdateModel("fraud", description="a{}")),
    ("owner", c.UpdateModel("fraud", owner="a{}")),
    ("tags", c.UpdateModel("fraud", tags={"a{}": None})),
    ("description", c.UpdateVersion("fraud", "1", description="a{}")),
    ("model_card", c.UpdateVersion("fraud", "1", model_card="a{}")),
    ("tags.a", c.UpdateVersion("fraud", "1", tags={"a": "b{}"})),
    ("waive[0]", c.UpdateVersion("fraud", "1", waive=("author{}",))),
    ("metrics", c.RecordEvaluation("fraud", "1", {"a{}": 1.0})),
    ("slice", c.RecordEvaluation("fraud", "1", {"a": 1.0}, slice="b{}")),
    ("dataset.uri", c.RecordEvaluation("fraud", "1", {"a": 1.0}, m.Dataset("d", "1", "b{}"))),
    ("url", c.ReportCheck("fraud", "1", "bias", "passed", "b{}")),
    ("summary", c.ReportCheck("fraud", "1", "bias", "passed", None, "b{}")),
]


@pytest.mark.parametrize("text", NEVER, ids=ascii)
@pytest.mark.parametrize(
    ("field", "command"), OTHER_COMMANDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_text_of_any_other_command_does(field: str, command: c.Command, text: str) -> None:
    error = Book("1.0.0").refused(Invalid, "invalid_text", spoilt(command, text))
    assert [reason.field for reason in error.reasons] == [field]


def test_no_text_of_a_new_model_does() -> None:
    for command in (c.RegisterModel("fraud", "a\x00"), c.RegisterModel("fraud", tags={"a": "\ud800"})):
        Book(registered=False).refused(Invalid, "invalid_text", command)


@pytest.mark.parametrize("text", NEVER, ids=ascii)
def test_no_reason_does(text: str) -> None:
    error = Book("1.0.0").refused(Invalid, "invalid_text", c.Promote("fraud", "1", "staging"), f"why{text}")
    assert [reason.field for reason in error.reasons] == ["reason"]


@pytest.mark.parametrize(
    ("code", "command"),
    [
        ("bad_name", c.RegisterModel("fra\x00ud")),
        ("bad_name", c.AssignAlias("fraud", "a\nb", "1")),
        ("bad_name", c.ReportCheck("fraud", "1", "a\nb", "passed")),
        ("bad_reference", c.Promote("fraud", "1\x00", "staging")),
        ("unknown_stage", c.Promote("fraud", "1", "staging\x00")),
        ("unknown_stage", c.RollBack("fraud", "\x1b")),
    ],
)
def test_names_and_references_have_rules_of_their_own(code: str, command: c.Command) -> None:
    error = Book("1.0.0").refused(Invalid, code, command)
    assert error.detail.isprintable()
