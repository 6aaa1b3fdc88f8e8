"""Requests for an endpoint, from people who know the answer: what each version made of them is told to the registry.

``Traffic`` sends flowers of ``iris.csv`` in a thread of its own, notes which version answered, how fast and whether it
was right, and reports that twice a second, as an application would that learns later what was true.
"""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx
import iris

import regista

EVERY = 0.5
"""Seconds between two reports."""


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: when it was answered, by which version, and whether that was right; None: with an error."""

    at: float
    version: str
    right: bool | None


class Traffic:
    """A steady stream of requests from ``with`` to its end. ``lost`` are those that got no answer from a version."""

    def __init__(self, url: str, registry: str, environment: str, endpoint: str, *, per_second: float = 150.0) -> None:
        self._url = f"{url}/{environment}/{endpoint}/predict"
        self._registry = registry
        self._endpoint = (environment, endpoint)
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")
        self._recorders: dict[str, regista.InferenceRecorder] = {}
        self._failure: BaseException | None = None
        self.answered: list[Answered] = []
        self.lost = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._failure is not None and error is None:
            raise self._failure

    def _run(self) -> None:
        try:
            with httpx.Client(timeout=10.0) as http, regista.Client(self._registry, actor="shop") as registry:
                self._send_and_tell(http, registry)
        except BaseException as error:  # noqa: BLE001 - raised where the block ends
            self._failure = error

    def _send_and_tell(self, http: httpx.Client, registry: regista.Client) -> None:
        flowers, chance = iris.load(), random.Random(7)  # noqa: S311 - no secret
        due = told = time.monotonic()
        while not self._stop.is_set():
            self._ask(http, *chance.choice(flowers))
            now = time.monotonic()
            if now - told >= EVERY:
                told = now
                self._tell(registry)
            due = max(due + self._pause, now - 0.1)
            self._stop.wait(max(0.0, due - now))
        self._tell(registry)

    def _ask(self, http: httpx.Client, flower: list[float], species: int) -> None:
        sent = time.monotonic()
        try:
            answer = http.post(self._url, json={"inputs": [flower[:-1]]})
            took = time.monotonic() - sent
            version = answer.headers["Regista-Variant"]
        except (httpx.HTTPError, KeyError):
            self.lost += 1
            return
        if answer.status_code != httpx.codes.OK:
            self.answered.append(Answered(time.time(), version, None))
            if version in self._recorders:
                self._recorders[version].observe(took, error=True)
            return
        body = answer.json()
        (likely,) = body["outputs"]
        right = likely.index(max(likely)) == species
        self.answered.append(Answered(time.time(), version, right))
        if version not in self._recorders:
            self._recorders[version] = regista.InferenceRecorder(version, body["artifact_digest"], reporter="shop")
        self._recorders[version].observe(took, accuracy=float(right))

    def _tell(self, registry: regista.Client) -> None:
        """Report what was counted since the last time."""
        taken = [recorder.take() for recorder in self._recorders.values()]
        if reports := [report for report in taken if report["requests"]]:
            registry.report_inference(*self._endpoint, reports)
