"""What follows by itself from changes, in the services of docker-compose.yml: files of a target, and webhooks.

The endpoint is that of the README, which serves ``iris`` through a target of the kind ``directory``; the receiver is the
service of compose_receiver.yml, which says each event once, in the order in which they came.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final

from regista import Client

ENDPOINT: Final = ("prod", "iris")
FILE: Final = "/data/targets/files/files/prod/iris.json"
RECEIVER: Final = "http://receiver:9000/hook"
SETTLED_WITHIN: Final = 180.0
"""Seconds for all that was not done when a process was killed; a call that failed is tried again seconds later."""
DONE: Final = {"succeeded", "superseded"}


class Effects:
    """Traffic that changes, and what must become of each change whatever is killed meanwhile.

    Args:
        client: of the registry.
        output: runs a command of compose, and gives what it printed.
        secret: what the receiver checks signatures with.
        versions: of ``iris``; the first serves, the second may not yet.
    """

    def __init__(self, client: Client, output: Callable[..., str], *, secret: str, versions: tuple[str, str]) -> None:
        self._client, self._output, self._versions = client, output, versions
        self._begin = client.create_subscription(RECEIVER, id="receiver", secret=secret).position
        promoted = client.promote("iris", versions[1], to="staging", reason="to be compared")
        self._answered = [promoted.position]
        self._newest: tuple[int | None, int] = (None, 0)

    def change(self, times: int = 6) -> None:
        """Shift a share of the traffic so many times, and wait for nothing that follows."""
        first, second = self._versions
        for _ in range(times):
            share = self._newest[1] + 1
            shares = {first: 100 - share, second: share}
            answer = self._client.change_traffic(*ENDPOINT, shares, reason=f"{share} % for {second}")
            self._newest = (answer.change, share)
            self._answered.append(answer.position)

    def settle(self) -> str | None:
        """Wait until nothing is missing; else what still is when the time is up."""
        until = time.monotonic() + SETTLED_WITHIN
        while (missing := self._missing()) is not None and time.monotonic() < until:
            time.sleep(0.5)
        return missing

    def _missing(self) -> str | None:
        return self._of_outcomes() or self._of_the_file() or self._of_webhooks()

    def _of_outcomes(self) -> str | None:
        """Of every change the log says what became of it on the target, and of the newest that it runs."""
        newest, *others = self._client.deployments(*ENDPOINT)
        if (newest.change, newest.state) != (self._newest[0], "succeeded"):
            return f"change {self._newest[0]} is to have succeeded; change {newest.change} is {newest.state}"
        undone = [f"change {one.change} is {one.state}" for one in others if one.state not in DONE]
        return ", ".join(undone) or None

    def _of_the_file(self) -> str | None:
        """The target has the newest change."""
        document = json.loads(self._output("exec", "--no-TTY", "deployer", "cat", FILE))
        shares = {variant["version"]: variant["weight"] for variant in document["variants"]}
        found = (document["change"], shares.get(self._versions[1]))
        return None if found == self._newest else f"the file has {found}, not {self._newest}: {document}"

    def _of_webhooks(self) -> str | None:
        """The receiver was told of every event since it was subscribed, those of each stream in their order."""
        happened = {event.position: event.stream for event in self._client.events(after=self._begin)}
        if lost := sorted(set(self._answered) - happened.keys()):
            return f"the log lacks the positions {lost}, which were answered"
        lines = self._output("logs", "--no-color", "--no-log-prefix", "receiver").splitlines()
        told = [int(line.split()[0]) for line in lines if line.split()[0].isdecimal()]
        if unlike := sorted(set(told) ^ happened.keys()):
            return f"the receiver was not told of {unlike}"
        streams = defaultdict(list)
        for position in told:
            streams[happened[position]].append(position)
        crossed = {stream: positions for stream, positions in streams.items() if positions != sorted(positions)}
        return f"out of order: {crossed}" if crossed else None
