"""A check of a pipeline: whether a run's accuracy is good enough. Says what it found; exits with 1 when it is not.

::

    python check_accuracy.py build/iris/run.json 0.9
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(run: str, least: str) -> int:
    """0 when the accuracy that ``run`` says is ``least`` or more."""
    accuracy = json.loads(Path(run).read_text())["metadata"]["metrics"]["accuracy"]
    print(f"accuracy {accuracy:.3f}, at least {least} wanted")
    return 0 if accuracy >= float(least) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
