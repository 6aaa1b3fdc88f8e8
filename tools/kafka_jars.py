"""Apache Kafka from its Maven jars: fetched once for each version into a cache of the user, outside the project.

Versions are exact: 4.4.0 is listed by Maven's metadata and does not resolve.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

MAIN = "4.3.1"
OLD = "3.9.1"
OLDEST_JAVA = 17
FETCH_WITHIN = 300
"""Seconds. The first use of Maven also fetches its own plugins."""

# The jars of Kafka bring no binding for slf4j: without one a broker runs, silent.
_LOGGING = {
    MAIN: ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
    OLD: ("org.slf4j", "slf4j-reload4j", "1.7.36"),
}
VERSIONS = tuple(_LOGGING)


class Unavailable(Exception):
    """There is no Kafka to be had here; the message says why."""


def java() -> str:
    """The program that runs Kafka: from JAVA_HOME, else from the PATH. ``Unavailable`` where there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    if (found := found or shutil.which("java")) is None:
        raise Unavailable("no java on the PATH")
    if _major(found) < OLDEST_JAVA:
        raise Unavailable(f"{found} is older than Java {OLDEST_JAVA}")
    return found


@cache
def _major(program: str) -> int:
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else 0


def why_not(version: str = MAIN) -> str | None:
    """A cheap look: None when ``jars`` is worth a try, else the reason why it is not."""
    try:
        java()
    except Unavailable as error:
        return str(error)
    if _done(version).exists() or shutil.which("mvn"):
        return None
    return f"no mvn on the PATH to fetch Kafka {version} with"


def jars(version: str = MAIN) -> Path:
    """The folder with all jars of this version, fetched first if need be. ``Unavailable`` when that fails.

    Any number of processes may ask at once: one fetches, the others wait for it.
    """
    folder = _cache() / version
    if not _done(version).exists():
        _cache().mkdir(parents=True, exist_ok=True)
        with (_cache() / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not _done(version).exists():
                _fetch(version, folder)
                _done(version).touch()
    return folder


def classes(version: str = MAIN) -> str:
    """The class path of this version, always in the same order: the archive of classes holds for one order only."""
    return os.pathsep.join(str(jar) for jar in sorted(jars(version).glob("*.jar")))


def archive(version: str = MAIN) -> Path:
    """Where loaded classes are kept for the next start, which then takes little more than half the time.

    Whoever makes the file makes it whole; Java ignores one of another Java or of other jars.
    """
    return _cache() / f"{version}.jsa"


def checkpoint(version: str = MAIN) -> Path:
    """Where is kept what Kafka's own tool puts into an empty storage: the levels of features, alike in each cluster."""
    return _cache() / f"{version}.checkpoint"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "regista-test" / "kafka"


def _done(version: str) -> Path:
    return _cache() / f"{version}.done"


def _fetch(version: str, target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable(f"no mvn on the PATH to fetch Kafka {version} with")
    shutil.rmtree(target, ignore_errors=True)
    with TemporaryDirectory() as folder:
        (Path(folder) / "pom.xml").write_text(_project(version))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}", "-DincludeScope=runtime"]
        command = [maven, "--batch-mode", "--quiet", "--no-transfer-progress", *goal]
        try:
            answer = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=FETCH_WITHIN, check=False
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"mvn did not fetch Kafka {version} within {FETCH_WITHIN} s") from None
    if answer.returncode:
        reason = next((line for line in answer.stdout.splitlines() if "ERROR" in line), answer.stderr)
        raise Unavailable(f"mvn did not fetch Kafka {version}: {reason.strip()}")


def _project(version: str) -> str:
    wanted = [("org.apache.kafka", "kafka_2.13", version), _LOGGING[version]]
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{number}</version></dependency>"
        for group, name, number in wanted
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>regista</groupId><artifactId>kafka</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>"
    )
