"""A registry over its processes, to be injured: the API, two relays that share no lock, two projectors, behind proxies.

Both relays read the same log, but the second one from a folder of its own, where the log is a link: so their lock files
are two, as on two machines, and nothing but the fence keeps them apart. On PostgreSQL they share a lock, and there are
two registrars.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from tests.support.chaos.copy import Database, Files, Store
from tests.support.own_broker import OwnBroker
from tests.support.server import RunningServer
from tests.support.tcp_proxy import TcpProxy

import native_kafka
from regista.bus.settings import KafkaSettings
from regista.bus.topics.topology import Topics

RELAYS = ("relay-a", "relay-b")
PROJECTORS = ("project-a", "project-b")
_TRACES = re.compile(r"^Traceback .*\n(?:[ \t].*\n|\n)*(\S.*)", re.MULTILINE)


class World:
    """One log with its processes, on a cluster that outlives it."""

    def __init__(
        self,
        folder: Path,
        broker: OwnBroker,
        prefix: str,
        *,
        acknowledge: str,
        relay: str = "relay",
        database: str | None = None,
    ) -> None:
        """``relay`` may be what Python is to run in the place of ``regista relay``."""
        self.data, self.aside = folder / "data", folder / "aside"
        self.broker = broker
        copies = len(broker.nodes)
        insync = 2 if copies > 1 else 1
        self.settings = KafkaSettings(
            kafka=broker.bootstrap, kafka_prefix=prefix, kafka_replication=copies, kafka_min_insync=insync
        )
        self.topics = Topics(prefix)
        self._relay = relay
        self._given: dict[str, object] = {
            "kafka": broker.bootstrap,
            "kafka_prefix": prefix,
            "kafka_replication": copies,
            "kafka_min_insync": insync,
            "log_level": "warning",
        }
        self._acknowledge = acknowledge
        self.store: Store = Files(self.data)
        self.registrars = ["serve"]
        if database is not None:
            self._given["database"] = database
            self.store = Database(database)
            self.registrars.append("serve-b")
        self._ports = [native_kafka.free_port() for _ in self.registrars]
        self.fronts = [TcpProxy("127.0.0.1", port) for port in self._ports]
        self.processes: dict[str, RunningServer] = {}

    @property
    def urls(self) -> list[str]:
        """Where clients find the API: its proxies."""
        return [f"http://{front.address}" for front in self.fronts]

    @property
    def direct(self) -> str:
        """The brokers without their proxies, for those who check."""
        return ",".join(f"127.0.0.1:{node.ports.internal}" for node in self.broker.nodes)

    def start(self) -> None:
        """Start every process; return when all work."""
        for name, port, data in zip(self.registrars, self._ports, (self.data, self.aside), strict=False):
            serving = {**self._given, "port": port, "acknowledge": self._acknowledge}
            self.processes[name] = RunningServer(data, "serve", ready=False, **serving)
        self.aside.mkdir(parents=True, exist_ok=True)
        (self.aside / "log.db").symlink_to(self.data / "log.db")
        wanted = {
            "relay-a": (self.data, self._relay),
            "relay-b": (self.aside, self._relay),
            "project-a": (self.data, "project"),
            "project-b": (self.data, "project"),
        }

        def one(item: tuple[str, tuple[Path, str]]) -> None:
            name, (data, kind) = item
            self.processes[name] = RunningServer(data, kind, ready=False, **self._given)

        with ThreadPoolExecutor(len(wanted)) as pool:
            list(pool.map(one, wanted.items()))
        for process in self.processes.values():
            process.await_ready()

    def close(self) -> None:
        """End everything but the cluster."""
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(_end, self.processes.values()))
        for front in self.fronts:
            front.close()

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        await asyncio.to_thread(self.processes[name].kill)

    async def restart(self, name: str) -> None:
        """Start a process that was killed; it may still have to wait for Kafka."""
        await asyncio.to_thread(self.processes[name].restart)

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self.processes[name].process.send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self.processes[name].process.send_signal(signal.SIGCONT)

    def relay_stands(self, name: str) -> tuple[str, int]:
        """State and position of a relay of events, by its own word; ``unknown`` where it does not answer."""
        try:
            status = httpx.get(f"{self.processes[name].url}/v1/status", timeout=5).json()
        except httpx.HTTPError:
            return "unknown", 0
        relay = status["components"]["relay"]
        return relay["state"], relay["position"]

    def complaints(self) -> Counter[str]:
        """What the processes have written of errors that nobody handled: the last line of each, by process."""
        found: Counter[str] = Counter()
        for name, process in self.processes.items():
            for trace in _TRACES.finditer(process.errors):
                found[f"{name}: {trace[1][:200]}"] += 1
        return found

    def describe(self) -> str:
        """How everything stands, for whoever has to find out why it does not go on."""
        return "\n".join(f"--- {name}: {_state(process)}" for name, process in self.processes.items())


def _end(process: RunningServer) -> None:
    if process.process.poll() is None:
        process.process.send_signal(signal.SIGCONT)
    process.close()


def _state(process: RunningServer) -> str:
    errors = process.errors[-3000:]
    if (code := process.process.poll()) is not None:
        return f"ended with {code}\n{errors}"
    try:
        status = httpx.get(f"{process.url}/v1/status", timeout=5).json()
    except httpx.HTTPError as error:
        return f"{error!r}\n{errors}"
    return f"{json.dumps(status.get('components'))} at {status.get('log_position')}\n{errors}"
