"""Which commit the training code is at, read with the git command line; nothing in the repository is changed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

_SCP = re.compile(r"(?P<host>[^/:@]+):(?P<path>(?!//).+)")
_SECONDS = 20


@dataclass(frozen=True, slots=True)
class GitState:
    """A commit, where it is from, whether the files differ from it, and the script's path in the repository."""

    repository: str | None
    commit: str
    dirty: bool
    path: str | None = None


class NoGit(Exception):
    """The commit cannot be told; the message says why."""


def read_state(directory: Path, script: Path | None = None) -> GitState:
    """The state of the repository that ``directory`` is in.

    Dirty: a tracked file differs from the commit, or a Python source that this process has loaded is not tracked.
    Other untracked files (data, models, logs) are none of the code.

    Raises:
        NoGit: no git, no repository, no commit yet, or one that git refuses to read.
    """
    root = Path(_git(directory, "rev-parse", "--show-toplevel").strip())
    commit = _git(root, "rev-parse", "--verify", "HEAD").strip()
    sources = set(_sources(root, script))
    dirty = any(_counts(entry, root, sources) for entry in _changes(root))
    inside = script is not None and script.is_relative_to(root)
    path = script.relative_to(root).as_posix() if script is not None and inside else None
    return GitState(_repository(root), commit, dirty, path)


def strip_credentials(url: str) -> str:
    """The address without user, password, query and fragment; ``git@host:path`` becomes ``ssh://host/path``.

    No password gets through in an address of another form either: all before the last ``@`` is cut off.
    """
    if "://" in url:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    if Path(url).exists():
        return url
    bare = url.rpartition("@")[2]
    scp = _SCP.fullmatch(bare)
    return f"ssh://{scp['host']}/{scp['path'].lstrip('/')}" if scp else bare


def _repository(root: Path) -> str | None:
    names = _git(root, "remote").split()
    if not names:
        return None
    name = "origin" if "origin" in names else names[0]
    return strip_credentials(_git(root, "remote", "get-url", name).strip())


def _changes(root: Path) -> Iterator[tuple[str, str]]:
    """(status, path) of everything that differs from the commit; a whole untracked folder is one entry."""
    fields = iter(_git(root, "status", "--porcelain=v1", "-z").split("\0"))
    for entry in fields:
        if entry:
            status, path = entry[:2], entry[3:]
            if "R" in status or "C" in status:
                next(fields, None)
            yield status, path


def _counts(change: tuple[str, str], root: Path, sources: Iterable[Path]) -> bool:
    status, path = change
    return status != "??" or any(source.is_relative_to(root / path) for source in sources)


def _sources(root: Path, script: Path | None) -> Iterator[Path]:
    """The files below ``root`` that this process runs: the script and every module loaded."""
    if script is not None:
        yield script
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and (path := Path(file).absolute()).is_relative_to(root):
            yield path


def _git(directory: Path, *arguments: str) -> str:
    # A lock that git takes to refresh its index could disturb a commit made at the same time.
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", os.fspath(directory), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=_SECONDS, check=False)  # noqa: S603 - no shell
    except FileNotFoundError:
        raise NoGit("git is not installed") from None
    except subprocess.TimeoutExpired:
        raise NoGit(f"git did not answer within {_SECONDS} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise NoGit(lines[0].removeprefix("fatal: ") if lines else f"git {arguments[0]} failed")
    return done.stdout.decode(errors="surrogateescape")
