"""Printing: results on stdout, messages on stderr; tables for people, JSON for programs.

Colour and boxes only on a terminal that wants them (``NO_COLOR`` is respected); in a pipe no line is ever cut.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from threading import Timer
from typing import TYPE_CHECKING, Any, TypeAlias

from regista.cli.wording import in_options

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from regista.domain.errors import RegistaError

Progress: TypeAlias = Callable[[int, int], None]
_PIPE_WIDTH = 10_000
_NEVER_FOLDED = 20
"""Characters: a time in UTC."""
_SLOW = 0.3
"""Seconds after which somebody who waits would like to see that something moves."""
_STYLES = {"production": "green", "staging": "yellow", "candidate": "cyan", "archived": "dim"}


class Printer:
    """One command's output."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def _stdout(self) -> Console:
        return _console(stderr=False)

    @cached_property
    def _stderr(self) -> Console:
        return _console(stderr=True)

    def json(self, value: BaseModel | Sequence[BaseModel] | dict[str, Any], *, line: bool = False) -> None:
        """Print JSON: a document, or with ``line`` one line of a stream."""
        plain = _plain(value)
        indent = None if line else 2
        separators = (",", ":") if line else None
        sys.stdout.write(json.dumps(plain, indent=indent, separators=separators, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def line(self, text: str = "", style: str | None = None) -> None:
        """Print a line of the result."""
        self._stdout.print(clean(text), style=style)

    def raw(self, text: str) -> None:
        """Print text as it is."""
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")

    def note(self, text: str) -> None:
        """Say something that is not the result."""
        self._stderr.print(clean(text), style="dim")

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
        """Print a table; where it has no rows, say ``empty`` on stderr."""
        from rich.table import Table  # noqa: PLC0415 - commands that print JSON do without
        from rich.text import Text  # noqa: PLC0415 - as above

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        lines = [[cell(value) for value in row] for row in rows]
        for column, *cells in zip(columns, *lines, strict=True):
            # Where the terminal is narrow, long texts give way, not positions, times and names.
            table.add_column(column, overflow="fold", no_wrap=max(map(len, (column, *cells))) <= _NEVER_FOLDED)
        for cells in lines:
            table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in cells))
        if not table.row_count:
            if empty:
                self.note(empty)
            return
        with self._stdout.capture() as drawn:
            self._stdout.print(table)
        # The last column is padded like the others; what nobody sees would only disturb whoever reads lines.
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in drawn.get().splitlines()))

    def fields(self, pairs: Iterable[tuple[str, object]]) -> None:
        """Print names and values; those without a value are left out."""
        shown = [(name, cell(value)) for name, value in pairs if value not in (None, "", [], {}, ())]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            first, *more = value.split("\n")
            self.line(f"{name.ljust(width)}  {first}")
            for text in more:
                self.line(f"{' ' * width}  {text}")

    def refusal(self, error: RegistaError) -> None:
        """Print an error with every reason and every way out."""
        if self.as_json:
            reasons = [{"code": r.code, "detail": r.detail, "field": r.field, "hint": r.hint} for r in error.reasons]
            problem = {"code": error.code, "detail": error.detail, "hint": error.hint, "reasons": reasons}
            sys.stderr.write(json.dumps(problem, ensure_ascii=False) + "\n")
            return
        self._stderr.print(clean(f"{error.detail}  [{error.code}]"), style="bold red")
        hint = in_options(error.hint) if error.hint else None
        said = {hint}
        for reason in error.reasons:
            if len(error.reasons) > 1 or reason.detail not in error.detail:
                where = f"{reason.field}: " if reason.field and reason.field not in reason.detail else ""
                self._stderr.print(clean(f"  - {where}{reason.detail}"))
            way = in_options(reason.hint) if reason.hint else None
            if way and way not in said:
                self._stderr.print(clean(f"      {way}"), style="cyan")
        if hint:
            self._stderr.print(clean(hint), style="cyan")

    @contextmanager
    def progress(self, label: str, *, size: bool = False) -> Iterator[Progress | None]:
        """A bar on stderr, for whoever sits before a terminal; ``size``: the numbers are bytes."""
        if self.as_json or not self._stderr.is_terminal:
            yield None
            return
        from rich import progress as bars  # noqa: PLC0415 - only where it is seen

        amount = bars.DownloadColumn() if size else bars.MofNCompleteColumn()
        columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), amount, bars.TimeRemainingColumn())
        bar = bars.Progress(*columns, console=self._stderr, transient=True)
        task = bar.add_task(label, total=None)
        late = Timer(_SLOW, bar.start)
        late.start()
        try:
            yield lambda done, total: bar.update(task, completed=done, total=total)
        finally:
            late.cancel()
            late.join()  # so that it cannot start what is about to be stopped
            bar.stop()


def _console(*, stderr: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415 - commands that print JSON do without

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=True)


def _plain(value: Any) -> Any:  # noqa: ANN401 - resources, lists of them, or JSON already
    if isinstance(value, dict | str | int | float | None):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.model_dump(mode="json")


def clean(text: str) -> str:
    """The text without control characters, which could draw over what stands on a terminal; new lines stay."""
    return "".join(c if c == "\n" or c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell(value: object) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case datetime():
            return moment(value)
        case dict():
            return ", ".join(f"{clean(str(name))}={cell(item)}" for name, item in value.items()) or "-"
        case list() | tuple():
            return ", ".join(cell(item) for item in value) or "-"
    return clean(str(value))


def moment(value: datetime) -> str:
    """A time in UTC, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def short(digest: str | None) -> str | None:
    """A digest in short: enough to compare by eye."""
    return digest if digest is None else digest[:19]
