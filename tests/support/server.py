"""A running registry for tests: ``app_client`` inside the test's own loop, ``running_server`` as a process of its own.

Both begin empty in the folder given and end with the block. Any setting can be given by its name.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import SERVICE_UNAVAILABLE
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic

import httpx

from regista.server import Application
from regista.settings import Settings

PROGRAM = """
import sys
from regista.cli.loading import loading
with loading():
    from regista.{} import {}
    from regista.settings import load
sys.exit({}(load()))
"""
PROCESSES = {
    "run": "server",
    "serve": "server",
    "relay": "processes.workers",
    "project": "processes.workers",
    "deploy": "processes.workers",
    "notify": "processes.workers",
}
START_WITHIN = 30.0


@asynccontextmanager
async def app_client(data: Path, **given: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a registry in this process, without a socket. Its answers cannot be streamed."""
    async with application(data, **given) as running, client_of(running) as client:
        yield client


@asynccontextmanager
async def application(data: Path, **given: object) -> AsyncIterator[Application]:
    """The registry itself, in this process."""
    async with Application(Settings.model_validate({"data": data, **given})) as running:
        await _views_there(running)
        yield running


@asynccontextmanager
async def client_of(running: Application, actor: str = "tester") -> AsyncIterator[httpx.AsyncClient]:
    """A client of a registry in this process."""
    transport = httpx.ASGITransport(running.asgi)
    headers = {"Regista-Actor": actor}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
        yield client


async def _views_there(running: Application) -> None:
    """Return when its views answer. A start waits for them for a while only: until then a read may be answered with 503."""
    deadline = monotonic() + START_WITHIN
    async with client_of(running) as client:
        while (answer := await client.get("/v1/models?limit=1&min_position=1")).status_code == SERVICE_UNAVAILABLE:
            assert monotonic() < deadline, answer.text


class RunningServer:
    """A server process that is ready. ``url`` is new after ``restart``; ``errors`` is what it has written to stderr.

    ``process`` is ``run`` (``regista up``), ``serve``, ``relay`` or ``project``, or what Python is to run instead.
    """

    def __init__(self, data: Path, process: str = "run", *, ready: bool = True, **given: object) -> None:
        self.data = data
        self._ready = ready
        self._program = program(process)
        self._environment = environment(data, **given)
        self._stderr = TemporaryFile("w+")  # noqa: SIM115 - closed by close()
        self.restart()

    def restart(self) -> None:
        """Start it, again after ``kill`` or ``terminate`` on the same data."""
        self.process = subprocess.Popen(
            [sys.executable, "-c", self._program],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        self.url = self._await_url()
        # Whoever writes to a pipe that nobody reads comes to stand still.
        self._reader = threading.Thread(target=_read_to_the_end, args=(self.process,))
        self._reader.start()
        if self._ready:
            self.await_ready()

    @property
    def errors(self) -> str:
        """What was written to stderr."""
        self._stderr.seek(0)
        return self._stderr.read()

    def client(self, actor: str = "tester", timeout: float = 30.0) -> httpx.Client:
        """A client with a connection pool of its own."""
        return httpx.Client(base_url=self.url, headers={"Regista-Actor": actor}, timeout=timeout)

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can tell."""
        self.process.kill()
        self.wait()

    def terminate(self, timeout: float = 30.0) -> int:
        """Ask it to end, and wait for it: the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for its end: the exit code."""
        code = self.process.wait(timeout)
        self._reader.join()
        return code

    def close(self) -> None:
        """End it, however that goes."""
        if self.process.poll() is None:
            try:
                self.terminate(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._stderr.close()

    def _await_url(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"http://[^\s/]+", line):
                return found[0]
        self.process.wait()
        self.process.stdout.close()
        raise AssertionError(f"the server did not start: {self.errors}")

    def await_ready(self) -> None:
        """Return when it works."""
        # The listener is open before the URL is printed: a request waits in its backlog until it is answered.
        deadline = monotonic() + 2 * START_WITHIN
        with httpx.Client(timeout=START_WITHIN) as client:
            while (answer := client.get(f"{self.url}/readyz")).status_code != httpx.codes.OK:
                assert self.process.poll() is None, self.errors
                assert monotonic() < deadline, answer.text


@contextmanager
def running_server(data: Path, process: str = "run", *, ready: bool = True, **given: object) -> Iterator[RunningServer]:
    """A server process on a free port of 127.0.0.1, ready to be used unless ``ready`` says otherwise."""
    server = RunningServer(data, process, ready=ready, **given)
    try:
        yield server
    finally:
        server.close()


def start_and_fail(data: Path, **given: object) -> subprocess.CompletedProcess[str]:
    """Start a server that cannot start: its exit code and what it says."""
    command = [sys.executable, "-c", program("run")]
    return subprocess.run(
        command, env=environment(data, **given), capture_output=True, text=True, timeout=START_WITHIN, check=False
    )


def hasty(process: str = "run") -> str:
    """The same process, sure after two looks that a commands topic is shorter than it was; others look twenty times.

    They are patient for the sake of clusters, where a new leader may not know the end yet.
    """
    return program(process).replace(
        "\nsys.exit", "\nfrom regista.bus.commands import queue\nqueue._SHRUNK_LOOKS = 2\nsys.exit"
    )


def program(process: str) -> str:
    """What Python is given to be this process."""
    return PROGRAM.format(PROCESSES[process], process, process) if process in PROCESSES else process


def environment(data: Path, **given: object) -> dict[str, str]:
    """The variables of a server process: those of this one, without its settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    settings = {"port": 0, **given, "data": data}
    return kept | {f"REGISTA_{name.upper()}": str(value) for name, value in settings.items()}


def _read_to_the_end(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    with process.stdout as output:
        for _ in output:
            pass
