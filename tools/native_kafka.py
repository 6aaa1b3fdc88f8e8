"""Apache Kafka as processes of this machine: KRaft, one node or three, ready within seconds, gone with this process.

For tests and for ``make up-kafka``, not for data that matters. A node can be killed and started again on the same
ports and data; all methods block, and may be called from any thread.
"""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

import kafka_jars
import kafka_properties
import kafka_ready
import leash

READY_WITHIN = 90.0
STOP_WITHIN = 20.0
# All that there is in a storage that was made and not used yet.
_META, _CHECKPOINT = "meta.properties", "bootstrap.checkpoint"
# Below the ports that systems hand out by themselves: a dead broker's port stays free for it, and no client that tries
# to reach it can get it as its own end and talk to itself.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that no outgoing connection takes."""
    while True:
        with closing(socket.socket()) as listener:
            try:
                listener.bind(("127.0.0.1", port := random.choice(_PORTS)))  # noqa: S311 - any will do
            except OSError:
                continue
            return port


def prepare(version: str = kafka_jars.MAIN) -> None:
    """Fetch what clusters of this version need, and make what they start faster with; both once for each user.

    Raises:
        kafka_jars.Unavailable: it cannot be fetched.
    """
    kafka_jars.jars(version)
    wanted = kafka_jars.archive(version)
    if wanted.exists():
        return
    with TemporaryDirectory(dir=wanted.parent) as folder:
        draft = Path(folder) / "archive"
        cluster = Cluster(Path(folder) / "kafka", version, java_flags=(f"-XX:ArchiveClassesAtExit={draft}",))
        cluster.start().stop()
        if draft.exists():
            draft.rename(wanted)


def _new_id() -> str:
    """An identity in the manner of Kafka, which must not begin with a dash."""
    return "r" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


