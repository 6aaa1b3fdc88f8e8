"""Uploads that nothing in the log names are deleted after a while; what an event names never is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import httpx
from tests.support.payloads import version_body
from tests.support.server import application, client_of

from regista.artifacts.manifest import MANIFEST_TYPE, FileEntry, Manifest


async def upload(client: httpx.AsyncClient, content: bytes) -> str:
    """One file and its manifest: the digest of the manifest."""
    digest = f"sha256:{sha256(content).hexdigest()}"
    answer = await client.post("/v1/artifacts", params={"digest": digest}, content=content)
    assert answer.status_code == 201, answer.text
    manifest = Manifest.announced([FileEntry("model.bin", len(content), digest)])
    answer = await client.post("/v1/artifacts", content=manifest.to_bytes(), headers={"Content-Type": MANIFEST_TYPE})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["digest"])


async def test_only_what_no_version_names_is_collected(tmp_path: Path) -> None:
    async with application(tmp_path, orphan_age=1e-6) as running, client_of(running) as client:
        kept, orphan = await upload(client, b"kept"), await upload(client, b"orphan")
        await client.post("/v1/models", json={"name": "fraud"})
        body = {**version_body(), "artifact": {"digest": kept}}
        registered = await client.post("/v1/models/fraud/versions", json=body)
        assert registered.status_code == 201, registered.text

        await running.orphans.collect()

        assert (await client.get(f"/v1/artifacts/{kept}/model.bin")).content == b"kept"
        assert (await client.get(f"/v1/artifacts/{orphan}")).status_code == 404


async def test_what_no_view_knows_is_kept_all_the_same(tmp_path: Path) -> None:
    async with application(tmp_path, orphan_age=1e-6) as running, client_of(running) as client:
        kept = await upload(client, b"kept")
        await client.post("/v1/models", json={"name": "fraud"})
        body = {**version_body(), "artifact": {"digest": kept}}
        position = (await client.post("/v1/models/fraud/versions", json=body)).json()["position"]
        await client.get("/v1/models", params={"min_position": position})
        forget_versions(tmp_path / "views.db")
        assert (await client.get("/v1/models/fraud/versions")).json()["items"] == []

        await running.orphans.collect()

        assert (await client.get(f"/v1/artifacts/{kept}/model.bin")).content == b"kept"


def forget_versions(views: Path) -> None:
    """As if the view had skipped the registrations."""
    with closing(sqlite3.connect(views)) as connection, connection:
        named = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%versions%'"
        for (table,) in connection.execute(named).fetchall():
            if "ordinal" in {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}:
                connection.execute(f"DELETE FROM {table}")
