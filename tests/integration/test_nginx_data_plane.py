"""The split moves under load: no request is lost, each goes where its share says, and no shadow answers anybody."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from tests.support.model_doubles import free_port
from tests.support.server import RunningServer, running_server
from tests.support.small_models import linear_json
from tests.support.steady_load import drawn, steady_load
from tests.support.target_subjects import Nginx, nginx, variant, wanted

from regista import Client
from regista.deployer.targets import Registry, TargetContext, TargetFailed, open_target
from regista.domain.events import Role, Variant

pytestmark = pytest.mark.engine("nginx")
SHADOW = variant(3, 0, "shadow", mirror=1_000)


@pytest.fixture
async def subject(tmp_path: Path) -> AsyncIterator[Nginx]:
    async with nginx(tmp_path) as beside:
        yield beside


def split(share: int) -> tuple[Variant, ...]:
    """So many hundredths of a percent for version 2, the rest for version 1, a tenth copied to version 3."""
    canary = variant(2, share, "canary" if share < 10_000 else "champion")
    return tuple(v for v in (variant(1, 10_000 - share), canary, SHADOW) if v.weight or v.mirror)


async def until(true: Callable[[], bool], within: float = 30.0) -> None:
    deadline = monotonic() + within
    while not true():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


async def move_the_split(subject: Nginx, *, clients: int, keys: int, shares: list[int]) -> None:
    subject.settings |= {"sticky": {"header": "X-User"}, "workers": 2, "keepalive_timeout": 15}
    target = subject.open()
    await target.apply(wanted(1, *split(0)))
    async with steady_load(subject.url, "/prod/fraud/predict", clients=clients, keys=keys) as load:
        for change, share in enumerate(shares, 2):
            await target.apply(wanted(change, *split(share)))
            answers = await load.since_now()
            # Each key goes exactly where its hash says, from the moment that apply has returned.
            expected = {a.key: 2 if drawn(f"{a.key} prod/fraud", share) or share == 10_000 else 1 for a in answers}
            assert {a.key: a.ordinal for a in answers} == expected
            assert {a.change for a in answers} == {change}
            # 2,500 keys are few enough for chance to matter: these are known to fall well.
            assert abs(sum(a.ordinal == 2 for a in answers) / len(answers) - share / 10_000) < 0.01
    assert load.failures == []
    assert {a.ordinal for a in load.answers} == {1, 2}
    assert {(a.ordinal, a.variant) for a in load.answers} == {(1, "1.1.0"), (2, "1.2.0")}
    assert subject.models.calls[3] == 0
    assert set(subject.models.shadowed) == {3}
    assert abs(subject.models.shadowed[3] / len(load.answers) - 0.1) < 0.02
    assert load.connections > clients, "no reload ever closed a connection"
    await target.aclose()


async def test_the_split_moves_under_load_and_no_request_is_lost(subject: Nginx) -> None:
    await move_the_split(subject, clients=40, keys=2_500, shares=[0, 500, 2_500, 5_000, 10_000])


@pytest.mark.soak
async def test_the_split_moves_many_times_under_load_and_no_request_is_lost(subject: Nginx) -> None:
    await move_the_split(subject, clients=100, keys=10_000, shares=[0, 500, 2_500, 5_000, 7_500, 10_000] * 4)


async def test_without_a_key_every_request_draws_anew(subject: Nginx) -> None:
    target = subject.open()
    await target.apply(wanted(1, variant(1, 5_000), variant(2, 5_000, "challenger")))
    async with httpx.AsyncClient(base_url=subject.url) as client:
        answers = [(await client.get("/prod/fraud/predict")).json()["ordinal"] for _ in range(200)]
    assert set(answers) == {1, 2}
    assert 50 < answers.count(1) < 150
    await target.aclose()


async def test_a_client_keeps_its_variant_while_the_canary_grows(subject: Nginx) -> None:
    subject.settings |= {"sticky": {"cookie": "uid"}}
    target = subject.open()
    had: set[int] = set()
    async with httpx.AsyncClient(base_url=subject.url) as client:
        for change, share in enumerate((1_000, 3_000, 6_000), 1):
            await target.apply(wanted(change, variant(1, 10_000 - share), variant(2, share, "canary")))
            found = set()
            for user in range(60):
                answer = await client.get("/prod/fraud/predict", headers={"Cookie": f"uid=u{user}"})
                if answer.json()["ordinal"] == 2:
                    found.add(user)
            assert had < found
            had = found
    await target.aclose()


async def test_the_path_behind_the_endpoint_and_the_query_reach_the_model(subject: Nginx) -> None:
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000), endpoint="Fraud"))
    async with httpx.AsyncClient(base_url=subject.url) as client:
        for path in ("/prod/fraud/predict?a=1&b=%20", "/prod/Fraud/v2/x", "/prod/fraud", "/prod/fraud?q=1"):
            answer = await client.post(path, content=b"y" * 300_000)
            assert answer.json() == {"ordinal": 1, "echo": 300_000}
        assert (await client.get("/prod/fraudulent/predict")).status_code == httpx.codes.NOT_FOUND
    paths = [path for path in subject.models.paths if path.startswith("POST")]
    assert paths == ["POST /predict?a=1&b=%20", "POST /v2/x?", "POST /?", "POST /?q=1"]
    await target.aclose()


async def test_a_region_is_named_by_a_header_and_an_unknown_one_is_refused(subject: Nginx) -> None:
    subject.settings |= {"default_region": "eu"}
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000, region="eu"), variant(2, 10_000, region="us")))
    async with httpx.AsyncClient(base_url=subject.url) as client:
        for headers, ordinal in (({}, 1), ({"Regista-Region": "eu"}, 1), ({"Regista-Region": "us"}, 2)):
            assert (await client.get("/prod/fraud/x", headers=headers)).json()["ordinal"] == ordinal
        refused = await client.get("/prod/fraud/x", headers={"Regista-Region": "mars"})
        assert (refused.status_code, refused.json()["code"]) == (400, "unknown_region")
    await target.aclose()


async def test_an_nginx_of_one_region_serves_that_region_alone(subject: Nginx) -> None:
    subject.settings |= {"region": "us"}
    target = subject.open()
    applied = await target.apply(wanted(1, variant(1, 10_000, region="eu"), variant(2, 10_000, region="us")))
    assert [(seen.region, seen.weight) for seen in applied.observed] == [("us", 10_000)]
    async with httpx.AsyncClient(base_url=subject.url) as client:
        assert (await client.get("/prod/fraud/x")).json()["ordinal"] == 2
    await target.aclose()


async def test_a_shadow_that_hangs_or_is_gone_keeps_nobody_waiting_for_an_answer(subject: Nginx) -> None:
    subject.models.delay[3] = 5
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000), variant(3, 0, "shadow", mirror=10_000)))
    began = monotonic()
    async with httpx.AsyncClient(base_url=subject.url) as client:
        assert (await client.post("/prod/fraud/predict", json={})).json()["ordinal"] == 1
    assert monotonic() - began < 1
    subject.models.delay.clear()
    await target.aclose()


async def test_a_server_that_runs_another_model_gets_no_traffic(subject: Nginx) -> None:
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000)))
    subject.models.digests[2] = f"sha256:{'f' * 64}"
    with pytest.raises(TargetFailed) as failed:
        await target.apply(wanted(2, variant(2, 10_000)))
    assert (failed.value.code, failed.value.retryable) == ("wrong_model", True)
    async with httpx.AsyncClient(base_url=subject.url) as client:
        assert (await client.get("/prod/fraud/x")).json()["ordinal"] == 1
    await target.aclose()


async def test_a_server_that_was_exchanged_is_observed_with_the_digest_that_it_tells(subject: Nginx) -> None:
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000)))
    subject.models.digests[1] = f"sha256:{'e' * 64}"
    observed = await target.observe("prod", "fraud")
    assert observed is not None
    assert [seen.artifact_digest for seen in observed] == [f"sha256:{'e' * 64}"]
    await target.aclose()


async def test_nginx_that_was_killed_is_started_again_with_what_it_served(subject: Nginx) -> None:
    target = subject.open()
    await target.apply(wanted(1, variant(1, 10_000)))
    killed = kill_nginx(subject.folder / "data" / "nginx" / "nginx.pid")
    await until(lambda: not any(map(running, killed)))
    assert await target.observe("prod", "fraud")
    async with httpx.AsyncClient(base_url=subject.url) as client:
        assert (await client.get("/prod/fraud/x")).json()["ordinal"] == 1
    await target.aclose()


async def test_an_nginx_of_somebody_elses_is_reloaded_and_left_running(subject: Nginx) -> None:
    """It includes a file that is written here; its own servers go on."""
    folder = subject.folder / "theirs"
    folder.mkdir()
    include = subject.folder / "data" / "http.conf"
    include.parent.mkdir(exist_ok=True)
    include.write_text("")
    own = free_port()
    temporary = "".join(f"{n}_temp_path {folder}/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"{'user root; ' if os.geteuid() == 0 else ''}pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} include {include};\n"
        f"server {{ listen 127.0.0.1:{own}; location / {{ return 200 theirs; }} }} }}\n"
    )
    started = await asyncio.create_subprocess_exec(
        "/usr/sbin/nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), stderr=asyncio.subprocess.DEVNULL
    )
    assert await started.wait() == 0
    await until(lambda: (folder / "nginx.pid").exists() and (folder / "nginx.pid").read_text().strip() != "")
    pid = int((folder / "nginx.pid").read_text())
    try:
        subject.settings["existing"] = {
            "configuration": str(folder / "nginx.conf"),
            "include": str(include),
            "pid": str(folder / "nginx.pid"),
        }
        target = subject.open()
        for change, ordinal in ((1, 1), (2, 2)):
            await target.apply(wanted(change, variant(ordinal, 10_000)))
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{subject.url}/prod/fraud/x")).json()["ordinal"] == ordinal
                assert (await client.get(f"http://127.0.0.1:{own}/")).text == "theirs"
        await target.aclose()
        os.kill(pid, 0)
    finally:
        os.kill(pid, signal.SIGQUIT)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("registry")) as running:
        yield running


async def test_real_models_are_started_switched_and_ended_when_nobody_needs_them(
    subject: Nginx, registry: RunningServer, tmp_path: Path
) -> None:
    with Client(registry.url) as client:
        digests = {n: (client.push(linear_json(tmp_path / f"{n}.json", n))).digest for n in (1, 2)}

    def real(ordinal: int, weight: int, role: Role) -> Variant:
        return Variant(f"1.{ordinal}.0", ordinal, digests[ordinal], role, weight, 0, None)

    settings = {name: value for name, value in subject.settings.items() if name != "upstream"}
    data = tmp_path / "real"
    data.mkdir()
    context = TargetContext("t", settings, {}, data, Registry(registry.url), allow_private=False)
    target = open_target("nginx", context)

    async def answers() -> set[tuple[float, str]]:
        async with httpx.AsyncClient(base_url=subject.url) as client:
            found = [await client.post("/prod/fraud/predict", json={"inputs": [[0, 0]]}) for _ in range(40)]
        return {(answer.json()["outputs"][0][0], answer.headers["Regista-Variant"]) for answer in found}

    await target.apply(wanted(1, real(1, 5_000, "champion"), real(2, 5_000, "challenger")))
    assert await answers() == {(1.0, "1.1.0"), (2.0, "1.2.0")}
    before = servers_of(data)
    assert len(before) == 2
    await target.apply(wanted(2, real(2, 10_000, "champion")))
    assert await answers() == {(2.0, "1.2.0")}
    await until(lambda: len(servers_of(data)) == 1)
    assert servers_of(data) < before

    await target.aclose()
    assert servers_of(data) == set()
    again = open_target("nginx", context)
    observed = await again.observe("prod", "fraud")
    assert observed is not None
    assert [(seen.artifact_digest, seen.weight) for seen in observed] == [(digests[2], 10_000)]
    assert await answers() == {(2.0, "1.2.0")}
    await again.aclose()


def kill_nginx(pid_file: Path) -> list[int]:
    """The master and its workers, at once: their ids."""
    pid = int(pid_file.read_text())
    processes = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    for process in processes:
        os.kill(process, signal.SIGKILL)
    return processes


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def servers_of(data: Path) -> set[int]:
    """The model servers with files below a folder."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes().decode()
        except OSError:
            continue
        if "regista.serving" in line and re.search(re.escape(str(data)), line):
            found.add(int(place.name))
    return found
