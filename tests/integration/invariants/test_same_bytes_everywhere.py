"""Invariant 2: the bytes in the row are the bytes of the export and of its import; no reader sees others."""

from __future__ import annotations

import base64
import json
from contextlib import closing
from pathlib import Path

from tests.support.payloads import version_body
from tests.support.server import app_client

from regista.schemas import codec
from regista.store.sqlite import SQLiteLogReader
from regista.store.sqlite.store import LOG_FILE


async def test_row_export_and_import_hold_the_same_bytes_at_the_same_places(tmp_path: Path) -> None:
    async with app_client(tmp_path / "one") as one:
        await one.post("/v1/models", json={"name": "fraud"})
        for seed in range(3):
            await one.post("/v1/models/fraud/versions", json=version_body(seed=seed))
        await one.put("/v1/models/fraud/aliases/champion", json={"version": "1.1.0"})
        exported = (await one.get("/v1/admin/export")).content
    with closing(SQLiteLogReader(tmp_path / "one" / LOG_FILE)) as log:
        rows = log.read(1, 100)
    events = [json.loads(line) for line in exported.splitlines()[1:-1]]
    assert [(e["position"], e["stream"], e["sequence"], e["type"]) for e in events] == [
        (row.position, row.stream, row.sequence, row.type) for row in rows
    ]
    assert [base64.b64decode(e["value"]) for e in events] == [row.value for row in rows]
    async with app_client(tmp_path / "two") as two:
        answer = await two.post(
            "/v1/admin/import", content=exported, headers={"content-type": "application/x-ndjson"}, timeout=60
        )
        assert answer.status_code in (200, 201), answer.text
    with closing(SQLiteLogReader(tmp_path / "two" / LOG_FILE)) as log:
        assert log.read(1, 100) == rows


async def test_events_are_single_object_avro_of_a_released_schema(tmp_path: Path) -> None:
    async with app_client(tmp_path) as one:
        await one.post("/v1/models", json={"name": "fraud"})
    with closing(SQLiteLogReader(tmp_path / LOG_FILE)) as log:
        for row in log.read(1, 100):
            assert row.value[:2] == codec.MARK
            assert codec.encode(codec.decode(row.value).name, codec.decode(row.value).record) == row.value
