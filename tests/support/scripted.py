"""A script in place of a driver: operations are run against answers written down beforehand."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from regista.client.exchange import Close, Done, Emit, Open, Opened, Response, Run, Send, Sleep, Steps, advance, fail


@dataclass
class Played:
    """What an operation asked for, what it emitted, and its answer."""

    asked: list[Any] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)
    answer: Any = None

    @property
    def requests(self) -> list[Any]:
        return [effect.request for effect in self.asked if isinstance(effect, Send | Open)]

    @property
    def sleeps(self) -> list[float]:
        return [effect.seconds for effect in self.asked if isinstance(effect, Sleep)]


@dataclass
class Script:
    """``play`` feeds the answers, in order, to whatever asks the network; waiting and local work cost nothing.

    ``clock`` goes on by what was slept, so that deadlines are those of the script.
    """

    now: float = 0.0
    played: Played = field(default_factory=Played)

    def clock(self) -> float:
        return self.now

    def play(self, steps: Steps[Any], answers: Iterable[Any]) -> Played:
        self.played = played = Played()
        left = iter(answers)
        effect = advance(steps)
        while not isinstance(effect, Done):
            played.asked.append(effect)
            match effect:
                case Sleep(seconds):
                    self.now += seconds
                    effect = advance(steps)
                case Emit(items):
                    played.emitted.extend(items)
                    effect = advance(steps)
                case Run(work):
                    effect = advance(steps, work())
                case Close():
                    effect = advance(steps)
                case _:
                    answer = next(left)
                    effect = fail(steps, answer) if isinstance(answer, Exception) else advance(steps, answer)
        played.answer = effect.value
        assert list(left) == [], "the operation did not ask for these answers"
        return played


def answer(status: int = 200, body: object = None, **headers: str) -> Response:
    """An answer; in the names of headers ``_`` stands for ``-``."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, names, b"" if body is None else json.dumps(body).encode())


def opened(status: int = 200, body: object = None) -> Opened:
    """An answer whose body is streamed: the pieces follow in the script."""
    return Opened(answer(status, body), object() if status == 200 else None)
