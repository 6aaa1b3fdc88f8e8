"""What a change of inputs and outputs means for those who call the model.

A change breaks the interface when a caller that was right before can be wrong now: an input added without default, an
input or output removed, a type or shape narrowed on an input or widened on an output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from regista.domain.metadata import Signature, TensorField

_INTEGERS = ("int8", "int16", "int32", "int64")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
_WIDER: dict[str, frozenset[str]] = {
    "bool": frozenset({"any"}),
    "float16": frozenset({"float32", "float64", "any"}),
    "bfloat16": frozenset({"float32", "float64", "any"}),
    "float32": frozenset({"float64", "any"}),
    "float64": frozenset({"any"}),
    **{t: frozenset({*_INTEGERS[i + 1 :], "any"}) for i, t in enumerate(_INTEGERS)},
    **{t: frozenset({*_UNSIGNED[i + 1 :], *_INTEGERS[i + 1 :], "any"}) for i, t in enumerate(_UNSIGNED)},
}
"""For each element type those that hold all of its values exactly. Types not named here equal only themselves."""
_ELEMENTS = frozenset({*_WIDER, "string"})
"""Types whose meaning is known, so that two of them that differ contradict each other."""


@dataclass(frozen=True, slots=True)
class InterfaceChange:
    """``breaking`` and ``compatible`` say, in sentences, what changed for callers."""

    breaking: tuple[str, ...] = ()
    compatible: tuple[str, ...] = ()


def contradictions(declared: Signature, read: Signature) -> Iterator[tuple[str, str]]:
    """What of a declared signature cannot be true of the model whose bytes say ``read``: its field, and a sentence.

    Names, and types and shapes where both know them: a declared one may be more precise, or say less.
    """
    yield from _differences("inputs", declared.inputs, read.inputs)
    yield from _differences("outputs", declared.outputs, read.outputs)


def _differences(
    side: str, declared: tuple[TensorField, ...], read: tuple[TensorField, ...]
) -> Iterator[tuple[str, str]]:
    what, there = side.removesuffix("s"), _by_name(read)
    for i, field in enumerate(declared):
        found = there.pop(field.name, None)
        if found is None:
            yield f"signature.{side}[{i}]", f"the model has no {what} {field.name}"
            continue
        if field.type != found.type and {field.type, found.type} <= _ELEMENTS:
            yield f"signature.{side}[{i}].type", f"{what} {field.name} is {found.type}, not {field.type}"
        if not _shapes_agree(field.shape, found.shape):
            shapes = f"{_show('shape', found)}, not {_show('shape', field)}"
            yield f"signature.{side}[{i}].shape", f"{what} {field.name} has the shape {shapes}"
    for name, field in there.items():
        if not field.optional:
            yield f"signature.{side}", f"{what} {name} of the model was not declared"


def _shapes_agree(declared: tuple[int | None, ...] | None, read: tuple[int | None, ...] | None) -> bool:
    if declared is None or read is None:
        return True
    return len(declared) == len(read) and all(None in (d, r) or d == r for d, r in zip(declared, read, strict=True))


def compare(old: Signature, new: Signature) -> InterfaceChange:
    """What changed from ``old`` to ``new``, by name of input and output."""
    breaking: list[str] = []
    compatible: list[str] = []
    _compare_inputs(_by_name(old.inputs), _by_name(new.inputs), breaking, compatible)
    _compare_outputs(_by_name(old.outputs), _by_name(new.outputs), breaking, compatible)
    return InterfaceChange(tuple(breaking), tuple(compatible))


def _by_name(fields: Iterable[TensorField]) -> dict[str, TensorField]:
    return {f.name: f for f in fields}


def _compare_inputs(
    old: dict[str, TensorField], new: dict[str, TensorField], breaking: list[str], compatible: list[str]
) -> None:
    breaking.extend(f"input {name} was removed" for name in old if name not in new)
    for name, after in new.items():
        before = old.get(name)
        if before is None and after.optional:
            compatible.append(f"input {name} was added with a default")
        elif before is None:
            breaking.append(f"input {name} was added without a default")
        else:
            if before.optional and not after.optional:
                breaking.append(f"input {name} lost its default")
            elif after.optional and not before.optional:
                compatible.append(f"input {name} has a default now")
            _compare_field(f"input {name}", before, after, _holds, breaking, compatible)


def _compare_outputs(
    old: dict[str, TensorField], new: dict[str, TensorField], breaking: list[str], compatible: list[str]
) -> None:
    breaking.extend(f"output {name} was removed" for name in old if name not in new)
    for name, after in new.items():
        before = old.get(name)
        if before is None:
            compatible.append(f"output {name} was added")
        else:
            if after.optional and not before.optional:
                breaking.append(f"output {name} may be absent now")
            elif before.optional and not after.optional:
                compatible.append(f"output {name} is always there now")
            _compare_field(f"output {name}", before, after, lambda b, a: _holds(a, b), breaking, compatible)


def _compare_field(
    what: str,
    before: TensorField,
    after: TensorField,
    still_fits: Callable[[TensorField, TensorField], bool],
    breaking: list[str],
    compatible: list[str],
) -> None:
    """``still_fits(before, after)``: those who relied on ``before`` are served by ``after``."""
    for aspect, old, new in (
        ("type", TensorField("", before.type), TensorField("", after.type)),
        ("shape", TensorField("", "any", before.shape), TensorField("", "any", after.shape)),
    ):
        if old == new:
            continue
        sentence = f"{what} changed its {aspect} from {_show(aspect, old)} to {_show(aspect, new)}"
        (compatible if still_fits(old, new) else breaking).append(sentence)


def _holds(narrow: TensorField, wide: TensorField) -> bool:
    """Whether every value of ``narrow`` is one of ``wide``."""
    types = narrow.type == wide.type or wide.type in _WIDER.get(narrow.type, frozenset())
    return types and _shape_holds(narrow.shape, wide.shape)


def _shape_holds(narrow: tuple[int | None, ...] | None, wide: tuple[int | None, ...] | None) -> bool:
    if wide is None or narrow is None:
        return wide is None
    return len(narrow) == len(wide) and all(w is None or w == n for n, w in zip(narrow, wide, strict=True))


def _show(aspect: str, field: TensorField) -> str:
    if aspect == "type":
        return field.type
    if field.shape is None:
        return "unspecified"
    return "[" + ", ".join("any" if d is None else str(d) for d in field.shape) + "]"