class Node:
    """One broker and controller in one process."""

    def __init__(self, cluster: Cluster, number: int, port: int) -> None:
        self.number = number
        self._cluster = cluster
        self._folder = cluster.folder.absolute() / f"node-{number}"
        self._process: subprocess.Popen[bytes] | None = None
        self.ports = self._ports(port)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The running process."""
        assert self._process is not None, "this node does not run"
        return self._process

    @property
    def running(self) -> bool:
        """Whether there is a process, stopped by a signal or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written, warnings and errors."""
        return (self._folder / "log").read_text(errors="replace")

    def start(self, *, wait: bool = True) -> None:
        """Start it on its data, which is made first if there is none; with ``wait`` until it is ready."""
        assert not self.running, "this node runs already"
        self.format()
        with (self._folder / "log").open("ab") as output:
            self._process = leash.start(self._java(self._cluster.heap, "kafka.Kafka", self._properties), output)
        if wait:
            self._cluster.await_ready([self])

    def kill(self) -> None:
        """End it by SIGKILL: its data stays."""
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        """Ask it to end, and wait for it; kill it when it does not. Nothing happens when it does not run."""
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self._ended()
            except subprocess.TimeoutExpired:
                self.kill()

    def pause(self) -> None:
        """Freeze it by SIGSTOP: its connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self.process.send_signal(signal.SIGCONT)

    def _ports(self, client: int) -> kafka_properties.Ports:
        if self._properties.exists():
            return kafka_properties.Ports.of(self._properties.read_text())
        return kafka_properties.Ports.around(client, free_port, secure=self._cluster.secure is not None)

    def _ended(self) -> None:
        leash.ended(self.process, STOP_WITHIN)
        self._process = None

    @property
    def _properties(self) -> Path:
        return self._folder / "server.properties"

    def format(self) -> None:
        """Write its properties and, once in its life, make its storage."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, text in kafka_properties.LOGGING.items():
            (self._folder / name).write_text(text)
        self._properties.write_text(self._cluster.properties(self, self._folder / "data"))
        if (done := self._folder / "formatted").exists():
            return
        if (kept := kafka_jars.checkpoint(self._cluster.version)).exists():
            self._format_from(kept)
        else:
            self._format_by_tool(kept)
        done.touch()

    def _format_from(self, kept: Path) -> None:
        """What the tool does, without a second Java for it, which takes a third of what the start of a node does."""
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        shutil.copyfile(kept, data / _CHECKPOINT)
        names = {"version": 1, "cluster.id": self._cluster.id, "node.id": self.number, "directory.id": _new_id()}
        (data / _META).write_text("".join(f"{name}={value}\n" for name, value in names.items()))

    def _format_by_tool(self, kept: Path) -> None:
        arguments = ("-t", self._cluster.id, "-c", self._properties, "--ignore-formatted")
        command = self._java(128, "kafka.tools.StorageTool", "format", *arguments)
        answer = subprocess.run(command, capture_output=True, text=True, timeout=READY_WITHIN, check=False)
        if answer.returncode:
            raise RuntimeError(f"Kafka's storage was not made: {answer.stdout}{answer.stderr}")
        data = self._folder / "data"
        if {path.name for path in data.iterdir()} == {_META, _CHECKPOINT}:
            with TemporaryDirectory(dir=kept.parent) as folder:
                shutil.copyfile(data / _CHECKPOINT, Path(folder) / _CHECKPOINT).rename(kept)

    def _java(self, heap: int, *arguments: str | Path) -> list[str | Path]:
        flags = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true", *self._cluster.java_flags]
        if (archive := kafka_jars.archive(self._cluster.version)).exists():
            flags.append(f"-XX:SharedArchiveFile={archive}")
        logging = [
            f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}",
            f"-Dlog4j.configuration=file:{self._folder / 'log4j.properties'}",
        ]
        classes = ["-cp", kafka_jars.classes(self._cluster.version)]
        return [kafka_jars.java(), f"-Xmx{heap}m", *flags, *logging, *classes, *arguments]


@dataclass(eq=False)
class Cluster:
    """A cluster of its own: the folder holds nothing but its data.

    A later cluster in the same folder goes on with the data, and on the ports it had.

    ``advertised`` are ports that clients are told to connect to instead of each node's own: those of proxies. ``secure``
    adds listeners with TLS. ``settings`` are further lines of each node's properties, and win.
    """

    folder: Path
    version: str = kafka_jars.MAIN
    size: int = 1
    ports: Sequence[int] = ()
    advertised: Callable[[int], int] | None = None
    secure: kafka_properties.Secure | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    heap: int = 256
    java_flags: Sequence[str] = ()
    nodes: list[Node] = field(init=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        self.id = _new_id()
        wanted = list(self.ports) or [free_port() for _ in range(self.size)]
        self.nodes = [Node(self, number, client) for number, client in enumerate(wanted, start=1)]

    @property
    def bootstrap(self) -> str:
        """The addresses that clients without TLS begin with."""
        return ",".join(f"127.0.0.1:{self._told(node)}" for node in self.nodes)

    def _told(self, node: Node) -> int:
        return self.advertised(node.ports.client) if self.advertised else node.ports.client

    def start(self) -> Self:
        """Start every node that does not run; return when clients can use them all."""
        asleep = [node for node in self.nodes if not node.running]
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            list(pool.map(Node.format, asleep))
        for node in asleep:
            node.start(wait=False)
        self.await_ready(self.nodes)
        return self

    def kill(self) -> None:
        """Kill every node that runs."""
        for node in self.nodes:
            if node.running:
                node.kill()

    def stop(self) -> None:
        """Stop every node that runs."""
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            # All at once: what is left of a quorum would wait in vain to hand its work over.
            list(pool.map(Node.stop, self.nodes))

    def destroy(self) -> None:
        """Kill it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.destroy()

    def properties(self, node: Node, data: Path) -> str:
        """The text of a node's properties."""
        return kafka_properties.text(
            version=self.version,
            number=node.number,
            nodes={each.number: each.ports for each in self.nodes},
            told=self._told(node),
            data=data,
            secure=self.secure,
            more=self.settings,
        )

    def await_ready(self, nodes: Sequence[Node]) -> None:
        """Return when clients can use these nodes. ``RuntimeError`` with its log when one ends, or takes too long."""
        until = time.monotonic() + READY_WITHIN
        address = ",".join(f"127.0.0.1:{node.ports.internal}" for node in self.nodes if node.running)
        with kafka_ready.Probe(address) as probe:
            while not probe.ready({node.number for node in nodes}):
                for node in nodes:
                    if not node.running or time.monotonic() > until:
                        raise RuntimeError(
                            f"node {node.number} of Kafka {self.version} is not ready: {node.log[-4000:]}"
                        )
