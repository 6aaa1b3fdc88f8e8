"""Invariant 7: a view is the fold of the log up to its offset; a rebuild from zero gives an equal digest."""

from __future__ import annotations

from pathlib import Path

from tests.support.payloads import version_body
from tests.support.server import app_client


def delete_views(data: Path) -> None:
    for file in data.glob("views.db*"):
        file.unlink()


async def test_live_views_rebuilt_views_and_views_after_deletion_have_one_digest(tmp_path: Path) -> None:
    async with app_client(tmp_path) as one:
        await one.post("/v1/models", json={"name": "fraud"})
        for seed in range(5):
            await one.post("/v1/models/fraud/versions", json=version_body(seed=seed))
        for stage in ("staging", "production"):
            for version in ("1.0.0", "1.1.0"):
                body = {"to": stage, "reason": "test", "keep_existing": True}
                await one.post(f"/v1/models/fraud/versions/{version}/promote", json=body)
        rolled = (await one.post("/v1/models/fraud/rollback", json={"reason": "test"})).json()
        await one.get(f"/v1/models/fraud?min_position={rolled['position']}")
        live = (await one.get("/v1/admin/digests")).json()
        rebuilt = (await one.post("/v1/admin/rebuild")).json()
        assert rebuilt["equal"]
        assert rebuilt["digests"] == rebuilt["previous"] == live["digests"]
    delete_views(tmp_path)
    async with app_client(tmp_path) as one:
        await one.get(f"/v1/models/fraud?min_position={rolled['position']}")
        assert (await one.get("/v1/admin/digests")).json() == live
