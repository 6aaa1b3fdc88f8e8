"""The receiver among the examples verifies what a real registry sends, says it once, and refuses everybody else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.support.receiver import KEY
from tests.support.server import running_server

EXAMPLE = Path(__file__).parents[2] / "examples" / "webhook_receiver.py"


@contextmanager
def receiver(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = {**os.environ, "WEBHOOK_SECRET": KEY}
    with subprocess.Popen(
        [sys.executable, EXAMPLE, "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        try:
            yield found[0], process
        finally:
            process.terminate()


def test_the_receiver_takes_what_is_signed_once_and_refuses_the_rest(tmp_path: Path) -> None:
    with (
        receiver(tmp_path) as (url, process),
        running_server(tmp_path / "data", allow_private=True, webhook_retries="0.05,0.05") as server,
        server.client() as client,
    ):
        assert process.stdout is not None
        subscription = {"url": f"{url}hook", "id": "here", "secret": KEY, "types": ["model.registered"]}
        client.post("/v1/subscriptions", json=subscription).raise_for_status()
        position = client.post("/v1/models", json={"name": "fraud"}).raise_for_status().json()["position"]
        assert process.stdout.readline() == f"{position} tester regista.model.registered.v1 model/fraud\n"
        again = f"/v1/subscriptions/here/deliveries/{position}/redeliver"
        while client.post(again).status_code != 200:
            pass  # it is still being recorded as delivered
        second = client.post("/v1/models", json={"name": "churn"}).raise_for_status().json()["position"]
        assert process.stdout.readline() == f"{second} tester regista.model.registered.v1 model/churn\n", "said once"
        forged = httpx.post(url, content=b"{}", headers={"webhook-id": "1"})
        assert forged.status_code == 401
