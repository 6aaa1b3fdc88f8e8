"""The script that trained a model is kept as long as the model is known."""

from datetime import UTC, datetime
from pathlib import Path

import httpx
from tests.support.server import application

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
            await running._collect_once()
            version = await client.version("fraud", "1.0.0")
            assert version.code is not None
            assert version.code["snapshot"] == digest_of(b"print('training')\n")
            assert (await client.verify_artifact(version.code["snapshot"])).size == 18
            assert (await client.pull("fraud", "1.0.0", tmp_path / "out")).size == 7
            left = await client.push(tmp_path / "train.py")
            assert left.digest == orphan.digest
