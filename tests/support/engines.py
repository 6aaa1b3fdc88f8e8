"""What a machine may lack: how to look for it, and what becomes of a test without it.

A look is cheap and starts nothing. What only shows when a server is started for real is told by ``lost``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from typing import NoReturn

import pytest
from tests.support import compose, containers, postgres_server

import kafka_jars

Look = Callable[[], str | None]
_found: dict[str, str | None] = {}


def executable(name: str, *also: str) -> Look:
    """A look for a program, in folders that are not on the PATH too: None when it is there, else why it cannot be used."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *also))
    return lambda: None if shutil.which(name, path=path) else f"no {name} on the PATH"


def _kafka(version: str, address: str | None) -> Look:
    def look() -> str | None:
        if address and os.environ.get(address):
            return None
        native = kafka_jars.why_not(version)
        return None if native is None or containers.kafka_image(version) else native

    return look


def _postgres() -> str | None:
    if os.environ.get("REGISTA_TEST_POSTGRES"):
        return None
    native = postgres_server.why_not()
    return None if native is None or containers.postgres_image() else native


def _postgres_native() -> str | None:
    return postgres_server.why_not()


LOOKS: dict[str, Look] = {
    "git": executable("git"),
    "make": executable("make"),
    "openssl": executable("openssl"),
    "nginx": executable("nginx", "/usr/sbin"),
    "compose": compose.why_not,
    "kcat": executable("kcat"),
    "kafka": _kafka(kafka_jars.MAIN, "REGISTA_TEST_KAFKA"),
    "kafka-3.9": _kafka(kafka_jars.OLD, None),
    "kafka-native": kafka_jars.why_not,
    "postgres": _postgres,
    "postgres-native": _postgres_native,
}
"""Each engine's look for itself: None when tests can use it, else the reason."""


def why_not(name: str, looks: Mapping[str, Look] = LOOKS) -> str | None:
    """None when tests can use this engine, else the reason; looked at once."""
    if name not in _found:
        _found[name] = looks[name]()
    return _found[name]


def required(known: Collection[str] = frozenset(LOOKS)) -> set[str]:
    """What must not be missing: REGISTA_TEST_REQUIRE, ``all`` or names with commas between."""
    names = {name.strip() for name in os.environ.get("REGISTA_TEST_REQUIRE", "").split(",")} - {""}
    if unknown := names - {"all", *known}:
        raise pytest.UsageError(f"REGISTA_TEST_REQUIRE names no engine: {', '.join(sorted(unknown))}")
    return names


def need(name: str, looks: Mapping[str, Look] = LOOKS) -> None:
    """Go on where this engine is; skip the test where it is not, or fail it where the engine is required."""
    if (reason := why_not(name, looks)) is not None:
        _absent(name, reason, looks)


def lost(name: str, reason: str) -> NoReturn:
    """The look was too hopeful: from now on this engine is absent."""
    _found[name] = reason
    _absent(name, reason, LOOKS)


def _absent(name: str, reason: str, looks: Mapping[str, Look]) -> NoReturn:
    if required(looks) & {"all", name}:
        pytest.fail(f"{name} is required here: {reason}", pytrace=False)
    pytest.skip(f"engine {name}: {reason}")
