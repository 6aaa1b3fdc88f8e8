"""What a change of inputs and outputs means for those who call the model."""

from typing import Any

import pytest

from regista.domain.metadata import Signature, TensorField
from regista.domain.signatures import InterfaceChange, compare

Shape = tuple[int | None, ...] | None


def inputs(*fields: TensorField) -> Signature:
    return Signature(fields, (TensorField("y", "float32"),))


def outputs(*fields: TensorField) -> Signature:
    return Signature((TensorField("x", "float32"),), fields)


def field(name: str = "a", kind: str = "float32", shape: Shape = None, **more: Any) -> TensorField:
    return TensorField(name, kind, shape, **more)


def judged(change: InterfaceChange) -> str:
    return "breaking" if change.breaking else "compatible" if change.compatible else "same"


def test_an_equal_signature_is_no_change() -> None:
    same = inputs(field(shape=(None, 3)))
    assert compare(same, inputs(field(shape=(None, 3)))) == InterfaceChange()


def test_the_order_of_inputs_does_not_matter() -> None:
    assert judged(compare(inputs(field("a"), field("b")), inputs(field("b"), field("a")))) == "same"


@pytest.mark.parametrize(
    ("old", "new", "judgement", "sentence"),
    [
        (inputs(field("a")), inputs(field("a"), field("b")), "breaking", "input b was added without a default"),
        (
            inputs(field("a")),
            inputs(field("a"), field("b", optional=True)),
            "compatible",
            "input b was added with a default",
        ),
        (inputs(field("a"), field("b")), inputs(field("a")), "breaking", "input b was removed"),
        (inputs(field("a"), field("b", optional=True)), inputs(field("a")), "breaking", "input b was removed"),
        (inputs(field("a", optional=True)), inputs(field("a")), "breaking", "input a lost its default"),
        (outputs(field("a"), field("b")), outputs(field("a")), "breaking", "output b was removed"),
        (outputs(field("a")), outputs(field("a"), field("b")), "compatible", "output b was added"),
        (outputs(field("a")), outputs(field("a", optional=True)), "breaking", "output a may be absent now"),
    ],
)
def test_what_is_added_or_removed(old: Signature, new: Signature, judgement: str, sentence: str) -> None:
    change = compare(old, new)
    assert judged(change) == judgement
    assert sentence in change.breaking + change.compatible


def test_an_input_that_gains_a_default_and_an_output_that_is_always_there_are_no_breaks_but_changes() -> None:
    assert judged(compare(inputs(field()), inputs(field(optional=True)))) == "compatible"
    assert judged(compare(outputs(field(optional=True)), outputs(field()))) == "compatible"


WIDENED = [
    ("int8", "int64"),
    ("uint8", "int16"),
    ("uint8", "uint32"),
    ("float16", "float32"),
    ("bfloat16", "float32"),
    ("float32", "float64"),
    ("int32", "any"),
    ("bool", "any"),
]


@pytest.mark.parametrize(("narrow", "wide"), WIDENED)
def test_a_type_narrowed_on_input_or_widened_on_output_breaks(narrow: str, wide: str) -> None:
    assert judged(compare(inputs(field(kind=wide)), inputs(field(kind=narrow)))) == "breaking"
    assert judged(compare(outputs(field(kind=narrow)), outputs(field(kind=wide)))) == "breaking"


@pytest.mark.parametrize(("narrow", "wide"), WIDENED)
def test_a_type_widened_on_input_or_narrowed_on_output_does_not(narrow: str, wide: str) -> None:
    assert judged(compare(inputs(field(kind=narrow)), inputs(field(kind=wide)))) == "compatible"
    assert judged(compare(outputs(field(kind=wide)), outputs(field(kind=narrow)))) == "compatible"


@pytest.mark.parametrize(
    ("one", "other"),
    [("int32", "float32"), ("int8", "uint8"), ("uint64", "int64"), ("float16", "bfloat16"), ("string", "bytes")],
)
def test_types_that_do_not_hold_each_other_break_both_ways(one: str, other: str) -> None:
    for side in (inputs, outputs):
        assert judged(compare(side(field(kind=one)), side(field(kind=other)))) == "breaking"
        assert judged(compare(side(field(kind=other)), side(field(kind=one)))) == "breaking"


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [((3, 4), (None, 4)), ((3, 4), (None, None)), ((None, 4), None), ((3,), None), ((), None)],
)
def test_a_shape_narrowed_on_input_or_widened_on_output_breaks(narrow: Shape, wide: Shape) -> None:
    assert judged(compare(inputs(field(shape=wide)), inputs(field(shape=narrow)))) == "breaking"
    assert judged(compare(outputs(field(shape=narrow)), outputs(field(shape=wide)))) == "breaking"
    assert judged(compare(inputs(field(shape=narrow)), inputs(field(shape=wide)))) == "compatible"
    assert judged(compare(outputs(field(shape=wide)), outputs(field(shape=narrow)))) == "compatible"


@pytest.mark.parametrize(("one", "other"), [((3,), (4,)), ((3,), (3, 1)), ((None,), (None, None))])
def test_shapes_that_do_not_hold_each_other_break_both_ways(one: Shape, other: Shape) -> None:
    for side in (inputs, outputs):
        assert judged(compare(side(field(shape=one)), side(field(shape=other)))) == "breaking"


def test_every_change_is_said_in_a_sentence() -> None:
    old = Signature((field("a", shape=(None, 30)), field("b")), (field("p", "float32"),))
    new = Signature((field("a", "float64", (None, 31)), field("c")), (field("p", "float64"),))
    change = compare(old, new)
    assert set(change.breaking) == {
        "input b was removed",
        "input c was added without a default",
        "input a changed its shape from [any, 30] to [any, 31]",
        "output p changed its type from float32 to float64",
    }
    assert change.compatible == ("input a changed its type from float32 to float64",)
