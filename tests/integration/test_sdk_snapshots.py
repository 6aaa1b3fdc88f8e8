"""The script that trained a model is kept as long as the model is known."""

import os
from datetime import UTC, datetime
from pathlib import Path

import httpx
from tests.support.payloads import version_body
from tests.support.server import application, client_of

import regista
from regista.artifacts.digests import digest_of
from regista.client import AsyncClient


async def test_a_registered_snapshot_is_no_orphan(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("print('training')\n")
    (tmp_path / "model.bin").write_bytes(b"weights")
    run = regista.capture(snapshot=tmp_path / "train.py", directory=tmp_path, author="ci")
    run.dataset("numbers", [1, 2, 3])
    run.metrics(auc=0.5)
    run.finish(datetime(2026, 5, 4, tzinfo=UTC))
    async with application(tmp_path / "data", orphan_age=1e-6) as running:
        transport = httpx.ASGITransport(running.asgi)
        async with AsyncClient("http://127.0.0.1", transport=transport) as client:
            orphan = await client.push(tmp_path / "train.py")
            await client.register("fraud", tmp_path / "model.bin", run=run)
            await running.orphans.collect()
            version = await client.version("fraud", "1.0.0")
            assert version.code is not None
            assert version.code["snapshot"] == digest_of(b"print('training')\n")
            assert (await client.verify_artifact(version.code["snapshot"])).size == 18
            assert (await client.pull("fraud", "1.0.0", tmp_path / "out")).size == 7
            left = await client.push(tmp_path / "train.py")
            assert left.digest == orphan.digest


async def test_a_registration_renews_the_age_of_the_script_that_it_names(tmp_path: Path) -> None:
    content = b"print('training')\n"
    digest = digest_of(content)
    async with application(tmp_path, orphan_age=3600) as running, client_of(running) as client:
        uploaded = await client.post("/v1/artifacts", params={"digest": digest}, content=content)
        assert uploaded.status_code == 201, uploaded.text
        [blob] = (path for path in (tmp_path / "blobs").rglob("*") if path.is_file() and path.read_bytes() == content)
        os.utime(blob, (0, 0))
        await client.post("/v1/models", json={"name": "fraud"})
        body = {**version_body(), "code": {"snapshot": digest}}
        registered = await client.post("/v1/models/fraud/versions", json=body)
        assert registered.status_code == 201, registered.text
        assert blob.stat().st_mtime > 0
