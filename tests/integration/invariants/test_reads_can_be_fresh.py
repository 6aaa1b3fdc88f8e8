"""Invariant 10: every write answers its position, every query takes a minimum position and then shows that write."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.payloads import version_body
from tests.support.server import app_client

QUERIES = (
    "/v1/models/fraud",
    "/v1/models/fraud/versions",
    "/v1/models/fraud/versions/@production",
    "/v1/models/fraud/versions/1.0.0",
    "/v1/production",
    "/v1/versions",
    "/v1/events",
    "/v1/lineage?node=version:fraud/1.0.0",
)


async def test_a_read_at_the_position_of_a_write_shows_it(tmp_path: Path) -> None:
    async with app_client(tmp_path) as one:
        await one.post("/v1/models", json={"name": "fraud"})
        for seed in range(20):
            wrote = await one.post("/v1/models/fraud/versions", json=version_body(seed=seed))
            position = wrote.json()["position"]
            assert wrote.headers["regista-position"] == str(position)
            ref = wrote.json()["version"]
            read = await one.get(f"/v1/models/fraud/versions/{ref}?min_position={position}")
            assert (read.status_code, read.json()["version"]) == (200, ref)
            assert int(read.headers["regista-position"]) >= position


@pytest.mark.parametrize("query", QUERIES)
async def test_every_query_takes_a_minimum_position_and_refuses_one_beyond_the_log(tmp_path: Path, query: str) -> None:
    async with app_client(tmp_path) as one:
        await one.post("/v1/models", json={"name": "fraud"})
        await one.post("/v1/models/fraud/versions", json=version_body())
        for stage in ("staging", "production"):
            body = {"to": stage, "reason": "test"}
            wrote = (await one.post("/v1/models/fraud/versions/1.0.0/promote", json=body)).json()
        joined = "&" if "?" in query else "?"
        read = await one.get(f"{query}{joined}min_position={wrote['position']}")
        assert read.status_code == 200, read.text
        assert int(read.headers["regista-position"]) >= wrote["position"]
        beyond = await one.get(f"{query}{joined}min_position={wrote['position'] + 1000}")
        assert (beyond.status_code, beyond.json()["code"]) == (400, "beyond_log")
