"""Webhooks of a running registry: who subscribes is told what happens from then on, in order, without loss."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from tests.support.receiver import KEY, Receiver, Reply, Told, always, receiving, take
from tests.support.server import app_client, application, client_of
from tests.support.webhooks import ALLOWED, deliveries, furnish, move, subscribe, until, until_settled

from regista.notifier.effects import NAME


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with app_client(tmp_path, **ALLOWED) as client:
        yield client


def told_of(receiver: Receiver) -> list[int]:
    """The positions, in the order in which the receiver took them."""
    return [int(told.document["position"]) for told in receiver.taken]


def in_order(receiver: Receiver) -> bool:
    """Whether every stream was told in order."""
    streams: dict[str, list[int]] = {}
    for told in receiver.taken:
        streams.setdefault(told.document["subject"], []).append(int(told.document["position"]))
    return all(found == sorted(found) for found in streams.values())


async def test_a_subscription_is_told_within_a_second_of_being_created_and_of_nothing_before(
    client: httpx.AsyncClient,
) -> None:
    await furnish(client, "fraud")
    async with receiving() as receiver:
        created = await subscribe(client, receiver)
        began = monotonic()
        position = await move(client, "fraud", 1)
        await receiver.until_taken(1)
        assert monotonic() - began < 1.0
        [told] = receiver.taken
        document = told.verify(KEY)

    assert position > created["position"]
    assert (document["position"], document["subject"]) == (str(position), "model/fraud")
    assert document["type"] == "regista.alias.assigned.v1"
    assert document["reason"] == "move 1"
    [event] = (await client.get(f"/v1/events?after={position - 1}&min_position={position}")).json()["items"]
    assert document["data"] == event["data"]
    assert {name: document[name.replace("_", "")] for name in ("hash", "previous_hash", "actor", "command_id")} == {
        name: event[name] for name in ("hash", "previous_hash", "actor", "command_id")
    }


async def test_one_that_was_removed_is_told_nothing_more_and_its_deliveries_can_still_be_seen(
    client: httpx.AsyncClient,
) -> None:
    await furnish(client, "fraud")
    async with receiving() as receiver, receiving() as witness:
        await subscribe(client, receiver)
        await subscribe(client, witness, "witness", types=["alias.*"])
        await move(client, "fraud", 0)
        await receiver.until_taken(2)
        assert (await client.delete("/v1/subscriptions/one?reason=done")).status_code == 200
        for number in range(5):
            await move(client, "fraud", number)
        await witness.until_taken(6)
        assert len(receiver.told) == 2, "the creation of the other, and the first move"
        found = await deliveries(client)

    assert [one["state"] for one in found if one["type"] == "regista.alias.assigned.v1"] == ["delivered"]
    again = await client.post(f"/v1/subscriptions/one/deliveries/{found[-1]['delivery']}/redeliver")
    assert (again.status_code, again.json()["code"]) == (410, "subscription_removed")


async def test_filters_choose_what_is_told(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud", "churn")
    async with receiving() as receiver, receiving() as all_of_it:
        await subscribe(client, receiver, types=["alias.assigned"], models=["churn"], actors=["tester"])
        await subscribe(client, all_of_it, "all", types=["alias.*", "model.*"])
        await move(client, "fraud", 0)
        position = await move(client, "churn", 0)
        (await client.patch("/v1/models/churn", json={"title": "Churn"})).raise_for_status()
        await all_of_it.until_taken(3)
        await until_settled(client, 1)

    assert told_of(receiver) == [position]


async def test_500_quick_moves_reach_a_receiver_that_fails_5_percent_without_one_out_of_order(
    client: httpx.AsyncClient,
) -> None:
    chance = random.Random(11)
    models = [f"model-{number}" for number in range(5)]
    await furnish(client, *models)

    async def some_fail(_told: Told) -> Reply:
        return Reply(503 if chance.random() < 0.05 else 200)

    async with receiving(some_fail) as receiver:
        await subscribe(client, receiver, types=["alias.assigned", "version.promoted", "version.rolled-back"])

        async def moves(model: str) -> list[int]:
            made = [await move(client, model, number) for number in range(80)]
            for _ in range(10):
                promotion = {"to": "staging", "reason": "up"}
                up = await client.post(f"/v1/models/{model}/versions/1/promote", json=promotion)
                down = await client.post(f"/v1/models/{model}/versions/1/archive", json={"reason": "down"})
                back = await client.post(
                    f"/v1/models/{model}/versions/1/promote", json={**promotion, "to": "candidate"}
                )
                made += [up.raise_for_status().json()["position"], back.raise_for_status().json()["position"]]
                down.raise_for_status()
            return made

        written = [position for made in await asyncio.gather(*map(moves, models)) for position in made]
        await receiver.until_taken(500, within=60)
        assert len(written) == 500

    assert len(receiver.told) > 500, "some were refused, and came again"
    assert in_order(receiver)
    assert sorted(told_of(receiver)) == sorted(written)


async def test_a_receiver_that_was_down_has_everything_when_it_is_back(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud", "churn")
    async with receiving() as receiver:
        await subscribe(client, receiver, types=["alias.assigned"])
        await receiver.stop()
        written = [await move(client, model, number) for number in range(10) for model in ("fraud", "churn")]

        async def tried() -> bool:
            found = await deliveries(client)
            return any(one["attempts"] > 1 for one in found)

        await until(tried)
        await receiver.start()
        await receiver.until_taken(20)

    assert sorted(told_of(receiver)) == written
    assert in_order(receiver)


async def test_410_disables_the_subscription_with_the_event_as_the_cause(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud")
    async with receiving(always(410)) as receiver, receiving() as witness:
        await subscribe(client, witness, "witness", types=["subscription.*"])
        await subscribe(client, receiver, types=["alias.assigned"])
        position = await move(client, "fraud", 0)
        await witness.until_taken(2)
        disabled = witness.taken[1].document
        await move(client, "fraud", 1)
        [found] = await deliveries(client)

    assert disabled["type"] == "regista.subscription.changed.v1"
    assert (disabled["actor"], disabled["subject"]) == ("system:notifier", "subscription/one")
    assert "410" in disabled["reason"]
    [cause] = (await client.get(f"/v1/events?after={position - 1}&limit=1")).json()["items"]
    assert disabled["cause"] == f"model/fraud@{cause['sequence']}"
    assert disabled["data"]["disabled"] is True
    assert (found["state"], found["status"], found["delivery"]) == ("dead", 410, position)
    assert len(receiver.told) == 1


async def test_one_that_is_enabled_again_is_told_what_happens_then(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud")
    async with receiving() as receiver:
        await subscribe(client, receiver, types=["alias.assigned"])
        (await client.patch("/v1/subscriptions/one", json={"disabled": True, "reason": "pause"})).raise_for_status()
        silent = await move(client, "fraud", 0)
        (await client.patch("/v1/subscriptions/one", json={"disabled": False, "reason": "on"})).raise_for_status()
        loud = await move(client, "fraud", 1)
        await receiver.until_taken(1)
        assert told_of(receiver) == [loud]
        asked = await client.post(
            "/v1/subscriptions/one/replay", json={"from": silent, "to": silent, "reason": "catch up"}
        )
        assert asked.status_code == 201, asked.text
        await receiver.until_taken(2)

    assert told_of(receiver) == [loud, silent]


async def test_during_a_rotation_deliveries_are_signed_with_both_secrets(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud")
    async with receiving() as receiver:
        made = (await subscribe(client, receiver, types=["alias.assigned"], secret=None))["secret"]
        rotation = {"secret": KEY, "keep_seconds": 3600, "reason": "due"}
        (await client.post("/v1/subscriptions/one/rotate", json=rotation)).raise_for_status()
        await move(client, "fraud", 0)
        await receiver.until_taken(1)

    [told] = receiver.taken
    assert told.verify(KEY) == told.verify(made)


async def test_slack_is_told_in_words(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud")
    async with receiving() as receiver:
        await subscribe(client, receiver, types=["alias.assigned"], template="slack")
        await move(client, "fraud", 0)
        await receiver.until_taken(1)

    [told] = receiver.taken
    assert told.headers["content-type"] == "application/json"
    assert told.verify(KEY)["text"] == "tester fraud: pointed @champion at 1.0.0"


async def test_private_addresses_are_refused_unless_the_settings_allow_them(tmp_path: Path) -> None:
    async with app_client(tmp_path, webhook_retries="") as client, receiving() as receiver:
        await furnish(client, "fraud")
        await subscribe(client, receiver, types=["alias.assigned"])
        await move(client, "fraud", 0)
        [found] = await until_settled(client, 1)

    assert (found["state"], found["status"]) == ("dead", None)
    assert "not on the public network" in found["error"]
    assert receiver.told == []


async def test_addresses_and_secrets_are_in_no_file_no_answer_and_no_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "regista")

    async def chatty(told: Told) -> Reply:
        return Reply(404, body=f"Cannot POST {told.path} signed with {KEY}".encode())

    answers = ""
    async with (
        app_client(tmp_path, allow_private=True, webhook_retries="0.01") as client,
        receiving(chatty) as receiver,
    ):
        await furnish(client, "fraud")
        secret_url = f"{receiver.url}/T0001/s3cr3tpath?token=t0k3nt0k3n"
        await subscribe(client, receiver, types=["alias.assigned"], url=secret_url)
        position = await move(client, "fraud", 0)
        await until_settled(client, 1)
        for path in (f"/v1/subscriptions/one/deliveries/{position}", "/v1/events", "/v1/status", "/metrics"):
            answers += (await client.get(path)).text

    assert "Cannot POST" in answers
    hidden = [KEY.removeprefix("whsec_"), "s3cr3tpath", "t0k3nt0k3n"]
    assert "work.db" in files_with(tmp_path, b"Cannot POST")
    for secret in hidden:
        assert secret not in answers + caplog.text
        assert files_with(tmp_path, secret.encode()) == ["private.db"]


def files_with(folder: Path, content: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and content in path.read_bytes()]


async def test_deliveries_are_listed_inspected_and_sent_again(client: httpx.AsyncClient) -> None:
    await furnish(client, "fraud")
    async with receiving(always(500)) as receiver:
        await subscribe(client, receiver, types=["alias.assigned"])
        written = [await move(client, "fraud", number) for number in range(3)]
        read = f"/v1/subscriptions/one/deliveries?min_position={written[-1]}"
        first = (await client.get(f"{read}&limit=2")).json()
        second = (await client.get(f"{read}&limit=2&page={first['next']}")).json()
        assert [one["delivery"] for one in first["items"] + second["items"]] == written[::-1]
        assert second["next"] is None
        await receiver.until_told(2)
        receiver.answering = take
        await until_settled(client, 3)
        detail = (await client.get(f"/v1/subscriptions/one/deliveries/{written[0]}")).json()
        assert detail["event"]["position"] == str(written[0])
        assert [one["status"] for one in detail["history"]][-1] == 200
        assert detail["history"][0]["status"] == 500
        assert detail["attempts"] == len(detail["history"])
        ids = {told.id for told in receiver.told}
        again = await client.post(
            f"/v1/subscriptions/one/deliveries/{written[1]}/redeliver", json={"reason": "once more"}
        )
        assert (again.status_code, again.json()["origin"]) == (200, "redelivery")
        await receiver.until_taken(4)
        await until_settled(client, 3)
        assert {told.id for told in receiver.told} == ids
        [act] = (await client.get("/v1/subscriptions/one/replays")).json()["items"]

    assert (act["act"], act["from"], act["actor"], act["reason"]) == ("redeliver", written[1], "tester", "once more")
    assert [one["state"] for one in await deliveries(client, state="delivered")] == ["delivered"] * 3
    assert await deliveries(client, state="dead") == []


async def test_what_waits_for_its_next_attempt_is_sent_at_once_to_another_address(tmp_path: Path) -> None:
    slowly = {**ALLOWED, "webhook_retries": "3600"}
    async with application(tmp_path, **slowly) as app, client_of(app) as client:
        await furnish(client, "fraud")
        async with receiving(always(503)) as broken, receiving() as mended:
            await subscribe(client, broken, types=["alias.assigned"])
            await move(client, "fraud", 1)

            async def waits() -> bool:
                return [one["state"] for one in await deliveries(client)] == ["failed"]

            await until(waits)
            await client.patch("/v1/subscriptions/one", json={"url": mended.url})
            [delivered] = await until_settled(client, 1)
        assert (delivered["state"], len(mended.taken), len(broken.told)) == ("delivered", 1, 1)


async def test_a_replay_of_a_part_of_an_atomic_set_tells_which_part_it_is(client: httpx.AsyncClient) -> None:
    why = {"reason": "because"}
    await furnish(client, "fraud", "churn")
    (await client.put("/v1/environments/prod", json={"stages": ["candidate"]})).raise_for_status()
    for model in ("fraud", "churn"):
        body = {"environment": "prod", "name": model, "model": model}
        (await client.post("/v1/endpoints", json=body)).raise_for_status()
    moments = []
    for version in ("1", "2"):
        for model in ("fraud", "churn"):
            path, body = f"/v1/endpoints/prod/{model}/traffic", {"promote": version, **why}
            answer = await client.put(path, json=body)
            assert answer.is_success, answer.text
        moments.append(answer.json()["position"])
    back = await client.post("/v1/environments/prod/rollback", json={"at": str(moments[0]), **why})
    last = back.json()["events"][-1]["position"]
    async with receiving() as receiver:
        known = await subscribe(client, receiver)
        await client.get(f"/v1/subscriptions/one/deliveries?min_position={known['position']}")
        asked = await client.post("/v1/subscriptions/one/replay", json={"from": last, "to": last})
        assert asked.status_code == 201, asked.text
        await receiver.until_taken(1)
    document = receiver.taken[0].document
    assert (document["position"], document["setindex"], document["setsize"]) == (str(last), 2, 2)


async def test_deliveries_are_found_whatever_the_spelling_of_the_subscription(client: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        await subscribe(client, receiver, "Ci")
        await furnish(client, "fraud")
        found = await until_settled(client, 3, "Ci")
        position = found[0]["delivery"]
        again = await client.post(f"/v1/subscriptions/cI/deliveries/{position}/redeliver")
        assert (again.status_code, again.json()["delivery"]) == (200, position)
        asked = await client.post("/v1/subscriptions/CI/replay", json={"from": position})
        assert asked.status_code == 201, asked.text
        assert len((await client.get("/v1/subscriptions/Ci/replays")).json()["items"]) == 2


async def test_what_is_asked_for_in_vain_is_a_problem_that_says_why(client: httpx.AsyncClient) -> None:
    async with receiving() as receiver:
        created = await subscribe(client, receiver)
        base = "/v1/subscriptions"
        for method, path, body, status, code in (
            ("GET", f"{base}/who/deliveries", None, 404, "unknown_subscription"),
            ("GET", f"{base}/%00/deliveries", None, 404, "unknown_subscription"),
            ("GET", f"{base}/one/deliveries/999", None, 404, "unknown_delivery"),
            ("POST", f"{base}/one/deliveries/999/redeliver", None, 404, "unknown_delivery"),
            ("GET", f"{base}/one/deliveries?page=x", None, 400, "bad_page"),
            ("GET", f"{base}/one/deliveries?min_position=99999", None, 400, "beyond_log"),
            ("GET", f"{base}/one/deliveries/{2**63}", None, 422, "invalid"),
            ("POST", f"{base}/one/replay", {"from": 999}, 422, "bad_range"),
            ("POST", f"{base}/one/replay", {"from": 2, "to": 1}, 422, "bad_range"),
            ("GET", f"{base}/one/replays?page=x", None, 400, "bad_page"),
            ("GET", f"{base}/one/deliveries?sate=dead", None, 400, "unknown_parameter"),
            ("POST", f"{base}/one/replay?dry_run=true", {"from": 1}, 400, "unknown_parameter"),
            ("POST", f"{base}/one/deliveries/999/redeliver?dry_run=true", None, 400, "unknown_parameter"),
            ("POST", "/v1/endpoints/prod/fraud/metrics?dry_run=true", {"reports": []}, 400, "unknown_parameter"),
        ):
            read = await client.get(f"{base}/one/deliveries?min_position={created['position']}")
            assert read.status_code == 200
            answer = await client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (status, code), path


async def test_the_status_and_the_metrics_show_how_deliveries_stand(tmp_path: Path) -> None:
    async with application(tmp_path, **ALLOWED) as registry, client_of(registry) as client, receiving() as receiver:
        await furnish(client, "fraud")
        await subscribe(client, receiver, types=["alias.assigned"])
        await move(client, "fraud", 0)
        await until_settled(client, 1)
        shown: dict[str, Any] = {}

        async def counted() -> bool:
            shown.update((await client.get("/v1/status")).json()["components"][NAME])
            return bool(shown["subscriptions"] == 1)

        await until(counted)
        metrics = (await client.get("/metrics")).text

    assert (shown["state"], shown["open"], shown["dead"], shown["error"]) == ("following", 0, 0, None)
    assert 'regista_webhook_attempts_total{outcome="delivered"} 1.0' in metrics
    assert "regista_webhook_lag 0.0" in metrics
    assert "regista_webhook_oldest_open_seconds 0.0" in metrics


async def test_a_restart_goes_on_where_it_was_and_sends_nothing_old(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with app_client(tmp_path, **ALLOWED) as client:
            await furnish(client, "fraud")
            await subscribe(client, receiver, types=["alias.assigned"])
            before = await move(client, "fraud", 0)
            await receiver.until_taken(1)
            await until_settled(client, 1)
        async with app_client(tmp_path, **ALLOWED) as client:
            after = await move(client, "fraud", 1)
            await receiver.until_taken(2)
            await until_settled(client, 2)

    assert told_of(receiver) == [before, after]


def forget(data: Path) -> None:
    for path in data.glob("work.db*"):
        path.unlink()


async def test_without_its_work_database_nothing_old_is_sent(tmp_path: Path) -> None:
    async with receiving() as receiver:
        async with app_client(tmp_path, **ALLOWED) as client:
            await furnish(client, "fraud")
            await subscribe(client, receiver, types=["alias.assigned"])
            await move(client, "fraud", 0)
            await until_settled(client, 1)
        forget(tmp_path)
        async with app_client(tmp_path, **ALLOWED) as client:

            async def known() -> bool:
                return (await client.get("/v1/subscriptions/one/deliveries?min_position=1")).status_code == 200

            await until(known)
            after = await move(client, "fraud", 1)
            await receiver.until_taken(2)
            await until_settled(client, 1)

    assert told_of(receiver)[1:] == [after]


async def test_the_first_event_of_a_new_registry_is_told(tmp_path: Path) -> None:
    """Effects begin at the log's end as it was at the start, not as it is when the notifier first looks."""
    async with receiving() as receiver, application(tmp_path, **ALLOWED) as registry, client_of(registry) as client:
        assert registry._reacting is not None
        assert registry._reacting.notifier.consumer.claimed.is_set()
        await subscribe(client, receiver)
        (await client.post("/v1/models", json={"name": "fraud"})).raise_for_status()
        await receiver.until_taken(1)

    assert receiver.taken[0].document["subject"] == "model/fraud"


@pytest.mark.engine("postgres")
async def test_on_postgresql_it_is_the_same(tmp_path: Path, postgres_database: str) -> None:
    async with app_client(tmp_path, database=postgres_database, **ALLOWED) as client, receiving() as receiver:
        await furnish(client, "fraud", "churn")
        await subscribe(client, receiver, types=["alias.assigned"])
        written = [await move(client, model, number) for number in range(10) for model in ("fraud", "churn")]
        await receiver.until_taken(20)
        found = await until_settled(client, 20)
        [told] = [told for told in receiver.taken if told.document["position"] == str(written[0])]

    told.verify(KEY)
    assert sorted(told_of(receiver)) == written
    assert in_order(receiver)
    assert {one["state"] for one in found} == {"delivered"}
