"""The log as a whole through the SDK: verified, rebuilt, exported, imported; and a registry that comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.server import RunningServer, running_server

from regista.client import Client, Unreachable
from regista.domain.errors import Invalid, NotFound, Refused


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path / "data") as running:
        yield running


def test_an_export_makes_the_same_registry_elsewhere(server: RunningServer, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with Client(server.url) as client:
        for number in range(30):
            client.create_model(f"model-{number}")
        exported = client.export_log(tmp_path / "export.jsonl", report=lambda done, total: told.append((done, total)))
        assert (exported.events, told[-1][1]) == (31, 31)
        verified = client.verify()
        assert verified.ok
        assert verified.head.digest == exported.digest
        head = f"{verified.head.position}:{verified.head.digest}"
        assert client.verify(head).proven == "log"
        rebuilt = client.rebuild()
        assert rebuilt.equal
        digests = client.digests()
        with pytest.raises(Refused):
            client.import_log(tmp_path / "export.jsonl")
    with running_server(tmp_path / "other") as second, Client(second.url) as client:
        with pytest.raises(NotFound):
            client.import_log(tmp_path / "nothing")
        (tmp_path / "broken").write_text("{}\n")
        with pytest.raises(Invalid):
            client.import_log(tmp_path / "broken")
        assert client.import_log(tmp_path / "export.jsonl").events == 31
        assert client.verify(head).proven == "log"
        assert client.visible()
        assert client.digests().digests == digests.digests
    with running_server(tmp_path / "copy") as third, Client(third.url, actor="m.rossi") as client:
        copied = client.import_log(tmp_path / "export.jsonl", copy=True, reason="to try something")
        assert copied.copied
        assert copied.log_id != verified.log_id
        last = list(client.events(after=31))
        assert [(event.actor, event.reason) for event in last] == [("m.rossi", "to try something")]


def test_a_write_survives_a_registry_that_dies_and_comes_back(server: RunningServer) -> None:
    with Client(server.url, attempts=2) as client:
        client.create_model("fraud", command_id="once")
        server.kill()
        with pytest.raises(Unreachable) as error:
            client.create_model("fraud", command_id="once")
        assert "command_id='once'" in (error.value.hint or "")
    server.restart()
    with Client(server.url) as client:
        assert client.create_model("fraud", command_id="once").replayed
        assert [model.model for model in client.models()] == ["fraud"]
