"""A fold writes a row once, however many events change it, and in whatever portions they come."""

from __future__ import annotations

import pytest
from tests.support.histories import History

from regista.domain import commands as c
from regista.projections.changes import Write
from regista.projections.decoding import Item, decode_rows
from regista.projections.views import models, versions
from regista.projections.views.base import View


def items_of(history: History) -> list[Item]:
    items, broken = decode_rows(history.rows, 0)
    assert broken is None
    return items


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
