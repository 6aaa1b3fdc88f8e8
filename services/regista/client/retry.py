"""When to ask again, and how long to wait before.

Exponential back-off with full jitter (M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015), never
less than the server's ``Retry-After``, bounded by a number of attempts and a deadline. Every request may be repeated:
reads change nothing, writes carry an idempotency key, uploads are named by their digest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from regista.client.errors import Unreachable, from_response
from regista.client.exchange import Open, Opened, Request, Response, Send, Sleep, Steps, TransportFault

AGAIN = frozenset({429, 502, 503, 504})
"""Answers that say nothing about the request, only about the moment."""

_FIRST_CEILING = 0.1
_HIGHEST_CEILING = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to try. ``jitter`` draws from 0 to its argument; ``clock`` is monotonic seconds."""

    attempts: int = 6
    deadline: float = 30.0
    jitter: Callable[[float], float] = field(default=lambda ceiling: random.uniform(0, ceiling))  # noqa: S311 - jitter
    clock: Callable[[], float] = time.monotonic

    def pause(self, attempt: int, asked: float | None) -> float:
        """Seconds before the attempt after ``attempt`` (from 1); ``asked`` is the server's ``Retry-After``."""
        drawn = self.jitter(min(_HIGHEST_CEILING, _FIRST_CEILING * 2 ** (attempt - 1)))
        return drawn if asked is None else asked + drawn


def send(request: Request, patience: Patience) -> Steps[Response]:
    """Send until something definite comes back.

    Raises:
        RegistaError: the answer was a problem, of the class that it names.
        Unreachable: none came.
    """
    opened = yield from _persist(Send(request), patience)
    return opened.response


def open_stream(request: Request, patience: Patience, chunk: int | None = None) -> Steps[Opened]:
    """Like ``send``, for an answer whose body is streamed."""
    return (yield from _persist(Open(request, chunk), patience))


def _persist(effect: Send | Open, patience: Patience) -> Steps[Opened]:
    began = patience.clock()
    attempt = 1
    while True:
        fault, response = None, None
        try:
            result = yield effect
        except TransportFault as error:
            fault = error
        else:
            opened = result if isinstance(result, Opened) else Opened(result, None)
            response = opened.response
            if response.ok:
                return opened
            if response.status not in AGAIN:
                raise from_response(response)
        pause = patience.pause(attempt, response.retry_after if response else None)
        spent = patience.clock() - began
        if attempt >= patience.attempts or spent + pause > patience.deadline:
            raise from_response(response) if response else unreachable(effect.request, fault, attempt, spent)
        yield Sleep(pause)
        attempt += 1


def unreachable(request: Request, fault: TransportFault | None, attempts: int, spent: float) -> Unreachable:
    """The error for a registry that did not answer; for a write it names the key to repeat it with."""
    tried = f"after {attempts} attempts in {spent:.1f} s" if attempts > 1 else "at the first attempt"
    hint = "Check that the registry runs and that REGISTA_URL names it; `regista up` starts one on this machine."
    if key := request.headers.get("Idempotency-Key"):
        hint += f" The write may have been made: repeating it with command_id={key!r} cannot make it twice."
    return Unreachable(f"The registry did not answer {tried}: {fault.cause if fault else 'no answer'}", hint=hint)
