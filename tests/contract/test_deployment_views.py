"""The views of endpoints are folds: equal to what the rules fold, at every position, whatever the batches."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.test_views import folded
from tests.support.deployment_histories import DeploymentHistory, roam
from tests.support.projecting import Place, Places, folded_at, memory_feed, open_views, running
from tests.support.querying import everything, get

from regista.domain import endpoint, environment
from regista.domain.endpoint import EndpointState
from regista.domain.environment import EnvironmentState
from regista.domain.records import from_record
from regista.projections.api.standing import STATES
from regista.projections.catalogue import Entry
from regista.projections.digest import view_digest
from regista.projections.member import Member, apply
from regista.projections.views.catalogue import VIEWS
from regista.schemas.codec import decode


def random_history(seed: int, steps: int = 160) -> DeploymentHistory:
    history = DeploymentHistory()
    roam(history, random.Random(seed), steps)
    return history


@pytest.fixture(scope="module")
def history() -> DeploymentHistory:
    """Only for reading."""
    return random_history(6, 250)


@pytest.fixture(scope="module")
def place(history: DeploymentHistory, shared_places: Places) -> Place:
    return folded_at(shared_places(), history.sets)


def folded_in(path: Path, history: DeploymentHistory, cuts: Sequence[int]) -> dict[str, str]:
    """The digests after folding in parts that end behind so many sets."""
    rest, parts = list(history.sets), []
    for start, end in pairwise((0, *cuts)):
        parts.append([row for rows in rest[start:end] for row in rows])
    parts.append([row for rows in rest[cuts[-1] if cuts else 0 :] for row in rows])
    database = open_views(path)
    members = []
    for view in VIEWS:
        entry = Entry(view.name, view.version, 1, "building")
        database.create(view, entry)
        members.append(Member(view, entry))
    for part in parts:
        members = apply(database, members, part) if part else members
    reader = database.reader()
    digests = {view.name: view_digest(reader, view, 1) for view in VIEWS}
    reader.close()
    database.close()
    return digests


class Told(dict[tuple[str, str], tuple[int, str]]):
    """What each target of an endpoint told last: of the newest change, and since it joined."""

    def add(self, stream: str, name: str, record: dict[str, Any]) -> None:
        if name == "EndpointUpdated":
            before = {target.lower() for target in record["previous_targets"]}
            for target in record["targets"]:
                if target.lower() not in before:
                    self.pop((stream, target.lower()), None)
        elif name == "DeploymentReported" and record["change"] >= (record["previous_change"] or 0):
            self[stream, record["target"].lower()] = record["change"], record["state"]


def by_the_rules(history: DeploymentHistory) -> list[tuple[dict[str, Any], Told]]:
    """What the rules know of every endpoint and environment after each position, by stream, and what targets told."""
    states: dict[str, Any] = {}
    told = Told()
    after = [(dict(states), told)]
    for row in history.rows:
        kind = row.stream.partition("/")[0]
        if kind in ("endpoint", "environment"):
            rules = endpoint if kind == "endpoint" else environment
            name, record = decode(row.value)
            told.add(row.stream, name, record)
            states[row.stream] = rules.evolve(states.get(row.stream, rules.EMPTY), from_record(row.type, record))
        after.append((dict(states), Told(told)))
    return after


def shown(resource: dict[str, Any]) -> dict[str, Any]:
    """Of an endpoint as it is answered, what the rules know too."""
    wanted = resource["wanted"]
    return {
        "sequence": resource["sequence"],
        "model": resource["model"],
        "targets": resource["targets"],
        "follow": resource["follow"],
        "description": resource["description"],
        "retired": resource["retired"],
        "guardrails": [g["metric"] for g in resource["guardrails"]],
        "change": None if resource["retired"] else wanted["change"],
        "variants": [(v["ordinal"], v["role"], v["weight"], v["mirror"], v["region"]) for v in wanted["variants"]],
        "step": None if wanted["canary"] is None else wanted["canary"]["step"],
        "reports": {
            a["target"].lower(): (a["change"], a["reported"]) for a in resource["actual"] if a["change"] is not None
        },
    }


def is_in(state: str, resource: dict[str, Any]) -> bool:
    """Whether the list shows an endpoint where it is asked for a state: that of a target counts."""
    if resource["state"] in ("idle", state):
        return bool(resource["state"] == state)
    told = [actual for actual in resource["actual"] if actual["listed"]]
    match state:
        case "failed":
            return any(actual["state"] == "failed" for actual in told)
        case "drifting":
            return any(actual["drifting"] for actual in told)
        case "pending":
            return bool(resource["pending"])
        case _:
            return False


def known(state: EndpointState, told: dict[str, tuple[int, str]], answered: dict[str, Any]) -> dict[str, Any]:
    """The same by the rules. Of targets that the endpoint has no more those that still serve something are shown."""
    return {
        "sequence": state.sequence,
        "model": state.model,
        "targets": list(state.targets),
        "follow": state.follow,
        "description": state.description,
        "retired": state.retired,
        "guardrails": [g.metric for g in state.guardrails],
        "change": state.change,
        "variants": [(v.ordinal, v.role, v.weight / 100, v.mirror / 100, v.region) for v in state.variants],
        "step": None if state.canary is None else state.canary.step,
        "reports": {
            target: report
            for target, report in told.items()
            if target in map(str.lower, state.targets) or target in answered["reports"]
        },
    }


async def test_at_every_position_endpoints_and_environments_are_what_the_rules_fold(
    history: DeploymentHistory, place: Place
) -> None:
    seen = Counter[str]()
    async with running(memory_feed(history.sets), place) as projection:
        for position, (states, told) in enumerate(by_the_rules(history)):
            if position == 0:
                continue
            answered = await everything(projection, "/v1/endpoints", 2, at=position)
            found = {f"endpoint/{r['environment']}/{r['endpoint']}".lower(): r for r in answered}
            expected = {stream: s for stream, s in states.items() if isinstance(s, EndpointState)}
            assert found.keys() == expected.keys()
            for stream, resource in found.items():
                answer = shown(resource)
                of_stream = {target: report for (where, target), report in told.items() if where == stream}
                assert answer == known(expected[stream], of_stream, answer), (position, stream)
                seen[resource["state"]] += 1
            for state in STATES if position % 7 == 0 else ():
                of_state = await everything(projection, "/v1/endpoints", 2, at=position, state=state)
                assert of_state == [resource for resource in answered if is_in(state, resource)]
            environments = await everything(projection, "/v1/environments", 1, at=position)
            assert [(one["environment"], one["description"], one["sequence"]) for one in environments] == [
                (state.name, state.description, state.sequence)
                for _, state in sorted(states.items())
                if isinstance(state, EnvironmentState)
            ]
    assert seen.keys() == set(STATES), "a history in which everything happens"


async def test_at_the_end_is_now(history: DeploymentHistory, place: Place) -> None:
    async with running(memory_feed(history.sets), place) as projection:
        end = history.rows[-1].position
        for path in ("/v1/endpoints", "/v1/environments", "/v1/production"):
            now, then = await get(projection, path), await get(projection, path, at=end)
            assert [{**item, "at": None} for item in then["items"]] == [{**item, "at": None} for item in now["items"]]
            for one in now["items"] if path == "/v1/endpoints" else ():
                single = f"{path}/{one['environment']}/{one['endpoint']}"
                assert await get(projection, single) == one
                assert await get(projection, single, at=end) == {**one, "at": end}
        for state in STATES:
            now = await get(projection, "/v1/endpoints", state=state)
            assert all(one["state"] == state for one in now["items"])


async def test_changes_and_deployments_are_all_that_was_said(history: DeploymentHistory, place: Place) -> None:
    async with running(memory_feed(history.sets), place) as projection:
        for stream in sorted({row.stream for row in history.rows if row.stream.startswith("endpoint/")}):
            events = [(row, *decode(row.value)) for row in history.rows if row.stream == stream]
            said = [
                row.sequence
                for row, name, _ in events
                if name in ("TrafficChanged", "EndpointRolledBack", "EndpointRetired")
            ]
            path = f"/v1/endpoints/{stream.partition('/')[2]}"
            changes = await everything(projection, f"{path}/changes", 3)
            assert [change["change"] for change in changes] == said[::-1]
            reported = Counter(
                (record["change"], record["target"].lower())
                for _, name, record in events
                if name == "DeploymentReported"
                and record["change"] in said  # the rules forget, and take others for changes
            )
            deployments = await everything(projection, f"{path}/deployments", 3)
            keys = [(row["change"], row["target"].lower()) for row in deployments]
            assert keys == sorted(keys, key=lambda key: (-key[0], key[1]))
            assert {
                key: row["reports"] for key, row in zip(keys, deployments, strict=True) if row["reports"]
            } == reported
            one = await get(projection, path)
            unsaid = {row["target"] for row in deployments if row["state"] == "pending"}
            assert unsaid == {target for target in one["pending"] if target.lower() not in _told(one)}


def _told(resource: dict[str, Any]) -> set[str]:
    wanted = resource["wanted"]["change"]
    return {actual["target"].lower() for actual in resource["actual"] if actual["change"] == wanted}


@pytest.mark.parametrize("seed", range(2))
def test_the_digest_does_not_depend_on_how_events_are_batched(seed: int, places: Places) -> None:
    history = random_history(seed)
    whole = folded(places("whole"), history, 10_000)
    assert whole == folded(places("single"), history, 1)
    assert whole == folded(places("mixed"), history, 40, random.Random(seed))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), cuts=st.sets(st.integers(1, 80), max_size=12))
def test_a_fold_divided_anywhere_writes_the_same(seed: int, cuts: set[int]) -> None:
    history = random_history(seed, 60)
    with TemporaryDirectory() as folder:
        whole = folded(Path(folder) / "whole.db", history, 10_000)
        assert whole == folded_in(Path(folder) / "parts.db", history, sorted(cuts))


async def test_a_rebuild_gives_equal_digests(history: DeploymentHistory, places: Places) -> None:
    late = history.sets[-60:]
    async with running(memory_feed(history.sets[:-60]), places()) as projection:
        await projection.append(late)
        compared = await projection.projector.rebuild()
        assert {view.view: view.equal for view in compared} == {view.name: True for view in VIEWS}
        assert await projection.projector.digests() == folded(places("again"), history, 17)
