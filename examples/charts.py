"""Charts of a canary: which version answered how much, and how often it was right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from traffic import Answered

WINDOW = 1.0
"""Seconds."""


def draw(answered: Sequence[Answered], marks: Sequence[tuple[float, str]], file: Path, title: str) -> None:
    """Write a chart: shares above, accuracy below, both for windows of a second; ``marks`` are moments with a name."""
    start = answered[0].at
    windows: dict[int, dict[str, list[Answered]]] = defaultdict(lambda: defaultdict(list))
    for one in answered:
        windows[int((one.at - start) / WINDOW)][one.version].append(one)
    versions = sorted({one.version for one in answered})
    times = sorted(windows)
    figure = Figure(figsize=(10, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    shares = [[100 * len(windows[t][v]) / sum(map(len, windows[t].values())) for t in times] for v in versions]
    upper.stackplot(times, shares, labels=versions, step="post", alpha=0.8)
    upper.set(ylabel="share of requests, %", ylim=(0, 100), title=title)
    upper.legend(loc="upper left", title="version")
    for version in versions:
        points = [(t, _accuracy(windows[t][version])) for t in times if windows[t][version]]
        lower.plot(*zip(*points, strict=True), label=version, drawstyle="steps-post")
    lower.set(ylabel="right answers, %", ylim=(0, 102), xlabel="seconds")
    for axes in (upper, lower):
        for at, _ in marks:
            axes.axvline(at - start, color="black", linewidth=0.8, linestyle=":")
    for at, name in marks:
        lower.annotate(name, (at - start, 4), rotation=90, fontsize=7, va="bottom", ha="right")
    file.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(file)


def _accuracy(answered: Sequence[Answered]) -> float:
    known = [one.right for one in answered if one.right is not None]
    return 100 * sum(known) / len(known) if known else 0.0
