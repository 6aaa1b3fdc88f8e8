"""``make demo-deploy``: from training to production and back, without a person in between.

A model is trained, registered, checked and served by nginx. A better one comes in as a canary, step by step, on what
generated traffic says of it, until it is the champion, and the pipeline promotes it. Then one comes whose tests were
wrong: its checks are green, and people get wrong answers. The endpoint goes back by itself. At no time does a request
fail. The story runs in one process, and again with Kafka and each service a process of its own; both must come out the
same. Exits with 1 otherwise. The charts lie in ``build/demo-deploy``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TypeAlias

import charts
import iris
from demo import console, url_of
from traffic import Traffic

import regista

CHARTS = Path("build/demo-deploy")
ENVIRONMENT, ENDPOINT, MODEL = "prod", "iris", "iris"
PATIENCE = 120.0
"""Seconds until a step must have ended."""
GUARDRAILS = [
    {"metric": "errors", "limit": "maximum", "value": 0.02, "minimum_samples": 40},
    {
        "metric": "accuracy", "limit": "minimum", "value": 0.9, "relative_to_champion": True, "minimum_samples": 40,
    },
]  # fmt: skip
STEPS = [
    {"weight": 10, "hold_seconds": 2, "minimum_requests": 40},
    {"weight": 50, "hold_seconds": 2, "minimum_requests": 100},
    {"weight": 100},
]
Change: TypeAlias = tuple[str, tuple[tuple[str, str, float], ...]]
"""How it came to be, and each variant with its role and weight."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must be the same whichever way the registry runs."""

    changes: tuple[Change, ...]
    verdicts: tuple[str, ...]
    in_production: str
    state: str
    failed: int


def main(which_ones: Sequence[str]) -> int:
    """The demonstration, of ``embedded``, ``kafka`` or both; 0 when everything held."""
    if which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
        console.print("The models are served through nginx, which is not installed: apt-get install nginx-light")
        return 1
    outcomes = {}
    for way in which_ones or ("embedded", "kafka"):
        console.rule(f"[bold]{way}[/]")
        with tempfile.TemporaryDirectory(prefix="regista-demo-") as folder, ExitStack() as stack:
            url = WAYS[way](stack, Path(folder))
            outcomes[way] = story(url, Path(folder), CHARTS / f"{way}.svg")
    for way, outcome in outcomes.items():
        console.print(f"{way}: {len(outcome.changes)} changes, verdicts {', '.join(outcome.verdicts)}; {outcome.state}")
    held = all(as_expected(outcome) for outcome in outcomes.values()) and len(set(outcomes.values())) == 1
    console.print("[green]Everything held.[/]" if held else f"[red]Something is off.[/] {outcomes}")
    return 0 if held else 1


def as_expected(outcome: Outcome) -> bool:
    """Whether the good version went through and the bad one was taken back, and nobody noticed."""
    served = [{version: weight for version, _, weight in variants} for _, variants in outcome.changes]
    return (
        served
        == [
            {"1.0.0": 100},
            {"1.0.0": 90, "1.1.0": 10},
            {"1.0.0": 50, "1.1.0": 50},
            {"1.0.0": 0, "1.1.0": 100},
            {"1.1.0": 100},
            {"1.1.0": 90, "1.2.0": 10},
            {"1.1.0": 100},
        ]
        and outcome.changes[-1][0] == "rolled-back"
        and outcome.in_production == "1.1.0"
        and outcome.state == "deployed"
        and outcome.failed == 0
    )


def story(url: str, folder: Path, chart: Path) -> Outcome:
    """All of it, against one registry."""
    with regista.Client(url, actor="pipeline") as client, ExitStack() as stack:
        entrance = f"127.0.0.1:{free_port()}"
        client.define_environment(ENVIRONMENT, stages=["staging", "production"], reason="where customers are")
        client.put_target("web", kind="nginx", settings={"listen": entrance}, reason="the entrance")
        train(client, folder, steps=20, version="1.0.0")
        for stage in ("staging", "production"):
            client.promote(MODEL, "1.0.0", to=stage, reason="the first model")
        client.create_endpoint(
            ENVIRONMENT,
            ENDPOINT,
            model=MODEL,
            targets=["web"],
            automatic=True,
            guardrails=GUARDRAILS,
            reason="which iris is it?",
        )
        client.change_traffic(ENVIRONMENT, ENDPOINT, {"1.0.0": 100}, reason="the first model")
        deployed(client, "1.0.0")
        shown(url, "1.0.0 is served")
        traffic = stack.enter_context(Traffic(f"http://{entrance}", url, ENVIRONMENT, ENDPOINT))
        train(client, folder, steps=300, version="1.1.0")
        client.promote(MODEL, "1.1.0", to="staging", reason="better in the test")
        canary(client, "1.0.0", "1.1.0")
        deployed(client, "1.1.0")
        client.promote(MODEL, "1.1.0", to="production", reason="the canary held")
        shown(url, "1.1.0 went through the canary and is in production")
        train(client, folder, steps=300, version="1.2.0", mixed_up=True)
        client.promote(MODEL, "1.2.0", to="staging", reason="better in the test, it seems")
        canary(client, "1.1.0", "1.2.0")
        until(lambda: client.endpoint(ENVIRONMENT, ENDPOINT).wanted.how == "rolled-back", "the endpoint goes back")
        deployed(client, "1.1.0")
        client.check(MODEL, "1.2.0", "canary", "failed", summary="people got wrong answers", reason="rolled back")
        shown(url, "1.2.0 did harm, and the endpoint went back by itself")
        stack.close()
        print_timeline(url)
        outcome = outcome_of(client, traffic)
        marks = [(change.since.timestamp(), change.how) for change in client.endpoint_changes(ENVIRONMENT, ENDPOINT)]
    charts.draw(traffic.answered, [mark for mark in marks if mark[0] > traffic.answered[0].at], chart, "iris in prod")
    console.print(f"{len(traffic.answered)} requests answered, {outcome.failed} failed; the chart is {chart}")
    return outcome


