"""What a newcomer meets: a fresh clone, an empty home, a bare environment, and the README word for word.

``python3 tools/newcomer.py`` clones HEAD, runs every command of the clone's README.md in order, compares what they
print, and fails when one differs or when all of it, clone and installation included, took longer than ``LIMIT``.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from walkthrough import Mismatch, Reader, steps

LIMIT = 120.0  # seconds
ROOT = Path(__file__).resolve().parents[1]
# What reaching packages may need on a machine: the installer's own settings, certificates, a proxy.
_NEEDED = {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
}


def bare_environment(home: Path) -> dict[str, str]:
    """Nothing but a PATH without virtual environments, an empty home, and what reaching packages needs."""
    own = os.environ.get("VIRTUAL_ENV")
    path = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if not (own and part.startswith(own))]
    passed = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.upper() in _NEEDED}
    return {**passed, "PATH": os.pathsep.join(path), "HOME": str(home)}


def clone(folder: Path) -> str:
    """Clone HEAD of this repository into ``folder``; the short name of its commit."""
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)  # noqa: S607
    answer = subprocess.run(
        ["git", "-C", str(folder), "log", "-1", "--format=%h %s"],  # noqa: S607  (git, found on the PATH)
        check=True,
        capture_output=True,
        text=True,
    )
    return answer.stdout.strip()


def main() -> int:
    """Follow the README; 0 when every command did what it says, in time."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="regista-newcomer-") as scratch:
        home, folder = Path(scratch, "home"), Path(scratch, "regista")
        home.mkdir()
        print(f"cloned {clone(folder)}", flush=True)
        todo = list(steps((folder / "README.md").read_text(encoding="utf-8")))
        if not todo:
            print("README.md shows no command", file=sys.stderr)
            return 1
        try:
            with Reader(folder, bare_environment(home)) as reader:
                for step in todo:
                    begun = time.monotonic()
                    reader.follow(step)
                    print(f"{time.monotonic() - begun:6.1f} s  $ {step.command}", flush=True)
        except Mismatch as error:
            print(f"README.md, {error}", file=sys.stderr)
            return 1
        took = time.monotonic() - started
    print(f"{took:6.1f} s  in all, of {LIMIT:.0f} s; {len(todo)} commands did what the README says")
    return int(took >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
