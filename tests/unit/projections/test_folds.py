"""A fold says the same whatever the portions in which it is given events, and writes a row once."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from tests.support.histories import History, wander

from regista.domain import commands as c
from regista.projections.changes import Change, Write
from regista.projections.decoding import Item, decode_rows
from regista.projections.views import models, versions
from regista.projections.views.base import View
from regista.projections.views.catalogue import VIEWS


def items_of(history: History) -> list[Item]:
    items, broken = decode_rows(history.rows, 0)
    assert broken is None
    return items


def said(changes: Sequence[Change]) -> list[object]:
    """What can be compared of changes: of a rewrite all but the function."""
    return [
        (change.statement.text, sorted(map(tuple, change.rows), key=repr))
        if isinstance(change, Write)
        else (change.select, change.key, change.update)
        for change in changes
    ]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_a_fold_says_the_same_however_its_events_are_divided(view: View) -> None:
    history = History()
    for _ in wander(history, random.Random(3), 150):
        pass
    items = items_of(history)[75:]  # those before are known: rows are changed that are there
    whole = said(view.fold(items))
    fold = view.begin()
    for start in range(0, len(items), 7):
        fold.add(items[start : start + 7])
    assert said(fold.changes()) == whole


@pytest.mark.parametrize(("view", "expected"), [(models.VIEW, 1), (versions.VIEW, 2)], ids=["models", "versions"])
def test_a_row_that_many_events_of_a_fold_change_is_written_once(view: View, expected: int) -> None:
    history = History()
    history.register_model("fraud")
    numbers = [history.register("fraud", seed) for seed in (1, 2)]
    known = len(history.rows)
    for turn in range(20):
        history.do(c.AssignAlias("fraud", "champion", numbers[turn % 2]))
    fold = view.begin()
    for item in items_of(history)[known:]:
        fold.add([item])
    assert [len(change.rows) for change in fold.changes() if isinstance(change, Write)] == [expected]
