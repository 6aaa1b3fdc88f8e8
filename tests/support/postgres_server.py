"""PostgreSQL as a process of this machine: empty, ready within a second or two, gone with this process.

For tests: everything trusts everyone on 127.0.0.1. A server can be killed and started again on its port and data.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg

import leash
from native_kafka import free_port

START_WITHIN = 60.0
STOP_WITHIN = 20.0
_UNPRIVILEGED = ("postgres", "nobody")
_ROOT = 0


@cache
def programs() -> Path | None:
    """The folder of PostgreSQL's server programs, the newest first; None when there is none."""
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    if (config := shutil.which("pg_config")) and (
        folder := Path(subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout.strip())
    ).joinpath("postgres").exists():
        return folder
    # Debian keeps them off the PATH, in a folder for each version.
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((each.parent for each in versions), key=lambda path: int(path.parent.name), default=None)


def why_not() -> str | None:
    """A cheap look: None when a server can be started here, else the reason."""
    if programs() is None:
        return "no PostgreSQL server: neither postgres nor pg_config on the PATH, nor /usr/lib/postgresql"
    return None


class PostgresServer:
    """A server of its own on ``port``. ``durable`` waits for the disk at each commit, as a real one does."""

    def __init__(self, *, durable: bool = False, **settings: object) -> None:
        self.port = free_port()
        # Short, and not below a test's folder: only root can look into those, and a socket's path has 107 bytes.
        self.folder = Path(mkdtemp(prefix="regista-postgres-"))
        self._settings = {
            "fsync": "on" if durable else "off",
            "synchronous_commit": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
            "max_connections": 200,
            "shared_buffers": "128MB",
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _user()
        if self._user is not None:
            shutil.chown(self.folder, self._user)
        self._initialize()

    @property
    def url(self) -> str:
        """The URL of the database that every server has."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of a database here."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The postmaster; the processes of its connections end with it."""
        assert self._process is not None, "this server does not run"
        return self._process

    @property
    def log(self) -> str:
        """What it has written."""
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> Self:
        """Start it; return when it takes connections, after what recovery a kill has made necessary."""
        folder = programs()
        assert folder is not None
        options = [f"-c{name}={value}" for name, value in self._settings.items()]
        where: list[str | Path] = [
            "-D",
            self.folder / "data",
            "-p",
            str(self.port),
            "-k",
            self.folder,
            "-h",
            "127.0.0.1",
        ]
        with (self.folder / "log").open("ab") as output:
            self._process = leash.start(
                [folder / "postgres", *where, *options], output, user=self._user, folder=self.folder
            )
        until = time.monotonic() + START_WITHIN
        while not is_ready(self.url):
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL is not ready: {self.log[-4000:]}")
        return self

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would: the next start recovers from its log."""
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        """End it in order, dropping its connections. Nothing happens when it does not run."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGINT)
            try:
                self._ended()
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self) -> None:
        """Freeze the postmaster: no new connections; those that are open have processes of their own, and go on."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self.process.send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End it and delete its data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.destroy()

    def _ended(self) -> None:
        leash.ended(self.process, STOP_WITHIN)
        self._process = None

    def _initialize(self) -> None:
        folder = programs()
        assert folder is not None
        options = ["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8"]
        command: list[str | Path] = [folder / "initdb", "-D", self.folder / "data", *options]
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=START_WITHIN,
            check=False,
            cwd=self.folder,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
        )
        if answer.returncode:
            raise RuntimeError(f"initdb failed: {answer.stdout}{answer.stderr}")


def is_ready(url: str) -> bool:
    """Whether a server takes connections there."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def deadlocks(url: str) -> int:
    """How many the server has found in a database. What a session found it tells within a second, or when it ends."""
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    with psycopg.connect(url) as connection:
        [[found]] = connection.execute(query).fetchall()
    return int(found)


@contextmanager
def fresh_database(server_url: str) -> Iterator[str]:
    """The URL of a new, empty database of a server, dropped afterwards, whoever is still connected."""
    name = f"regista_{uuid.uuid4().hex[:20]}"
    _administer(server_url, f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        yield url_of(server_url, name)
    finally:
        _administer(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def url_of(server_url: str, database: str) -> str:
    """The URL of another database of the same server."""
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{database}"))


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _user() -> str | None:
    """Whom to run as: PostgreSQL refuses root. None is whoever runs this."""
    if os.geteuid() != _ROOT:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in _UNPRIVILEGED if name in known)
