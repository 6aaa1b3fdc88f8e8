"""``make bench``: every figure of docs/performance.md, each beside its floor and its goal.

``python -m tests.bench.run NAME…`` runs some of them; ``NAME=EVENTS`` with more or fewer events, where it counts them. A goal that is missed is printed, and is no failure.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tests.bench.report import show

BENCHES = {
    "http": "Over HTTP",
    "store": "Log store",
    "projection": "Projections",
    "domain": "Long models",
    "restart": "After a restart",
    "kafka": "Over Kafka",
    "spread": "A registry spread over processes",
    "deploy": "Deployments",
}


def main(names: list[str]) -> int:
    """Run the benches named, or all."""
    # The servers that tests start have their tools there; pytest is told in pyproject.toml.
    sys.path.append(str(Path(__file__).parents[2] / "tools"))
    for wanted in names or list(BENCHES):
        name, _, events = wanted.partition("=")
        bench = importlib.import_module(f"tests.bench.bench_{name}")
        show(BENCHES[name], bench.run(int(events)) if events else bench.run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
