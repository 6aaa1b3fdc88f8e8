"""Kafka's jars are fetched once, whole or not at all; who cannot fetch them is told why."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import kafka_jars

# Stands in for Maven: notes that it was called, and does what the file beside it says.
MAVEN = """#!/bin/sh
echo called >> "$0.calls"
for argument; do case $argument in -DoutputDirectory=*) folder="${argument#*=}";; esac; done
mkdir -p "$folder" && touch "$folder/kafka.jar"
"""
FAILS = MAVEN + 'echo "[ERROR] Could not transfer kafka_2.13"; exit 1\n'


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the only program on the PATH beside the system's own."""
    program = tmp_path / "bin" / "mvn"
    program.parent.mkdir()
    program.write_text(MAVEN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return program


def calls(maven: Path) -> int:
    return len(maven.with_name("mvn.calls").read_text().splitlines())


def test_whoever_asks_at_once_gets_the_jars_of_one_fetch(maven: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: kafka_jars.jars(), range(4)))
    (folder,) = folders
    assert (folder / "kafka.jar").exists()
    assert calls(maven) == 1


def test_what_was_fetched_by_halves_is_fetched_again(maven: Path) -> None:
    maven.write_text(FAILS)
    with pytest.raises(kafka_jars.Unavailable, match="Could not transfer"):
        kafka_jars.jars()
    maven.write_text(MAVEN)
    assert (kafka_jars.jars() / "kafka.jar").exists()
    assert calls(maven) == 2


def test_a_look_asks_for_java_and_for_maven_only_while_there_are_no_jars(
    maven: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(maven.parent))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert kafka_jars.why_not() == "no java on the PATH"
    java = maven.with_name("java")
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    assert kafka_jars.why_not() == f"{java} is older than Java 17"


def test_a_look_is_content_with_jars_or_with_what_fetches_them(maven: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = maven.with_name("java")
    java.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024-01-16' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(maven.parents[1]))
    assert kafka_jars.why_not() is None
    kafka_jars.jars()
    path = maven.rename(maven.with_name("elsewhere")).parent
    monkeypatch.setenv("PATH", str(path))
    assert kafka_jars.why_not() is None
    assert kafka_jars.why_not(kafka_jars.OLD) == f"no mvn on the PATH to fetch Kafka {kafka_jars.OLD} with"
