"""docker-compose.yml holds what it promises, and its services, started with its very commands and environment, work.

``make compose-test`` brings the file itself up, wherever a container engine answers. Here its three services of Regista
run as processes against a native broker and a native database; only addresses, ports and folders are exchanged.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.fixtures.kafka import KafkaCluster
from tests.support import compose
from tests.support.compose import ROOT, SECRETS, Service

import regista

OWN = {"api": "serve", "relay": "relay", "projector": "project", "deployer": "deploy", "notifier": "notify"}
START_WITHIN = 60.0
REGISTA = Path(sys.executable).with_name("regista")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

pytestmark = pytest.mark.engine("compose")


@pytest.fixture(scope="module")
def services() -> dict[str, Service]:
    return compose.services()


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_without_its_secrets_nothing_starts(secret: str) -> None:
    answer = compose.config(**{name: value for name, value in SECRETS.items() if name != secret})
    assert answer.returncode != 0
    assert secret in answer.stderr
    assert ".env.example" in answer.stderr


def test_the_example_of_settings_names_what_the_file_asks_for_and_nothing_else() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == asked | {"COMPOSE_PROJECT_NAME"}
    assert set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)) == set(SECRETS)


def test_git_and_the_image_keep_secrets_out() -> None:
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_the_services_are_those_of_a_spread_out_registry(services: dict[str, Service]) -> None:
    assert set(services) == {*OWN, "kafka", "postgres"}
    assert {name: services[name]["command"] for name in OWN} == {name: [command] for name, command in OWN.items()}
    assert {services[name]["image"] for name in OWN} == {f"regista:{VERSION}"}


def test_one_service_gets_the_image_for_all(services: dict[str, Service]) -> None:
    assert [name for name in OWN if "build" in services[name]] == ["api"]
    assert {name: services[name]["pull_policy"] for name in OWN} == dict.fromkeys(OWN, "never") | {
        "api": services["api"]["pull_policy"]
    }
    assert services["api"]["pull_policy"] in {"missing", "if_not_present"}


def test_ports_are_published_on_this_machine_alone(services: dict[str, Service]) -> None:
    published = {
        name: {
            port.rpartition(":")[0].partition(":")[0] if isinstance(port, str) else port["host_ip"]
            for port in service["ports"]
        }
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {"api": {"127.0.0.1"}, "kafka": {"127.0.0.1"}}


@pytest.mark.parametrize("name", [*OWN, "kafka", "postgres"])
def test_every_service_is_watched_bounded_and_without_privileges(services: dict[str, Service], name: str) -> None:
    service = services[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert "network_mode" not in service
    limits = service["deploy"]["resources"]["limits"]
    assert limits["cpus"]
    assert limits["memory"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service.get("read_only", False) is (name != "kafka")


def test_state_lies_on_volumes(services: dict[str, Service]) -> None:
    mounted = {
        name: {volume.split(":")[1] if isinstance(volume, str) else volume["target"] for volume in service["volumes"]}
        for name, service in services.items()
        if "volumes" in service
    }
    assert mounted == {
        "api": {"/data"},
        "deployer": {"/data"},
        "postgres": {"/var/lib/postgresql/data"},
        "kafka": {"/var/lib/kafka/data"},
    }
    assert services["kafka"]["environment"]["KAFKA_LOG_DIRS"] == "/var/lib/kafka/data"


def test_the_api_starts_while_kafka_is_away(services: dict[str, Service]) -> None:
    assert set(services["api"]["depends_on"]) == {"postgres"}
    assert set(services["relay"]["depends_on"]) == set(services["projector"]["depends_on"]) == {"kafka", "postgres"}
    assert set(services["deployer"]["depends_on"]) == set(services["notifier"]["depends_on"])
    assert set(services["deployer"]["depends_on"]) == {"api", "kafka", "postgres"}


def test_the_image_is_built_from_pinned_packages_and_runs_without_root() -> None:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"pip (?:--python \S+ )?install (.+?)(?:&&|\n)", text)
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)
    last = text.rpartition("FROM ")[2]
    assert re.search(r"^USER 10001:10001$", last, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", last, re.MULTILINE)
    assert "pip" not in last


def test_what_the_image_is_built_from_is_sent_and_nothing_else() -> None:
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    assert sent == copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


class Process:
    """A service of the file as a process on this machine, started anew when it ends, as the file's policy says."""

    def __init__(self, name: str, service: Service, exchanged: dict[str, str], folder: Path) -> None:
        assert service["restart"] == "unless-stopped"
        self.name, self._folder, self._log = name, folder, folder / f"{name}.log"
        (folder / name).mkdir()
        here = {"REGISTA_HOST": "127.0.0.1", "REGISTA_PORT": "0", "REGISTA_DATA": str(folder / name), **exchanged}
        environment = {variable: str(value) for variable, value in service["environment"].items()}
        assert here.keys() - environment.keys() <= {"REGISTA_KAFKA_PREFIX"}, "what is exchanged must stand in the file"
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment, **here}
        self._command = [REGISTA, *service["command"]]
        self.start()

    def start(self) -> None:
        with self._log.open("w") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self._folder, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def url(self) -> str | None:
        """Where it answers, once it says so."""
        if self._process.poll() is not None:
            self.start()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.output)
        return found[0] if found else None

    def stop(self) -> int:
        """Ask it to end, as the engine does: the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@contextmanager
def running(services: dict[str, Service], exchanged: dict[str, str], folder: Path) -> Iterator[dict[str, Process]]:
    """The services of the file, those behind the api told where it is; what they said stands beside a failure."""
    processes: dict[str, Process] = {}
    try:
        for name in OWN:
            here = exchanged if "api" not in processes else {**exchanged, "REGISTA_URL": said(processes["api"])}
            processes[name] = Process(name, services[name], here, folder)
        yield processes
    except BaseException as error:
        for name, process in processes.items():
            error.add_note(f"{name} said:\n{process.output}")
        raise
    finally:
        for process in processes.values():
            process.close()


def said(process: Process) -> str:
    """The address of a process, once it says it."""
    until = time.monotonic() + START_WITHIN
    while (url := process.url()) is None:
        assert time.monotonic() < until, process.output
        time.sleep(0.05)
    return url


def all_ready(processes: dict[str, Process]) -> dict[str, str]:
    """The addresses of all processes, once the place where the file's health checks look says that each is well."""
    until = time.monotonic() + START_WITHIN
    waiting = dict.fromkeys(processes, "has not said where it is")
    urls: dict[str, str] = {}
    with httpx.Client(timeout=5) as client:
        while waiting:
            assert time.monotonic() < until, waiting
            for name in list(waiting):
                url = processes[name].url()
                if url is None:
                    continue
                try:
                    answer = client.get(f"{url}/readyz")
                except httpx.TransportError as error:
                    waiting[name] = str(error)
                    continue
                waiting[name] = answer.text
                if answer.status_code == httpx.codes.OK:
                    urls[name] = url
                    del waiting[name]
    return urls


