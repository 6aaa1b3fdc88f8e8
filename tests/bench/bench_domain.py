"""The rules without store or HTTP: a model with 20,000 versions beside one with a few, and the fold of its history.

Times are of decide and evolve together, in processor time, over successive commands, so that what a persistent map
does now and then is in them. Both models take turns, so that a busy machine slows down both.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.bench.report import Row
from tests.support.domain_book import artifact, complete, signature

from regista.domain import commands as c
from regista.domain import events as e
from regista.domain.model import EMPTY, Context, KnownArtifact, ModelState, decide, evolve, fold
from regista.domain.model.lookup import find_version
from regista.domain.model.snapshot import from_plain, to_plain

VERSIONS = 20_000
FEW = 10
COMMANDS = 2_000
ROUNDS = 5
REASON = Context("because")

Step = Callable[[ModelState, int], ModelState]


def run() -> list[Row]:
    """All rows of this file."""
    long_history = history(VERSIONS)
    few, many = fold(history(FEW)), fold(long_history)
    with quiet():
        rows = [row for name, step in STEPS.items() for row in _compared(name, step, few, many)]
        lookup = _seconds(lambda: find_version(many, "@candidate"))
        folded = _seconds(lambda: fold(long_history))
        plain = to_plain(many)
        text = json.dumps(plain)
        read = _seconds(lambda: from_plain(json.loads(text)))
    return [
        *rows,
        Row(f"find @candidate among {VERSIONS:,}", lookup * 1e3, "ms"),
        Row(f"fold of {VERSIONS:,} registrations", folded * 1e3, "ms", "< 250"),
        Row("… per event", folded / len(long_history) * 1e6, "µs"),
        Row(f"snapshot of {VERSIONS:,} versions read back", read * 1e3, "ms"),
    ]


def history(versions: int) -> list[e.Event]:
    """A model whose versions share a file, as a tokenizer is shared; the first two have been in production."""
    state, events = EMPTY, list[e.Event]()
    commands: list[tuple[c.Command, Context]] = [(c.RegisterModel("fraud"), REASON)]
    commands += [_registration(number) for number in range(1, versions + 1)]
    commands += [(c.Promote("fraud", ref, stage), REASON) for ref in ("1", "2") for stage in ("staging", "production")]
    for command, context in commands:
        [event] = decide(state, command, context)
        state = evolve(state, event)
        events.append(event)
    return events


def _registration(number: int) -> tuple[c.Command, Context]:
    known = KnownArtifact(artifact(f"bytes {number}", shared="tokenizer"))
    return complete(signature=signature("x y z"), params={"depth": number}), Context(None, artifact=known)


def _carried_out(state: ModelState, command: c.Command, context: Context = REASON) -> ModelState:
    [event] = decide(state, command, context)
    return evolve(state, event)


def _promote(state: ModelState, number: int) -> ModelState:
    """One of three candidates to staging, where it displaces the one before."""
    ref = str(3 + number % 3)
    if state.versions[3 + number % 3].stage == "archived":
        state = _carried_out(state, c.Promote("fraud", ref, "candidate"))
    return _carried_out(state, c.Promote("fraud", ref, "staging"))


def _alias(state: ModelState, number: int) -> ModelState:
    return _carried_out(state, c.AssignAlias("fraud", f"alias-{number % 5}", str(1 + number % FEW)))


_REGISTRATIONS = [_registration(VERSIONS + number) for number in range(1, COMMANDS + 1)]


def _register(state: ModelState, number: int) -> ModelState:
    return _carried_out(state, *_REGISTRATIONS[number])


STEPS: dict[str, Step] = {"promote": _promote, "alias": _alias, "register": _register}


def _compared(name: str, step: Step, few: ModelState, many: ModelState) -> Iterator[Row]:
    """The least time per command of several rounds, and how many times as long the long model takes."""
    least = {id(few): float("inf"), id(many): float("inf")}
    for _ in range(ROUNDS):
        for start in (few, many):
            state, began = start, time.process_time()
            for number in range(COMMANDS):
                state = step(state, number)
            least[id(start)] = min(least[id(start)], (time.process_time() - began) / COMMANDS)
    yield Row(f"{name}, {FEW} versions", least[id(few)] * 1e6, "µs")
    yield Row(f"{name}, {VERSIONS:,} versions", least[id(many)] * 1e6, "µs")
    yield Row("… times as long", least[id(many)] / least[id(few)], "", "< 2")


def _seconds(action: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best


@contextmanager
def quiet() -> Iterator[None]:
    """As in the server: what is there already is no work for the garbage collector."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
