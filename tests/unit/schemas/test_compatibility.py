"""A bad revision for every rule, and good ones for what is allowed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from regista.schemas.catalogue import as_record
from regista.schemas.compatibility import Candidate, judge

Json = dict[str, Any]
Edit = Callable[[Json], object]
META: Json = json.loads((files("regista.schemas") / "avro" / "LogCreated.avsc").read_text(encoding="utf-8"))["fields"][
    0
]
CHECK = {"type": "enum", "name": "Check", "doc": "A result.", "symbols": ["passed", "failed"], "default": "failed"}
POINT: Json = {
    "type": "record",
    "name": "Point",
    "doc": "A place.",
    "fields": [
        {"name": "x", "doc": "To the right.", "type": "long"},
        {"name": "y", "doc": "Upwards.", "type": "long", "default": 0},
    ],
}
BASE: Json = {
    "type": "record",
    "name": "ThingMoved",
    "namespace": "regista.events",
    "doc": "A thing moved.",
    "fields": [
        META,
        {"name": "thing", "doc": "Which.", "type": "string"},
        {"name": "title", "doc": "For people.", "type": "string", "default": ""},
        {"name": "note", "doc": "Why.", "type": ["null", "string"], "default": None},
        {"name": "steps", "doc": "How many.", "type": "int", "default": 1},
        {"name": "result", "doc": "How it went.", "type": CHECK},
        {"name": "path", "doc": "The way.", "type": {"type": "array", "items": POINT}, "default": []},
        {"name": "tags", "doc": "Labels.", "type": {"type": "map", "values": "string"}, "default": {}},
        {"name": "at", "doc": "When.", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "end", "doc": "Where it is now.", "type": ["null", "regista.events.Point"], "default": None},
    ],
}


def at(document: Json, name: str) -> Json:
    return next(field for field in document["fields"] if field["name"] == name)


def edited(*edits: Edit, base: Json = BASE) -> Json:
    document = copy.deepcopy(base)
    for edit in edits:
        edit(document)
    return document


def candidate(document: Json, revision: int = 1, *, released: bool = False) -> Candidate:
    print_ = fingerprint(to_parsing_canonical_form(document), "CRC-64-AVRO")
    name = document["name"] + (f".{revision}" if revision > 1 else "") + ".avsc"
    return Candidate(name, revision, print_, as_record(document), released)


def add(name: str, /, **rest: Any) -> Edit:
    return lambda d: d["fields"].append({"name": name, "doc": "New.", **rest})


def drop(name: str) -> Edit:
    return lambda d: d["fields"].remove(at(d, name))


def change(name: str, /, **rest: Any) -> Edit:
    return lambda d: at(d, name).update(rest)


def forget(name: str, key: str) -> Edit:
    return lambda d: at(d, name).pop(key)


def top(**rest: Any) -> Edit:
    return lambda d: d.update(rest)


def meta_field(name: str, /, **rest: Any) -> Edit:
    return lambda d: at(d["fields"][0]["type"], name).update(rest)


def point(edit: Edit) -> Edit:
    return lambda d: edit(at(d, "path")["type"]["items"])


GROWN = {**CHECK, "symbols": ["passed", "failed", "running"]}
ALLOWED: dict[str, tuple[Edit, ...]] = {
    "a field added with a default": (add("speed", type="double", default=0.0),),
    "a field with a default removed": (drop("tags"),),
    "a field renamed with an alias": (change("title", name="label", aliases=["title"]),),
    "an integer widened": (change("steps", type="long"),),
    "an enum grown": (change("result", type=GROWN),),
    "a field added inside an array of records": (point(add("z", type="long", default=0)),),
    "docs said better, with a change that shows": (change("thing", doc="Which one."), drop("tags")),
}


@pytest.mark.parametrize("edits", ALLOWED.values(), ids=ALLOWED.keys())
def test_what_every_reader_can_follow_is_allowed(edits: tuple[Edit, ...]) -> None:
    assert judge([candidate(BASE, released=True), candidate(edited(*edits), 2)]) == []


RENAMED = {"name": "label", "doc": "For people.", "type": "string", "default": ""}
REFUSED: dict[str, tuple[str, tuple[Edit, ...]]] = {
    "a field added without a default": ("speed: new, and without a default", (add("speed", type="double"),)),
    "a field without a default removed": ("thing: removed, and older readers", (drop("thing"),)),
    "the same inside an array of records": ("path[].x: removed", (point(drop("x")),)),
    "an added field inside without a default": ("path[].z: new", (point(add("z", type="long")),)),
    "a default lost": ("title: lost its default", (forget("title", "default"),)),
    "a type changed": ("thing: the type string became long", (change("thing", type="long"),)),
    "a number narrowed": ("path[].x: the type long became int", (point(change("x", type="int")),)),
    "a long made a double": ("path[].x: the type long became double", (point(change("x", type="double")),)),
    "a field made optional": ("thing: the type", (change("thing", type=["null", "string"], default=None),)),
    "an optional field made required": ("note: the type", (change("note", type="string", default=""),)),
    "a union widened": ("note: the type", (change("note", type=["null", "string", "long"]),)),
    "a logical type lost": ("at: the logical type timestamp-micros became none", (change("at", type="long"),)),
    "a logical type gained": (
        "path[].x: the logical type none became timestamp-micros",
        (point(change("x", type={"type": "long", "logicalType": "timestamp-micros"})),),
    ),
    "an enum shrunk": ("an enum may only grow", (change("result", type={**CHECK, "symbols": ["failed"]}),)),
    "an enum in another order": ("may only grow at its end", (change("result", type={**CHECK, "symbols": ["failed", "passed"]}),)),
    "the default of an enum changed": ("the default failed of the enum", (change("result", type={**CHECK, "default": "passed"}),)),
    "an enum renamed": ("result: the type regista.events.Check became", (change("result", type={**CHECK, "name": "Result"}),)),
    "a nested record renamed": (
        "path[]: the type regista.events.Point became regista.events.Place",
        (point(top(name="Place")), change("end", type=["null", "regista.events.Place"])),
    ),
    "an array of something else": ("path[]: the type", (change("path", type={"type": "array", "items": "string"}), drop("end"))),
    "a map of something else": ("tags[]: the type", (change("tags", type={"type": "map", "values": "long"}),)),
    "a rename without an alias": (
        "label: stands where title stood",
        (lambda d: d["fields"].__setitem__(2, dict(RENAMED)),),
    ),
    "a rename of what old readers need": ("older readers look for thing", (change("thing", name="item", aliases=["thing"]),)),
    "the namespace changed": (
        "is not in the namespace",
        (lambda d: d.update(json.loads(json.dumps(d).replace("regista.events", "other.events"))),),
    ),
    "meta with another field": ("meta has another layout", (lambda d: d["fields"][0]["type"]["fields"].append({"name": "host", "doc": "Where.", "type": "string", "default": ""}),)),
    "meta with another type": ("meta has another layout", (meta_field("reason", type="string"),)),
    "meta with another symbol": (
        "meta has another layout",
        (meta_field("identity", type={"type": "enum", "name": "Identity", "doc": "How.", "symbols": ["asserted", "authenticated", "system", "import", "other"]}),),
    ),
    "meta not first": ("the first field is not meta", (lambda d: d["fields"].append(d["fields"].pop(0)),)),
    "no meta at all": ("the first field is not meta", (drop("meta"), add("end_hash", type={"type": "fixed", "name": "Sha256", "size": 32}, default="x" * 32))),
    "a record without a doc": ("the record regista.events.ThingMoved has no doc", (top(doc=""),)),
    "a nested record without a doc": ("the record regista.events.Point has no doc", (point(top(doc="")),)),
    "a field without a doc": ("thing: the field has no doc", (forget("thing", "doc"),)),
    "an enum without a default": ("the enum regista.events.Check has no default", (change("result", type={k: v for k, v in CHECK.items() if k != "default"}),)),
    "null not first": ("null is not the first branch", (add("extra", type=["string", "null"], default=""),)),
    "an optional field without a null default": ("its default is not null", (add("extra", type=["null", "string"]),)),
    "a map without an empty default": ("without an empty default", (add("extra", type={"type": "map", "values": "long"}, default={"a": 1}),)),
    "nothing that values show": ("same fingerprint as", (change("thing", doc="Which one."),)),
}  # fmt: skip


@pytest.mark.parametrize(("said", "edits"), REFUSED.values(), ids=REFUSED.keys())
def test_every_break_is_named(said: str, edits: tuple[Edit, ...]) -> None:
    problems = judge([candidate(BASE, released=True), candidate(edited(*edits), 2)])
    assert [problem for problem in problems if said in problem], problems
    assert all(problem.startswith("ThingMoved.2.avsc: ") for problem in problems)


def test_a_record_does_not_change_its_name() -> None:
    problems = judge([candidate(BASE, released=True), candidate(edited(top(name="ThingsMoved")), 2)])
    assert [problem for problem in problems if "revisions are [2]" in problem], problems


def test_the_rules_hold_towards_every_older_revision_not_only_the_last() -> None:
    dropped = edited(drop("title"))
    again = edited(drop("title"), add("title", type="long", default=0))
    problems = judge([candidate(BASE, released=True), candidate(dropped, 2, released=True), candidate(again, 3)])
    assert problems == ["ThingMoved.3.avsc: ThingMoved.title: the type string became long (against ThingMoved.avsc)"]


def test_a_revision_that_is_not_released_keeps_the_rules_towards_one_that_is_not_either() -> None:
    assert judge([candidate(BASE), candidate(edited(drop("thing")), 2)])


def test_revisions_have_no_gaps() -> None:
    problems = judge([candidate(BASE, released=True), candidate(edited(drop("tags")), 3)])
    assert problems == ["ThingMoved.3.avsc: revisions are [1, 3], and should count from 1 without a gap"]


def test_a_type_that_two_schemas_use_is_the_same_in_both() -> None:
    other = edited(top(name="ThingSeen"), point(add("z", type="long", default=0)))
    assert judge([candidate(BASE), candidate(other)]) == [
        "ThingSeen.avsc: regista.events.Point is not the same as in ThingMoved.avsc"
    ]
    assert judge([candidate(BASE), candidate(edited(top(name="ThingSeen")))]) == []


def test_meta_is_the_same_in_every_schema() -> None:
    other = edited(top(name="ThingSeen"), meta_field("cause", type="string"))
    assert judge([candidate(BASE), candidate(other)]) == [
        "ThingSeen.avsc: regista.events.Meta is not the same as in ThingMoved.avsc"
    ]


def test_rules_added_later_do_not_reach_back_to_what_is_released() -> None:
    assert judge([candidate(edited(forget("thing", "doc")), released=True)]) == []