@pytest.mark.engine("kafka")
@pytest.mark.engine("postgres")
def test_the_services_work_together_with_the_commands_and_the_environment_of_the_file(
    services: dict[str, Service], kafka: KafkaCluster, kafka_prefix: str, postgres_database: str, tmp_path: Path
) -> None:
    exchanged = {
        "REGISTA_DATABASE": postgres_database,
        "REGISTA_KAFKA": kafka.bootstrap,
        "REGISTA_KAFKA_PREFIX": kafka_prefix,
    }
    token = SECRETS["REGISTA_TOKEN"]
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    with running(services, exchanged, tmp_path) as processes:
        urls = all_ready(processes)
        with regista.Client(urls["api"], token=token, actor="m.rossi") as client:
            register(client, model)
            client.promote("fraud", "1.0.0", to="staging", reason="good")
            promoted = client.promote("fraud", "1.0.0", to="production", reason="good")
            (held,) = client.production()
            assert (held.model, held.version) == ("fraud", "1.0.0")
            history = [event.position for event in client.events(model="fraud")]
            assert history[-1] == promoted.position
        headers = {"Authorization": f"Bearer {token}"}
        for url in urls.values():
            assert httpx.get(f"{url}/metrics").status_code == httpx.codes.UNAUTHORIZED
            assert "regista_" in httpx.get(f"{url}/metrics", headers=headers).text
        assert {name: process.stop() for name, process in processes.items()} == dict.fromkeys(OWN, 0)


def register(client: regista.Client, model: Path) -> None:
    client.register(
        "fraud",
        model,
        code={"repository": "https://example.org/fraud.git", "commit": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"},
        datasets=[{"name": "tx", "version": "2026-05"}],
        metrics={"auc": 0.93},
        author="m.rossi",
        trained_at=datetime(2026, 5, 4, 12, tzinfo=UTC),
    )


def test_the_database_of_the_file_is_its_own(services: dict[str, Service]) -> None:
    address = urlsplit(services["api"]["environment"]["REGISTA_DATABASE"])
    database = services["postgres"]["environment"]
    assert (address.hostname, address.port, address.path) == ("postgres", 5432, f"/{database['POSTGRES_DB']}")
    assert (address.username, address.password) == (database["POSTGRES_USER"], database["POSTGRES_PASSWORD"])
    listeners = services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"INTERNAL://{services['api']['environment']['REGISTA_KAFKA']}," in listeners
