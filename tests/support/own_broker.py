"""A Kafka cluster of a test's own, to kill, freeze and cut off; with proxies before it where the test wants them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.support.tcp_proxy import TcpProxy

import kafka_jars
from native_kafka import Cluster, Node


class OwnBroker:
    """One node or three, on the same ports and data for as long as it lives.

    With ``proxied``, clients reach each node through its proxy alone, as that is the port that nodes tell them.
    ``settings`` are further properties of the brokers, with underscores for dots.
    """

    def __init__(
        self, folder: Path, nodes: int, *, proxied: bool, version: str = kafka_jars.MAIN, settings: Mapping[str, object]
    ) -> None:
        more = {name.replace("_", "."): value for name, value in settings.items()}
        self._told: dict[int, int] = {}
        self.cluster = Cluster(folder, version, nodes, advertised=self._advertised, settings=more)
        self.proxies = [TcpProxy("127.0.0.1", node.ports.client) for node in self.nodes] if proxied else []
        for node, proxy in zip(self.nodes, self.proxies, strict=False):
            self._told[node.ports.client] = proxy.port

    def _advertised(self, port: int) -> int:
        return self._told.get(port, port)

    @property
    def nodes(self) -> list[Node]:
        """Each can be killed, started, stopped, paused and resumed by itself."""
        return self.cluster.nodes

    @property
    def bootstrap(self) -> str:
        """What clients begin with: the proxies where there are some."""
        return self.cluster.bootstrap

    def start(self) -> Self:
        """Start what does not run; return when clients can use it, at its own ports."""
        self.cluster.start()
        return self

    def kill(self) -> None:
        """SIGKILL to every node."""
        self.cluster.kill()

    def stop(self) -> None:
        """End every node in order."""
        self.cluster.stop()

    def pause(self) -> None:
        """Freeze every node: connections stay open and nothing answers."""
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        """Go on after ``pause``."""
        for node in self.nodes:
            node.resume()

    def restore(self) -> None:
        """Resume what is frozen, start what does not run, and let clients through; return when they can use it."""
        for node in self.nodes:
            if node.running:
                node.resume()
        self.start()

    def cut(self) -> None:
        """Drop all connections of clients, and take new ones."""
        for proxy in self.proxies:
            proxy.cut()

    def destroy(self) -> None:
        """Kill it, close the proxies, delete the data."""
        self.cluster.destroy()
        for proxy in self.proxies:
            proxy.close()
