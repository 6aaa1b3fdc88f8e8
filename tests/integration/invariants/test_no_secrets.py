"""Invariant 12: no secret that the registry was given is in the log, the views, an export, an answer or a log line."""

from __future__ import annotations

from pathlib import Path

from tests.support.payloads import version_body
from tests.support.server import RunningServer

TOKEN = "correct-horse-battery-staple"


def test_the_token_is_in_no_file_no_answer_and_no_output(tmp_path: Path) -> None:
    server = RunningServer(tmp_path, token=TOKEN)
    told = b""
    try:
        with server.client() as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            client.post("/v1/models", json={"name": "fraud"}).raise_for_status()
            client.post("/v1/models/fraud/versions", json=version_body()).raise_for_status()
            for path in ("/v1/events", "/v1/status", "/metrics", "/v1/admin/export", "/openapi.json"):
                told += client.get(path).raise_for_status().content
            wrong = client.get("/v1/status", headers={"authorization": f"Bearer {TOKEN}x"})
            assert wrong.status_code == 401
            told += wrong.content
        server.terminate()
        told += server.errors.encode()
    finally:
        server.close()
    assert TOKEN.encode() not in told
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [file for file in files if TOKEN.encode() in file.read_bytes()]
