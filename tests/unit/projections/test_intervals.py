"""Intervals that a fold begins and ends, whatever was open before it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from regista.projections.changes import FOREVER, Write
from regista.projections.views.intervals import Intervals, Kept

KEPT = Kept(
    Table(
        "held",
        MetaData(),
        Column("key", Text, primary_key=True),
        Column("to_position", BigInteger, primary_key=True),
        Column("from_position", BigInteger),
        Column("value", Text),
    )
)
KEY = ("a",)


@pytest.mark.parametrize(
    ("do", "ended", "begun"),
    [
        (lambda i: i.begin(KEY, 5, "x"), [("a", 5)], [["a", FOREVER, 5, "x"]]),
        (
            lambda i: (i.begin(KEY, 5, "x"), i.begin(KEY, 7, "y")),
            [("a", 5)],
            [["a", 7, 5, "x"], ["a", FOREVER, 7, "y"]],
        ),
        (lambda i: (i.begin(KEY, 5, "x"), i.end(KEY, 7)), [("a", 5)], [["a", 7, 5, "x"]]),
        (lambda i: (i.end(KEY, 5), i.begin(KEY, 7, "y")), [("a", 5)], [["a", FOREVER, 7, "y"]]),
        (lambda i: (i.end(KEY, 5), i.end(KEY, 7)), [("a", 5)], []),
    ],
    ids=["begun", "begun twice", "begun and ended", "ended and begun later", "ended twice"],
)
def test_what_was_open_before_ends_once_and_where_it_ended_first(
    do: Callable[[Intervals], object], ended: list[tuple[object, ...]], begun: list[list[object]]
) -> None:
    intervals = Intervals(KEPT)
    do(intervals)
    written = [change for change in intervals.changes() if isinstance(change, Write)]
    assert [(change.statement, list(change.rows)) for change in written] == [
        (statement, rows) for statement, rows in ((KEPT.close, ended), (KEPT.insert, begun)) if rows
    ]
