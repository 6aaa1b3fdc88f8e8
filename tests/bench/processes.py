"""Servers for measurements: each a process of its own, on a free port, gone when the measurement is."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

DEADLINE = 30.0
"""Seconds that a server may take to answer."""


@dataclass(frozen=True)
class Server:
    """A running server: its port, process id, and the seconds from its start to its first answer."""

    port: int
    pid: int
    started_in: float

    @property
    def memory(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1]) / 1024


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def registry(data: Path, what: str = "up", *, probe: str = "/readyz", **settings: str) -> Iterator[Server]:
    """``regista up``, or another process of a registry, on a data directory; the settings by their names in lower case.

    It is there when ``probe`` is answered with success.
    """
    port = free_port()
    command = [str(Path(sys.executable).with_name("regista")), what, "--port", str(port), "--data", str(data)]
    with _serving(command, port, probe, settings) as server:
        yield server


def await_ready(server: Server) -> None:
    """Return when it says that it is ready."""
    _await_answer(None, f"http://127.0.0.1:{server.port}/readyz", time.perf_counter() + DEADLINE)


@contextmanager
def floor(data: Path) -> Iterator[Server]:
    """The bare server of ``floor_server``."""
    port = free_port()
    script = Path(__file__).with_name("floor_server.py")
    command = [sys.executable, str(script), "--port", str(port), "--data", str(data)]
    with _serving(command, port, "/current") as server:
        yield server


@contextmanager
def _serving(
    command: list[str], port: int, probe: str, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Server]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
    environment |= {f"REGISTA_{name.upper()}": value for name, value in settings.items()}
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    try:
        _await_answer(process, f"http://127.0.0.1:{port}{probe}", began + DEADLINE)
        yield Server(port, process.pid, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(DEADLINE)


def _await_answer(process: subprocess.Popen[bytes] | None, url: str, deadline: float) -> None:
    while time.perf_counter() < deadline:
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            httpx.get(url, timeout=1).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.01)
        else:
            return
    raise TimeoutError(f"{url} did not answer within {DEADLINE} s")
