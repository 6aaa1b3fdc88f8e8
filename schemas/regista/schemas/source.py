"""Python source that is written once per schema and compiled: what the writer and the reader are made with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class Source:
    """Functions under construction, and the names that they see.

    Nothing but this package's own schemas may reach it: the text becomes code.
    """

    def __init__(self, names: dict[str, Any]) -> None:
        """``names`` is what the functions see; it becomes the module they live in."""
        self._names = names
        self._functions: dict[str, str] = {}

    def has(self, name: str) -> bool:
        """Whether a function of this name is there, finished or under construction."""
        return name in self._functions

    def begin(self, name: str) -> None:
        """Take the name of a function before its body is known."""
        self._functions[name] = ""

    def function(self, name: str, parameters: str, lines: Iterable[str]) -> None:
        """Add a function; ``lines`` are its body, indented relative to it."""
        body = "\n".join("  " + line for line in lines)
        self._functions[name] = f"def {name}({parameters}):\n{body}\n"

    def constant(self, value: object) -> str:
        """Give a value a name that the functions see."""
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def compile(self, filename: str) -> dict[str, Any]:
        """The functions, by name. ``filename`` is what tracebacks show."""
        code = compile("\n".join(self._functions.values()), filename, "exec")
        exec(code, self._names)  # noqa: S102 - the text is made from the schemas of this package alone
        return self._names
