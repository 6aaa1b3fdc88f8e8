"""What is wrong with filters is said at once, whatever is asked: it is looked at where all requests are."""

from __future__ import annotations

from time import perf_counter

from regista.domain.subscription.filters import type_problems


def test_names_of_many_stars_are_judged_at_once() -> None:
    begun = perf_counter()
    [problem] = type_problems(["*" * 500 + "!", "*e*", "version.*"])
    assert (problem.code, problem.field) == ("unknown_type", "types[0]")
    assert perf_counter() - begun < 1


def test_what_was_meant_is_looked_for_of_a_few_names_alone() -> None:
    begun = perf_counter()
    problems = list(type_problems([f"version.promotd{number}" for number in range(1_000)]))
    assert perf_counter() - begun < 1
    assert len(problems) == 1_000
    assert "version.promoted" in (problems[0].hint or "")
