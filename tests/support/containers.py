"""Kafka and PostgreSQL in containers, where an engine answers and the image is already there.

An image is never pulled: an engine can run where no registry answers, and the pull would take minutes to fail.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import kafka_jars
from native_kafka import free_port

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

KAFKA_IMAGES = {version: f"apache/kafka:{version}" for version in kafka_jars.VERSIONS}
"""The images of the Kafka project itself, also that of docker-compose.yml."""
POSTGRES_IMAGES = ("postgres:17-alpine", "postgres:17", "postgres:16-alpine", "postgres:16", "postgres:15")


def kafka_image(version: str) -> str | None:
    """The image of this version if it can be run here."""
    given = os.environ.get("REGISTA_TEST_KAFKA_IMAGE") if version == kafka_jars.MAIN else None
    return _first(given or KAFKA_IMAGES[version])


def postgres_image() -> str | None:
    """An image of PostgreSQL that can be run here."""
    given = os.environ.get("REGISTA_TEST_POSTGRES_IMAGE")
    return _first(*((given,) if given else POSTGRES_IMAGES))


@contextmanager
def kafka_container(image: str) -> Iterator[str]:
    """A broker in a container of its own: the address that clients on this machine use. It need not be ready yet."""
    # Clients are told the port to come back to, so it must be known before the container is.
    port = free_port()
    container = _container(image)
    _publish(container.ports, 9092, port)
    for name, value in _settings(port).items():
        container = container.with_env(name, value)
    with _quiet(), container:
        yield f"127.0.0.1:{port}"


@contextmanager
def postgres_container(image: str) -> Iterator[str]:
    """A server in a container of its own: the URL of its first database. It need not be ready yet."""
    container = _container(image).with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
    _publish(container.ports, 5432)
    with _quiet(), container:
        address = f"127.0.0.1:{container.get_exposed_port(5432)}"
        yield f"postgresql://postgres@{address}/postgres"


def _container(image: str) -> DockerContainer:
    with _quiet():
        from testcontainers.core.config import testcontainers_config
        from testcontainers.core.container import DockerContainer
    # The container that removes what an aborted run left behind is an image like any other: not pulled either.
    if _first(testcontainers_config.ryuk_image) is None:
        testcontainers_config.ryuk_disabled = True
    return DockerContainer(image)


def _publish(ports: dict[str, Any], inside: int, *outside: int) -> None:
    """Let a port be reached on this machine alone: what testcontainers offers itself listens on every address."""
    ports[f"{inside}/tcp"] = ("127.0.0.1", *outside)


def _settings(port: int) -> dict[str, str]:
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,INTERNAL://:19092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port},INTERNAL://localhost:19092",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_INTER_BROKER_LISTENER_NAME": "INTERNAL",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "500",
    }


def _first(*images: str) -> str | None:
    """The first of these images that can be run here."""
    return next((image for image in images if image in _images()), None)


@cache
def _images() -> frozenset[str]:
    """The images that a local engine has; none also when no engine answers."""
    with _quiet():
        try:
            return _asked()
        finally:
            gc.collect()  # a client that reaches no engine leaves its socket to the collector, which warns


def _asked() -> frozenset[str]:
    import docker

    try:
        engine = docker.from_env(timeout=3)
    except docker.errors.DockerException:
        return frozenset()
    try:
        return frozenset(tag for image in engine.images.list() for tag in image.tags)
    finally:
        engine.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """These packages warn of their own ways; our warnings stay errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
