"""The SDK against a real registry: both clients, files both ways, freshness, races, following the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from sklearn.linear_model import LogisticRegression
from tests.support.server import RunningServer, running_server

import regista
from regista.client import UNSET, AsyncClient, Client, Run
from regista.domain.errors import Invalid, NotFound, PreconditionFailed, Refused, Retired


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, actor="tester") as client:
        yield client


@pytest.fixture
async def awaited(server: RunningServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, actor="tester") as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"model-{uuid4().hex[:8]}"


def a_run(auc: float = 0.9) -> Run:
    run = regista.capture(author="m.rossi")
    run.code(commit="a" * 40, repository="https://git.example.org/fraud")
    run.dataset("transactions", version="2026-05")
    run.metrics(auc=auc)
    run.finish(datetime(2026, 5, 4, tzinfo=UTC))
    return run


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(uuid4().bytes)
    return path


def test_a_model_lives_and_every_read_sees_the_write_before(client: Client, name: str, weights: Path) -> None:
    first = client.register(name, weights, run=a_run(), tags={"team": "risk"})
    assert (first.version, first.stage) == ("1.0.0", "candidate")
    assert client.version(name, "1").metrics == {"auc": 0.9}
    weights.write_bytes(uuid4().bytes)
    second = client.register(name, weights, run=a_run(0.95), change="retrained")
    assert second.version == "1.1.0"
    assert [v.version for v in client.versions(name)] == ["1.1.0", "1.0.0"]
    for version in ("1.0.0", "1.1.0"):
        client.promote(name, version, to="staging", reason="try")
        client.promote(name, version, to="production", reason="go", expect_current=UNSET)
        assert client.version(name, "@production").version == version
    before = client.position
    back = client.rollback(name, reason="auc fell")
    assert (back.version, back.previous_version) == ("1.0.0", "1.1.0")
    assert [p.version for p in client.production(name)] == ["1.0.0"]
    assert [p.version for p in client.production(name, at=before)] == ["1.1.0"]
    assert [t.version for t in client.stage(name, "production")] == ["1.0.0", "1.1.0", "1.0.0"]
    client.set_alias(name, "champion", "@production", expect_current=None)
    assert client.alias(name, "champion").version == "1.0.0"
    assert [a.alias for a in client.aliases(name)] == ["champion"]
    client.remove_alias(name, "champion", expect_current="1.0.0")
    client.evaluate(name, "1.1.0", {"auc": 0.5}, dataset={"name": "holdout", "version": "1"}, slice="eu")
    client.check(name, "1.1.0", "bias", "failed", summary="too much")
    client.update_version(name, "1.1.0", description="the second", tags={"team": None})
    client.update_model(name, title="Fraud", owner="risk")
    client.archive(name, "1.0.0", reason="over", leave_empty=True)
    assert [e.type.split(".")[2] for e in client.history(name)] == [
        "registered", "registered", "registered", "promoted", "promoted", "promoted", "promoted", "rolled-back",
        "assigned", "removed", "evaluation-recorded", "check-reported", "updated", "updated", "archived",
    ]  # fmt: skip
    client.retire_model(name, reason="over")
    with pytest.raises(Retired):
        client.update_model(name, title="Other")
    client.revive_model(name)
    assert client.model(name).title == "Fraud"


def test_a_dry_run_says_what_would_happen_and_nothing_does(client: Client, name: str, weights: Path) -> None:
    assert [e.type for e in client.register.dry_run(name, weights, run=a_run()).events] == [
        "regista.model.registered.v1",
        "regista.version.registered.v1",
    ]
    with pytest.raises(NotFound):
        client.model(name)
    client.register(name, weights, run=a_run())
    plan = client.promote.dry_run(name, "1.0.0", to="staging", reason="try")
    assert [(e.type, e.sequence) for e in plan.events] == [("regista.version.promoted.v1", 3)]
    assert client.model(name).sequence == 2
    with pytest.raises(Refused):
        client.promote.dry_run(name, "1.0.0", to="production", reason="too soon")
    with pytest.raises(TypeError, match=r"client\.promote\.dry_run"):
        client.promote(name, "1.0.0", to="staging", reason="try", dry_run=True)  # type: ignore[call-arg]  # as meant


def test_a_write_with_the_same_key_is_made_once(client: Client, name: str, weights: Path) -> None:
    client.register(name, weights, run=a_run())
    answers = [client.promote(name, "1.0.0", to="staging", reason="try", command_id=f"{name}-p") for _ in range(2)]
    assert [a.replayed for a in answers] == [False, True]
    assert answers[0].position == answers[1].position == client.command(f"{name}-p").position


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(client: Client, name: str, weights: Path) -> None:
    client.register(name, weights, run=a_run())
    client.set_alias(name, "champion", "1.0.0")
    with pytest.raises(PreconditionFailed):
        client.set_alias(name, "champion", "1.0.0", expect_current=None)
    with pytest.raises(PreconditionFailed):
        client.update_model(name, title="T", if_match=1)
    client.update_model(name, title="T", if_match=client.model(name).sequence)


def test_an_estimator_is_registered_with_what_it_tells(client: Client, name: str) -> None:
    model = LogisticRegression(C=0.5).fit([[0.0, 1.0], [1.0, 0.0]], ["no", "yes"])
    assert client.register(name, model, run=a_run()).numbering is not None
    version = client.version(name, "1.0.0")
    assert version.params["C"] == 0.5
    assert version.artifact.format == "joblib"
    assert version.signature is not None
    assert version.signature["outputs"][1] == {
        "name": "probability", "type": "float64", "shape": [None, 2], "optional": False,
    }  # fmt: skip
    wider = LogisticRegression().fit([[0.0, 1.0, 2.0], [1.0, 0.0, 2.0]], ["no", "yes"])
    assert client.register(name, wider, run=a_run()).version == "2.0.0"


def test_a_missing_commit_and_a_snapshot_make_a_whole(client: Client, name: str, weights: Path, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("print('training')\n")
    run = regista.capture(snapshot=script, directory=tmp_path, author="ci")
    run.dataset("numbers", [1, 2, 3])
    run.metrics(auc=0.5)
    run.save(tmp_path / "run.json")
    client.register(name, weights, run=Run.load(tmp_path / "run.json"))
    code = client.version(name, "1.0.0").code
    assert code is not None
    assert code["snapshot"].startswith("sha256:")
    assert code["commit"] is None


def test_nothing_is_registered_that_is_not_complete(client: Client, name: str, weights: Path) -> None:
    with pytest.raises(Invalid) as error:
        client.register(name, weights)
    assert {reason.field for reason in error.value.reasons} >= {"code", "datasets", "metrics", "trained_at"}
    with pytest.raises(NotFound):
        client.model(name)


def test_files_come_back_as_they_went(client: Client, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "deep" / "größe.bin").write_bytes(b"\0" * 3_000_000)
    (folder / "empty").write_bytes(b"")
    told: list[tuple[int, int]] = []
    client.register(name, folder, run=a_run(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3_000_002, 3_000_002)
    pulled = client.pull(name, "1.0.0", tmp_path / "out")
    assert (pulled.version, pulled.size) == ("1.0.0", 3_000_002)
    for path in ("config.json", "deep/größe.bin", "empty"):
        assert (tmp_path / "out" / path).read_bytes() == (folder / path).read_bytes()
    assert client.push(folder).sent == 0
    assert client.verify_artifact(pulled.digest).blobs == 4


def test_lists_are_walked_page_by_page(client: Client, name: str, weights: Path) -> None:
    for number in range(5):
        client.register(name, weights, run=a_run(number / 10), version=f"1.{number}.0")
    assert [v.version for v in client.versions(name, page_size=2)] == [f"1.{n}.0" for n in (4, 3, 2, 1, 0)]
    page = client.versions.page(name, page_size=2)
    assert [v.version for v in page.items] == ["1.4.0", "1.3.0"]
    assert [v.version for v in client.versions.page(name, page_size=2, page_token=page.next).items] == [
        "1.2.0",
        "1.1.0",
    ]
    assert len(list(client.events(model=name, page_size=2))) == 6
    assert {v.version for v in client.search(f"name = '{name}' AND metrics.auc > 0.25")} == {"1.4.0", "1.3.0"}
    assert [e.sequence for e in client.events(model=name, order="desc", page_size=4)] == [6, 5, 4, 3, 2, 1]


def test_questions_about_versions(client: Client, name: str, weights: Path) -> None:
    client.register(name, weights, run=a_run(0.8))
    start = client.position
    client.register(name, weights, run=a_run(0.9), parents=[{"model": name, "version": "1.0.0"}])
    client.promote(name, "2", to="staging", reason="try")
    graph = client.lineage(f"version:{name}/2", direction="upstream")
    assert "dataset:transactions@2026-05" in {node.id for node in graph.nodes}
    assert "flowchart" in client.lineage_diagram(f"version:{name}/2")
    assert client.compare(f"{name}/1", f"{name}/2").metrics == {"auc": {"left": 0.8, "right": 0.9}}
    assert {(c.name, *c.after) for c in client.diff(start, model=name).changes} >= {("staging", "1.1.0")}
    assert client.status().writes == "ok"


def test_what_is_refused_arrives_with_its_reasons(client: Client, name: str, weights: Path) -> None:
    client.register(name, weights, run=a_run())
    client.check(name, "1.0.0", "bias", "failed")
    with pytest.raises(Refused) as error:
        client.promote(name, "1.0.0", to="production", reason="go")
    assert len(error.value.reasons) == 2
    assert error.value.hint
    with pytest.raises(Invalid):
        client.model("..")
    with pytest.raises(NotFound):
        client.version(name, "9.9.9")


def test_a_follower_sees_the_past_and_then_everything_as_it_happens(client: Client, name: str, weights: Path) -> None:
    client.register(name, weights, run=a_run())
    seen: list[str] = []
    third = threading.Event()

    def follow() -> None:
        with Client(client.settings.url) as other:
            for event in other.follow(model=name):
                seen.append(event.type)
                if len(seen) == 2:
                    third.set()
                if len(seen) == 3:
                    return

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(follow)
        assert third.wait(20)
        client.promote(name, "1.0.0", to="staging", reason="try")
        following.result(20)
    assert seen[-1] == "regista.version.promoted.v1"


async def test_the_awaited_client_does_the_same(awaited: AsyncClient, name: str, weights: Path, tmp_path: Path) -> None:
    await awaited.register(name, weights, run=a_run())
    await awaited.promote(name, "1.0.0", to="staging", reason="try")
    plan = await awaited.promote.dry_run(name, "1.0.0", to="production", reason="go")
    assert len(plan.events) == 1
    assert (await awaited.version(name, "stage:staging")).version == "1.0.0"
    assert [v.version async for v in awaited.versions(name)] == ["1.0.0"]
    assert (await awaited.versions.page(name)).next is None
    assert (await awaited.pull(name, "1", tmp_path / "out")).size == 16
    assert await awaited.visible()
    events = [event.type async for event in awaited.history(name)]
    async for event in awaited.follow(model=name):
        assert event.type == events.pop(0)
        if not events:
            break
    with pytest.raises(Refused):
        await awaited.promote(name, "1.0.0", to="staging", reason="again")


async def test_many_at_once_have_one_winner(awaited: AsyncClient, name: str, weights: Path) -> None:
    await awaited.register(name, weights, run=a_run())
    tries = [awaited.set_alias(name, "champion", "1", expect_current=None) for _ in range(16)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, BaseException) for result in results) == 1
    assert all(isinstance(r, PreconditionFailed) for r in results if isinstance(r, BaseException))


def test_another_client_waits_for_what_it_was_told_of(client: Client, name: str, weights: Path) -> None:
    written = client.register(name, weights, run=a_run())
    with Client(client.settings.url) as other:
        other.saw(written.position)
        assert other.version(name, "1").version == "1.0.0"
