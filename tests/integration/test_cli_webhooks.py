"""Webhooks from the command line and the SDK: added, signed, looked at, sent again, rotated, taken away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.command_line import Regista
from tests.support.server import RunningServer, running_server

from regista.client import AsyncClient, Client
from regista.domain.errors import Invalid, NotFound

WHY = ("--reason", "because")
KEY = "whsec_" + "QSBrZXkgb2YgdGhlIHRlc3RzLCAzMiBieXRlcyBsb25n"

OTHER = "whsec_" + "QW5vdGhlciBrZXkgb2YgdGhlIHRlc3RzLCAzMiBieXRlcw=="


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("cli"), allow_private=True) as running:
        yield running


@pytest.fixture
def regista(server: RunningServer) -> Regista:
    return Regista(server.url)


class Receiver:
    """Takes what comes, and answers with ``status``."""

    def __init__(self) -> None:
        self.status = 200
        self.told: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/hook/{uuid4().hex}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield receiver
    receiver.http.shutdown()
    thread.join()
    receiver.http.server_close()


def until(holds: Callable[[], Any]) -> Any:
    """What holds, within 20 seconds."""
    deadline = time.monotonic() + 20
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.02)
    return found


@pytest.fixture
def name() -> str:
    return f"m{uuid4().hex[:8]}"


def verified(receiver: Receiver, key: str, index: int = -1) -> Any:
    headers, body = receiver.told[index]
    return Webhook(key).verify(body, headers)


def test_events_are_sent_signed_and_can_be_sent_again(regista: Regista, receiver: Receiver, name: str) -> None:
    added = regista.json("webhook", "add", receiver.url, "--id", name, "--model", name, "--type", "model.*")
    assert added["secret"].startswith("whsec_")
    assert receiver.url not in json.dumps(added)
    position = regista.json("model", "create", name)["position"]
    regista("model", "create", f"{name}-other")
    until(lambda: receiver.told)
    assert verified(receiver, added["secret"])["data"]["model"] == name
    [delivery] = until(lambda: regista.json("webhook", "deliveries", name, "--state", "delivered"))
    assert (delivery["delivery"], delivery["attempts"], delivery["status"]) == (position, 1, 200)
    assert "model.registered" in regista("webhook", "deliveries", name)
    shown = regista("webhook", "deliveries", name, str(position))
    assert delivery["message_id"] in shown
    assert '"subject": "model/' in shown
    assert str(position) in regista("webhook", "redeliver", name, str(position))
    until(lambda: len(receiver.told) == 2)
    assert receiver.told[0][0]["webhook-id"] == receiver.told[1][0]["webhook-id"] == delivery["message_id"]
    assert f"from {position} to {position}" in regista(
        "webhook", "replay", name, "--from", str(position), "--to", str(position), *WHY
    )
    until(lambda: len(receiver.told) == 3)
    assert regista("webhook", "deliveries", name, "--state", "dead") == ""


def test_a_secret_is_rotated_and_both_sign_for_a_while(
    regista: Regista, receiver: Receiver, name: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(KEY)
    said = regista(
        "webhook", "add", "-", "--id", name, "--model", name, "--secret", f"@{tmp_path / 'key'}", stdin=receiver.url
    )
    assert "secret" not in said.replace("secrets", "")
    assert receiver.url not in said
    made = regista.json("webhook", "rotate", name, "--keep", "1h")["secret"]
    regista("model", "create", name)
    until(lambda: receiver.told)
    assert verified(receiver, KEY) == verified(receiver, made)
    regista("webhook", "rotate", name, "--secret", "-", "--keep", "0", stdin=OTHER)
    regista("model", "update", name, "--title", "T")
    until(lambda: len(receiver.told) == 2)
    verified(receiver, OTHER)
    with pytest.raises(WebhookVerificationError):
        verified(receiver, made)


def test_a_subscription_is_changed_disabled_and_removed(regista: Regista, receiver: Receiver, name: str) -> None:
    regista("webhook", "add", receiver.url, "--id", name, "--model", f"{name}-none")
    changed = regista.json("webhook", "update", name, "--model", name, "--template", "slack", "--description", "d")
    assert (changed["models"], changed["template"], changed["secret"]) == ([name], "slack", None)
    assert "is disabled" in regista("webhook", "disable", name, *WHY)
    shown = regista("webhook", "show", name)
    assert shown.startswith(f"{name}   disabled\n")
    assert receiver.url not in shown
    [listed] = [one for one in regista.json("webhook", "ls") if one["subscription"] == name]
    assert (listed["disabled"], listed["disabled_reason"], listed["models"]) == (True, "because", [name])
    position = regista.json("model", "create", name)["position"]
    assert "is enabled" in regista("webhook", "enable", name, *WHY)
    regista("webhook", "replay", name, "--from", str(position), *WHY)
    until(lambda: receiver.told)
    assert "text" in json.loads(receiver.told[0][1])
    assert regista.json("webhook", "update", name, "--all", "models")["models"] == []
    assert "active" in next(line for line in regista("webhook", "ls").splitlines() if line.startswith(name))
    assert "is removed" in regista("webhook", "rm", name, *WHY)
    assert regista("webhook", "show", name).startswith(f"{name}   removed\n")
    assert "would append nothing" not in regista("webhook", "add", receiver.url, "--dry-run")


def test_what_cannot_be_asked_for_is_refused(regista: Regista, receiver: Receiver, name: str) -> None:
    usage = [
        ("add", receiver.url, "--secret", KEY),
        ("add", receiver.url, "--template", "xml"),
        ("update", name, "--all", "colours"),
        ("update", name, "--all", "models", "--model", "a"),
        ("rotate", name, "--keep", "long"),
        ("rm", name),
    ]
    for arguments in usage:
        done = regista.run("webhook", *arguments)
        assert (done.exit_code, KEY in done.output) == (2, False)
    for arguments in (("rm", name, *WHY), ("show", name), ("deliveries", name), ("replay", name, "--from", "1")):
        done = regista.run("webhook", *arguments)
        assert (done.exit_code, "/v1/" in done.output) == (1, False), done.output


async def test_the_awaited_client_does_the_same(server: RunningServer, receiver: Receiver, name: str) -> None:
    async with AsyncClient(server.url, actor="tester") as client:
        plan = await client.create_subscription.dry_run(receiver.url, id=name)
        assert [event.type for event in plan.events] == ["regista.subscription.created.v1"]
        made = await client.create_subscription(receiver.url, id=name, models=[name], command_id=name)
        again = await client.create_subscription(receiver.url, id=name, models=[name], command_id=name)
        assert (made.secret is None, again.secret, again.replayed) == (False, None, True)
        with pytest.raises(Invalid):
            await client.replay(name, 9_999_999)
        with pytest.raises(NotFound):
            await client.redeliver(name, 1)
        assert [one async for one in client.replays(name)] == []
        assert (await client.remove_subscription(name, reason="over")).removed


def test_a_delivery_that_failed_says_why(server: RunningServer, receiver: Receiver, name: str) -> None:
    receiver.status = 500
    with Client(server.url, actor="tester") as client:
        client.create_subscription(receiver.url, id=name, models=[name])
        position = client.create_model(name).position
        failed = until(lambda: list(client.deliveries(name, state="failed")))
        assert failed[0].status == 500
        detail = client.delivery(name, position)
        assert [(one.number, one.status) for one in detail.history] == [(1, 500)]
        receiver.status = 200
        client.redeliver(name, position, reason="it is back")
        until(lambda: list(client.deliveries(name, state="delivered")))
