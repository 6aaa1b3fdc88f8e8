"""Tiers and engines: what ran, what was left out and why, and what must not be left out.

A tier is a folder of ``tests/``. An engine is something that a machine may lack; a test names it with
``@pytest.mark.engine("git")`` and is skipped where it is absent. With ``REGISTA_TEST_REQUIRE`` (``all``, or names with
commas between) an absent engine is a failure instead, and with ``all`` so is every skipped test.
"""

import gc
import os
import sys
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings
from tests.support import engines

HERE = Path(__file__).parent
pytest_plugins = [
    "pytester",
    "tests.fixtures.kafka",
    "tests.fixtures.postgres",
    "tests.fixtures.views",
    "tests.fixtures.queries",
    "tests.fixtures.work",
]
CALLED_BY_NAME = {"soak": "make soak", "bench": "make bench"}
DESELECTED = "deselected"
deselected = pytest.StashKey[Counter[str]]()


ENGINES = dict(engines.LOOKS)


def keep_bytecode() -> None:
    """Let this process and those that it starts keep what they compile, wherever the environment forbids it.

    The tests start hundreds of processes: each would compile every module anew, and take half as long again to start.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def required() -> set[str]:
    return engines.required(frozenset(ENGINES))


def tier(path: Path) -> str:
    parts = path.relative_to(HERE).parts if path.is_relative_to(HERE) else ()
    return parts[0] if len(parts) > 1 else "other"


def pytest_configure(config: pytest.Config) -> None:
    required()
    keep_bytecode()
    # How long an example takes says nothing where tests run beside each other.
    settings.register_profile("no deadline", settings(), deadline=None)
    settings.load_profile("no deadline")
    # httpx reads the certificates of every authority for each client, and for each request without one: 35 ms of nothing
    # but that. Here they are read once.
    pytest.MonkeyPatch().setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
    config.stash[deselected] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without collecting garbage: a million objects that stay as long as the process need no walking.

    Each full collection would do so, while tests are collected and in every test that makes much, such as a registry.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_deselected(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("soak"):
            item.config.stash[deselected]["soak"] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports, where this is one of several that run tests."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        counted = session.config.stash[deselected]
        told[DESELECTED] = dict(counted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Every process collects all tests: what one of them deselected, all did."""
    found = node.config.stash[deselected]
    node.config.stash[deselected] = found | Counter(getattr(node, "workeroutput", {}).get(DESELECTED, {}))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("engine"):
        engines.need(mark.args[0], ENGINES)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and "all" in required():
        report.outcome = "failed"
        report.longrepr = f"skipped where every test is required: {reason_of(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and "all" in required():
        report.outcome = "failed"
        report.longrepr = f"skipped where every test is required: {reason_of(report.longrepr)}"
    return report


def reason_of(longrepr: object) -> str:
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which tiers ran, with how many tests, and which did not."""
    ran: Counter[str] = Counter()
    for outcome in ("passed", "failed", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            if isinstance(report, pytest.TestReport):
                ran[tier(config.rootpath / report.nodeid.partition("::")[0])] += 1
    left_out = []
    for name, command in CALLED_BY_NAME.items():
        if config.getoption("markexpr") != name:
            number = config.stash[deselected][name]
            left_out.append(f"{name}: {number} ({command})" if number else f"{name} ({command})")
    left_out += [f"{name} ({reason})" for name in ENGINES if (reason := engines.why_not(name, ENGINES))]
    terminalreporter.section("tiers")
    terminalreporter.line("ran: " + (", ".join(f"{name} {count}" for name, count in sorted(ran.items())) or "nothing"))
    terminalreporter.line("left out: " + ", ".join(left_out))
