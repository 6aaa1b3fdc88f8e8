"""``make up-kafka``: what docker-compose.yml starts, without Docker; one Ctrl+C ends all of it, and the data stays."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from native_kafka import free_port

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "up_kafka.py"
READY_WITHIN = 180.0
ENDED_WITHIN = 60.0

pytestmark = pytest.mark.engine("kafka-native")


@contextmanager
def up_kafka(data: Path, kafka_port: int) -> Iterator[str]:
    """The URL of a registry that is spread out; after the block all of it has ended, and in order."""
    command: list[str | Path] = [
        sys.executable,
        TOOL,
        "--data",
        data,
        "--port",
        str(free_port()),
        "--kafka-port",
        str(kafka_port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    overdue = threading.Timer(READY_WITHIN, process.terminate)
    overdue.start()
    assert process.stdout is not None
    try:
        said = ""
        while "the data stays" not in said and (line := process.stdout.readline()):
            said += line
        overdue.cancel()
        found = re.search(r"Regista is ready: (\S+)", said)
        assert found is not None, said
        yield found[1]
    finally:
        overdue.cancel()
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=ENDED_WITHIN)
    assert "All has ended" in rest
    assert process.returncode == 0


def test_it_starts_all_and_goes_on_with_its_data(tmp_path: Path) -> None:
    data, kafka_port = tmp_path / "all", free_port()
    with up_kafka(data, kafka_port) as url, httpx.Client(base_url=url, headers={"Regista-Actor": "ada"}) as client:
        answer = client.post("/v1/models", json={"name": "tide", "description": "of the sea"})
        assert answer.is_success, answer.text
    with up_kafka(data, kafka_port) as url, httpx.Client(base_url=url) as client:
        assert client.get("/v1/models/tide").json()["description"] == "of the sea"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/healthz")