def train(client: regista.Client, folder: Path, *, steps: int, version: str, mixed_up: bool = False) -> None:
    """Train, register, report the check. ``mixed_up``: its file is not what was measured, as it happens."""
    file = folder / f"model-{version}.safetensors"
    accuracy, run = iris.train(file, steps=steps)
    if mixed_up:
        weights = iris.fit(iris.load(), 20, 0.1)
        iris.write(file, [weights[1], weights[2], weights[0]])
    client.register(MODEL, file, run=run, version=version, reason=f"accuracy {accuracy:.2f}")
    client.check(MODEL, version, "accuracy", "passed", summary=f"{accuracy:.2f}", reason="measured on 50 flowers")


def canary(client: regista.Client, champion: str, version: str) -> None:
    """Bring a version in step by step."""
    first = STEPS[0]["weight"]
    client.change_traffic(
        ENVIRONMENT,
        ENDPOINT,
        [{"version": champion, "weight": 100 - first}, {"version": version, "weight": first, "role": "canary"}],
        canary=STEPS,
        reason=f"a canary of {version}",
    )


def deployed(client: regista.Client, version: str) -> None:
    """Return when a version alone is wanted, and runs."""

    def holds() -> bool:
        found = client.endpoint(ENVIRONMENT, ENDPOINT)
        wanted = [variant.version for variant in found.wanted.variants]
        return wanted == [version] and found.state == "deployed"

    until(holds, f"{version} alone is served")


def until(holds: Callable[[], bool], what: str) -> None:
    """Look again and again."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {PATIENCE:g} s: {what}")
        time.sleep(0.1)


def outcome_of(client: regista.Client, traffic: Traffic) -> Outcome:
    """What came of it."""
    changes = sorted(client.endpoint_changes(ENVIRONMENT, ENDPOINT), key=lambda change: change.change)
    concluded = client.events(
        stream=f"endpoint/{ENVIRONMENT}/{ENDPOINT}", type="regista.endpoint.experiment-concluded.v1"
    )
    return Outcome(
        tuple(
            (change.how, tuple(sorted((one.version, one.role, one.weight) for one in change.variants)))
            for change in changes
        ),
        tuple(event.data["verdict"] for event in concluded),
        client.version(MODEL, "@production").version,
        client.endpoint(ENVIRONMENT, ENDPOINT).state,
        traffic.lost + sum(one.right is None for one in traffic.answered),
    )


def shown(url: str, title: str) -> None:
    """What the endpoint is, as the command line shows it."""
    console.rule(title)
    command_line(url, "endpoint", "show", f"{ENVIRONMENT}/{ENDPOINT}")


def print_timeline(url: str) -> None:
    """Everything that happened: who, what, why."""
    console.rule("Who, when, why")
    command_line(url, "log", "--limit", "100")


def command_line(url: str, *arguments: str) -> None:
    """Run ``regista`` and let it print."""
    sys.stdout.flush()
    subprocess.run(
        [program(), *arguments], env={**clean_environment(), "REGISTA_URL": url, "COLUMNS": "160"}, check=True
    )


def embedded(stack: ExitStack, folder: Path) -> str:
    """A registry in one process; its address."""
    return url_of(stack.enter_context(process(["up"], folder / "data")))


def on_kafka(stack: ExitStack, folder: Path) -> str:
    """Kafka, and each service a process of its own; the address of the API."""
    from native_kafka import Cluster, prepare  # noqa: PLC0415 - of ./tools, and only this way needs it

    prepare()
    broker = stack.enter_context(Cluster(folder / "kafka"))
    data, kafka = folder / "data", ["--kafka", broker.bootstrap]
    url = url_of(stack.enter_context(process(["serve", *kafka], data)))
    for service in ("relay", "project", "deploy"):
        url_of(stack.enter_context(process([service, *kafka], data, REGISTA_URL=url)))
    return url


WAYS: dict[str, Callable[[ExitStack, Path], str]] = {"embedded": embedded, "kafka": on_kafka}


@contextmanager
def process(command: Sequence[str], data: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """A process of ``regista`` on a free port."""
    arguments = [program(), *command, "--port", "0", "--data", str(data), "--log-level", "error"]
    environment = {**clean_environment(), **settings}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as started:
        try:
            yield started
        finally:
            started.terminate()


def program() -> str:
    """The command ``regista`` of this environment, activated or not."""
    return str(Path(sys.executable).with_name("regista"))


def clean_environment() -> dict[str, str]:
    """Without settings of somebody else's registry."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
