"""Uploads that no version names are deleted after a while; what a version names never is."""

from __future__ import annotations

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

        await running._collect_once()

        assert (await client.get(f"/v1/artifacts/{kept}/model.bin")).content == b"kept"
        assert (await client.get(f"/v1/artifacts/{orphan}")).status_code == 404
