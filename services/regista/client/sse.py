"""Reading ``text/event-stream`` (WHATWG HTML, 9.2.6 "Interpreting an event stream"), in pieces of any size."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class Message:
    """One event: ``id`` is the last one seen, ``data`` its lines joined."""

    id: str
    event: str
    data: str


class Parser:
    """Takes bytes as they come, and gives the messages that are complete."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._rest = ""
        self._last_id = ""
        self._event = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """The messages that these bytes complete."""
        text = self._rest + self._decode(chunk)
        # A carriage return at the end may be half of a line end.
        held = "\r" if text.endswith("\r") else ""
        *lines, rest = _LINE_END.split(text.removesuffix("\r") if held else text)
        self._rest = rest + held
        for line in lines:
            if message := self._take(line):
                yield message

    def _take(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._last_id = value
        return None

    def _dispatch(self) -> Message | None:
        data, event = self._data, self._event
        self._data, self._event = [], ""
        return Message(self._last_id, event or "message", "\n".join(data)) if data else None
