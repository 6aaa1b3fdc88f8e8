"""Reads of environments, targets, endpoints and what serves: wanted, pending, actual."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.deployment_histories import UNKNOWN, DeploymentHistory, variant
from tests.support.projecting import Places, Projection, memory_feed, running
from tests.support.querying import everything, get

from regista.domain import commands as mc
from regista.domain import events as e
from regista.domain.endpoint import commands as c
from regista.domain.environment.commands import DefineEnvironment
from regista.domain.secrets import GivenSecret
from regista.domain.target.commands import PutTarget, RemoveTarget
from regista.wire import deployment_views as d

ENDPOINT = "/v1/endpoints/prod/fraud"


def served(*targets: str, **how: Any) -> DeploymentHistory:
    """``Prod/Fraud`` that serves 1 and 2, half each, on these targets; nothing was reported yet."""
    history = DeploymentHistory()
    history.furnish(*targets, **how)
    history.deploy(c.CreateEndpoint("prod", "Fraud", "fraud", targets, "@production"))
    history.change(variant("1", 50), variant("2", 50), actor="grace", reason="a trial", cause="model/fraud@3")
    return history


async def refusal(projection: Projection, path: str) -> tuple[int, str]:
    response = await projection.client.get(path)
    assert response.json()["hint"]
    return response.status_code, response.json()["code"]


async def test_what_is_wanted_is_pending_until_every_target_told_of_it(places: Places) -> None:
    history = served("Edge", "west")
    async with running(memory_feed(history.sets), places()) as projection:
        known = len(history.sets)

        async def after() -> d.Endpoint:
            nonlocal known
            await projection.append(history.sets[known:])
            known = len(history.sets)
            return d.Endpoint.model_validate(await get(projection, ENDPOINT))

        one = await after()
        assert (one.environment, one.endpoint, one.model, one.follow) == ("Prod", "Fraud", "Fraud", "@production")
        assert (one.state, one.pending) == ("pending", ["Edge", "west"])
        assert (one.wanted.change, one.wanted.how, one.wanted.cause) == (2, "traffic-changed", "model/fraud@3")
        assert (one.wanted.actor, one.wanted.reason, one.created_by) == ("grace", "a trial", "ada")
        assert [(v.ordinal, v.role, v.weight) for v in one.wanted.variants] == [
            (1, "champion", 50.0),
            (2, "challenger", 50.0),
        ]
        assert [(a.target, a.state, a.observed, a.drifting) for a in one.actual] == [
            ("Edge", "pending", [], None),
            ("west", "pending", [], None),
        ]
        history.report("edge", attempts=2, detail="reloaded")
        one = await after()
        assert (one.state, one.pending) == ("pending", ["west"])
        [edge, _] = one.actual
        assert (edge.state, edge.change, edge.attempts, edge.detail, edge.drifting) == (
            "succeeded",
            2,
            2,
            "reloaded",
            False,
        )
        assert [(v.version, v.weight, v.known) for v in edge.observed] == [
            (v.version, v.weight, True) for v in one.wanted.variants
        ]
        history.report("west", "failed", observed=(), detail="no route")
        one = await after()
        assert (one.state, one.pending) == ("failed", [])
        assert [(a.state, a.detail, a.drifting) for a in one.actual][1] == ("failed", "no route", None)
        history.report("west")
        assert (await after()).state == "deployed"
        change = history.change(variant("1"))
        one = await after()
        assert (one.state, one.wanted.change, one.pending) == ("pending", change, ["Edge", "west"])
        assert [(a.state, a.change, a.reported) for a in one.actual] == [("pending", 2, "succeeded")] * 2
        assert {drift.what for a in one.actual for drift in a.differences} == {"unexpected", "weight"}, (
            "what is left to do"
        )


async def test_drift_says_what_differs_and_names_bytes_that_the_registry_does_not_know(places: Places) -> None:
    history = served("Edge")
    [first, second] = history.endpoint().variants
    seen = (
        c.ObservedVariant(first.artifact_digest, weight=2_500),
        c.ObservedVariant(UNKNOWN, weight=7_500),
    )
    history.report("edge", observed=seen)
    async with running(memory_feed(history.sets), places()) as projection:
        one = d.Endpoint.model_validate(await get(projection, ENDPOINT))
    assert one.state == "drifting"
    [actual] = one.actual
    assert [(v.artifact_digest, v.version, v.known) for v in actual.observed] == [
        (first.artifact_digest, "1.0.0", True),
        (UNKNOWN, None, False),
    ]
    assert {
        (drift.what, drift.version, drift.artifact_digest, drift.wanted, drift.observed) for drift in actual.differences
    } == {
        ("weight", "1.0.0", first.artifact_digest, 50, 25),
        ("missing", second.version, second.artifact_digest, 50, 0),
        ("unexpected", None, UNKNOWN, 0, 75),
    }


@pytest.mark.parametrize(
    ("seen", "drifts"),
    [
        ((), None),
        ((("1", "unknown", 10_000, 0),), False),
        ((("1", "champion", 4_000, 0), ("1", "unknown", 6_000, 0)), False),
        ((("1", "champion", 10_000, 0), ("2", "canary", 0, 0)), False),
        ((("1", "champion", 10_000, 0), ("2", "shadow", 0, 10_000)), True),
        ((("1", "champion", 9_999, 0),), True),
    ],
    ids=["does not say", "has no roles", "in parts", "ready but without traffic", "shadow", "a hundredth less"],
)
async def test_only_who_gets_how_much_traffic_is_compared(
    seen: tuple[tuple[str, e.Role, int, int], ...], drifts: bool | None, places: Places
) -> None:
    history = served("Edge")
    by_ordinal = {str(v.ordinal): v.artifact_digest for v in history.endpoint().variants}
    history.change(variant("1"))
    history.report(
        "edge",
        observed=tuple(c.ObservedVariant(by_ordinal[ref], role, weight, mirror) for ref, role, weight, mirror in seen),
    )
    async with running(memory_feed(history.sets), places()) as projection:
        one = d.Endpoint.model_validate(await get(projection, ENDPOINT))
    assert one.actual[0].drifting is drifts
    assert one.state == ("drifting" if drifts else "deployed")
    assert bool(one.actual[0].differences) == bool(drifts)


async def test_a_retired_endpoint_is_pending_until_its_targets_serve_nothing(places: Places) -> None:
    history = served("Edge")
    history.report("edge")
    history.deploy(c.RetireEndpoint("prod", "fraud"))
    async with running(memory_feed(history.sets), places()) as projection:
        one = await get(projection, ENDPOINT)
        assert (one["retired"], one["state"], one["wanted"]["how"], one["wanted"]["change"]) == (
            True,
            "pending",
            "retired",
            4,
        )
        [line] = (await get(projection, "/v1/production"))["items"]
        assert [(s["retired"], s["desired"]) for s in line["endpoints"]] == [(True, [])], "it runs still"
        history.report("edge")
        await projection.append(history.sets[-1:])
        assert (await get(projection, ENDPOINT))["state"] == "retired"
        assert (await get(projection, "/v1/production"))["items"] == []
        history.deploy(c.CreateEndpoint("prod", "FRAUD", "fraud", ("edge",)))
        await projection.append(history.sets[-1:])
        one = await get(projection, ENDPOINT)
        assert (one["retired"], one["state"], one["wanted"]["change"], one["endpoint"]) == (
            False,
            "idle",
            None,
            "Fraud",
        )


async def test_a_target_that_left_is_shown_while_something_runs_there_and_begins_anew_when_it_joins(
    places: Places,
) -> None:
    history = served("Edge", "west")
    for target in ("edge", "west"):
        history.report(target)
    history.deploy(c.UpdateEndpoint("prod", "fraud", targets=("edge",)))
    async with running(memory_feed(history.sets), places()) as projection:
        one = await get(projection, ENDPOINT)
        assert [(a["target"], a["listed"], a["drifting"]) for a in one["actual"]] == [
            ("Edge", True, False),
            ("west", False, True),
        ]
        history.deploy(c.UpdateEndpoint("prod", "fraud", targets=("edge", "west")))
        await projection.append(history.sets[-1:])
        assert (await get(projection, ENDPOINT))["pending"] == ["west"]
        history.deploy(c.UpdateEndpoint("prod", "fraud", targets=("edge",)))
        await projection.append(history.sets[-1:])
        assert len((await get(projection, ENDPOINT))["actual"]) == 1


async def test_the_last_refusal_and_the_last_verdict_are_told_with_whether_they_are_outdated(places: Places) -> None:
    history = served("Edge")
    history.deploy(DefineEnvironment("prod", ("staging",)))
    history.do(mc.Promote("fraud", "3", "production"))
    history.deploy(c.FollowVersion("prod", "fraud", "@production"), actor="system:follower", cause="model/fraud@9")
    [version, _] = [v.version for v in history.endpoint().variants]
    measured = (e.Measured(version, None, "errors", 0.5, 200, 0.1),)
    history.deploy(c.ConcludeExperiment("prod", "fraud", 2, "roll_back", measured, ("too many errors",)))
    async with running(memory_feed(history.sets), places()) as projection:
        one = d.Endpoint.model_validate(await get(projection, ENDPOINT))
        assert one.refused is not None
        assert one.concluded is not None
        assert (one.refused.followed, one.refused.ordinal, one.refused.outdated) == ("@production", 3, False)
        assert (one.refused.cause, one.refused.reasons[0].code) == ("model/fraud@9", one.refused.code)
        assert (one.concluded.verdict, one.concluded.change, one.concluded.outdated) == ("roll_back", 2, False)
        assert [(m.metric, m.value, m.samples, m.limit) for m in one.concluded.measured] == [("errors", 0.5, 200, 0.1)]
        history.change(variant("1"))
        await projection.append(history.sets[-1:])
        one = d.Endpoint.model_validate(await get(projection, ENDPOINT))
        assert one.refused is not None
        assert one.concluded is not None
        assert (one.refused.outdated, one.concluded.outdated) == (True, True)


async def test_every_change_has_a_line_with_who_and_why_and_every_deployment_of_it(places: Places) -> None:
    history = served("Edge", "west")
    history.report("edge", "failed")
    history.report("edge")
    second = history.change(variant("1"), actor="bob", reason="enough")
    history.report("edge")
    history.deploy(c.RollBackEndpoint("prod", "fraud"), reason="errors", cause="endpoint/prod/fraud@5")
    async with running(memory_feed(history.sets), places()) as projection:
        changes = [d.EndpointChange.model_validate(c) for c in await everything(projection, f"{ENDPOINT}/changes", 2)]
        assert [(x.change, x.how, x.actor, x.reason, x.cause, x.restores) for x in changes] == [
            (second + 2, "rolled-back", "ada", "errors", "endpoint/prod/fraud@5", 2),
            (second, "traffic-changed", "bob", "enough", None, None),
            (2, "traffic-changed", "grace", "a trial", "model/fraud@3", None),
        ]
        assert [(x.until, x.until_position) for x in changes] == [
            (None, None),
            *((x.since, x.since_position) for x in changes[:-1]),
        ]
        rows = [d.Deployment.model_validate(x) for x in await everything(projection, f"{ENDPOINT}/deployments", 1)]
        assert [(x.change, x.target, x.state, x.reports) for x in rows] == [
            (second + 2, "Edge", "pending", 0),
            (second + 2, "west", "pending", 0),
            (second, "Edge", "succeeded", 1),
            (second, "west", "unreported", 0),
            (2, "Edge", "succeeded", 2),
            (2, "west", "unreported", 0),
        ]
        assert rows[4].first_at is not None
        assert rows[4].at is not None
        assert rows[4].changed_at < rows[4].first_at < rows[4].at
        only = await everything(projection, f"{ENDPOINT}/deployments", 2, target="EDGE")
        assert [x["change"] for x in only] == [second + 2, second, 2]


async def test_production_has_the_stage_holder_beside_what_endpoints_serve(places: Places) -> None:
    history = served("Edge")
    history.report("edge")
    history.register_model("Churn")
    for seed in (1, 2):
        history.do(mc.Promote("churn", history.register("churn", seed), "staging", keep_existing=True))
    history.do(mc.Promote("churn", "1", "production"))
    history.register_model("Apart")
    history.do(mc.Promote("apart", history.register("apart", 1), "staging"))
    history.do(mc.Promote("apart", "1", "production"))
    history.deploy(DefineEnvironment("dev", ("staging", "production")))
    for environment in ("prod", "dev"):
        history.deploy(c.CreateEndpoint(environment, "churn", "churn"))
    history.change(variant("1"), name="churn")
    before = history.rows[-1].position
    history.deploy(c.ChangeTraffic("dev", "churn", (variant("2"),)))
    async with running(memory_feed(history.sets), places()) as projection:

        async def shown(**how: object) -> list[tuple[str, int | None, list[tuple[str, list[int]]]]]:
            lines = [d.Production.model_validate(x) for x in await everything(projection, "/v1/production", 1, **how)]
            return [
                (x.model, x.ordinal, [(s.environment, [v.ordinal for v in s.desired]) for s in x.endpoints])
                for x in lines
            ]

        assert await shown() == [
            ("Apart", 1, []),
            ("Churn", 1, [("dev", [2]), ("Prod", [1])]),
            ("Fraud", None, [("Prod", [1, 2])]),
        ]
        assert await shown(at=before) == [
            ("Apart", 1, []),
            ("Churn", 1, [("Prod", [1])]),
            ("Fraud", None, [("Prod", [1, 2])]),
        ]
        assert await shown(model="FRAUD") == [("Fraud", None, [("Prod", [1, 2])])]
        assert await shown(environment="DEV") == [("Apart", 1, []), ("Churn", 1, [("dev", [2])])]
        line = (await get(projection, "/v1/production", model="fraud"))["items"][0]
        assert (line["version"], line["artifact"], line["since"]) == (None, None, None)
        [serving] = line["endpoints"]
        assert (serving["state"], serving["actual"][0]["observed"][0]["known"]) == ("deployed", True)
        assert await refusal(projection, "/v1/production?environment=nowhere") == (404, "unknown_environment")


async def test_the_list_of_endpoints_can_be_asked_for_some(places: Places) -> None:
    history = served("Edge", "edge_2", "west")
    history.deploy(DefineEnvironment("prod-eu", ("staging",)))
    history.register_model("churn")
    history.do(mc.Promote("churn", history.register("churn", 1), "staging"))
    history.deploy(c.CreateEndpoint("prod-eu", "fraud", "fraud", ("west",)))
    history.deploy(c.CreateEndpoint("prod", "churn", "churn", ("edge_2",)))
    history.report("edge", "failed")
    async with running(memory_feed(history.sets), places()) as projection:

        async def named(**how: object) -> list[str]:
            found = await everything(projection, "/v1/endpoints", 1, **how)
            return [f"{x['environment']}/{x['endpoint']}" for x in found]

        assert await named() == ["prod-eu/fraud", "Prod/churn", "Prod/Fraud"]
        assert await named(environment="PROD") == ["Prod/churn", "Prod/Fraud"]
        assert await named(model="Fraud") == ["prod-eu/fraud", "Prod/Fraud"]
        assert await named(target="WEST") == ["prod-eu/fraud", "Prod/Fraud"]
        assert await named(target="edge") == ["Prod/Fraud"], "not those of edge_2"
        assert await named(state="idle") == ["prod-eu/fraud", "Prod/churn"]
        assert await named(state="failed") == ["Prod/Fraud"]
        assert await named(state="pending") == ["Prod/Fraud"], "west is, though edge failed"
        assert await named(state="failed", environment="prod-eu") == []
        for query, code in {
            "environment=nowhere": "unknown_environment",
            "model=nothing": "unknown_model",
            "target=nowhere": "unknown_target",
        }.items():
            assert await refusal(projection, f"/v1/endpoints?{query}") == (404, code)
        assert (await projection.client.get("/v1/endpoints?state=fine")).status_code == 400


async def test_what_is_not_there_or_has_no_past_is_refused_with_a_hint(places: Places) -> None:
    history = served("Edge")
    async with running(memory_feed(history.sets), places()) as projection:
        for path, refused in {
            "/v1/endpoints/prod/nothing": (404, "unknown_endpoint"),
            "/v1/endpoints/prod/nothing/changes": (404, "unknown_endpoint"),
            "/v1/endpoints/prod/fraud?at=1": (404, "unknown_endpoint"),
            "/v1/endpoints/prod/-": (422, "bad_name"),
            "/v1/environments/nowhere": (404, "unknown_environment"),
            "/v1/environments/prod?at=1": (404, "unknown_environment"),
            "/v1/targets/nowhere": (404, "unknown_target"),
            "/v1/targets?at=1": (400, "at_unsupported"),
            "/v1/targets/edge?at=1": (400, "at_unsupported"),
            f"{ENDPOINT}/changes?at=1": (400, "at_unsupported"),
            f"{ENDPOINT}/deployments?at=1": (400, "at_unsupported"),
        }.items():
            assert await refusal(projection, path) == refused, path


async def test_the_etag_is_the_last_sequence_that_touched_the_resource(places: Places) -> None:
    history = served("Edge")
    history.deploy(PutTarget("edge", "nginx"))
    async with running(memory_feed(history.sets), places()) as projection:
        for path, tag in {ENDPOINT: '"2"', "/v1/targets/edge": '"2"', "/v1/environments/prod": '"1"'}.items():
            response = await projection.client.get(path)
            assert response.headers["etag"] == tag
            assert (await projection.client.get(path, headers={"If-None-Match": tag})).status_code == 304
        history.report("edge")
        await projection.append(history.sets[-1:])
        response = await projection.client.get(ENDPOINT, headers={"If-None-Match": '"2"'})
        assert (response.status_code, response.headers["etag"]) == (200, '"3"')


async def test_environments_and_targets_are_told_whole_and_secrets_by_fingerprint(places: Places) -> None:
    history = served("Edge")
    first = history.rows[-1].position
    given = (GivenSecret("token", "ab12"),)
    command = PutTarget("spare", "http", '{"url": "https://x.example"}', given, "The spare")
    history.deploy(command, kept={"token": e.SecretRef("token", "secret-1", "ab12")})
    history.deploy(RemoveTarget("spare"), actor="bob")
    history.deploy(DefineEnvironment("PROD", ("production",), ("eu",), "ours"), reason="rules")
    async with running(memory_feed(history.sets), places()) as projection:
        spare = d.Target.model_validate(await get(projection, "/v1/targets/SPARE"))
        assert (spare.target, spare.kind, spare.removed, spare.updated_by) == ("spare", "http", True, "bob")
        assert spare.settings == {"url": "https://x.example"}
        assert [secret.fingerprint for secret in spare.secrets] == ["ab12"]
        assert spare.created_at < spare.updated_at
        assert [t["target"] for t in await everything(projection, "/v1/targets", 1)] == ["Edge"]
        now = d.Environment.model_validate(await get(projection, "/v1/environments/prod"))
        assert (now.environment, now.stages, now.regions, now.description) == ("Prod", ["production"], ["eu"], "ours")
        assert (now.reason, now.sequence, now.at) == ("rules", 2, None)
        then = d.Environment.model_validate(await get(projection, "/v1/environments/prod", at=first))
        assert (then.stages, then.sequence, then.at) == (["staging", "production"], 1, first)
        assert then.created_at == then.updated_at == now.created_at < now.updated_at


async def test_events_can_be_asked_for_by_endpoint_and_by_environment(places: Places) -> None:
    history = served("Edge")
    history.deploy(DefineEnvironment("prod-eu", ("staging",)))
    history.deploy(c.CreateEndpoint("prod-eu", "fraud", "fraud"))
    history.report("edge")

    def of(*streams: str) -> list[int]:
        return [row.position for row in history.rows if row.stream in streams]

    async with running(memory_feed(history.sets), places()) as projection:

        async def positions(**how: object) -> list[int]:
            found: list[int] = []
            while True:
                page = await get(projection, "/v1/events", limit=2, **how)
                found += [event["position"] for event in page["items"]]
                if page["next"] is None:
                    return found
                how["after"] = page["next"]

        ours = of("environment/prod", "endpoint/prod/fraud")
        assert await positions(endpoint="PROD/fraud") == of("endpoint/prod/fraud")
        assert await positions(environment="Prod") == ours
        assert await positions(environment="Prod", order="desc") == ours[::-1]
        assert await positions(environment="prod", since=ours[1], until=ours[2]) == ours[1:3]
        assert await positions(environment="prod", type="endpoint.traffic-changed") == ours[2:3]
        assert await positions(environment="prod", actor="grace") == ours[2:3]
        assert await positions(environment="prod", endpoint="prod/fraud") == of("endpoint/prod/fraud")
        for query in ("environment=prod-eu&endpoint=prod/fraud", "model=fraud&endpoint=prod/fraud"):
            assert await refusal(projection, f"/v1/events?{query}") == (400, "bad_parameter")
        assert await refusal(projection, "/v1/events?endpoint=fraud") == (422, "bad_endpoint")


async def test_lineage_goes_on_to_the_endpoints_that_serve_or_served_a_version(places: Places) -> None:
    history = served("Edge")
    [first, second] = [v.version for v in history.endpoint().variants]
    history.change(variant("1"))
    async with running(memory_feed(history.sets), places()) as projection:
        for version in (first, second):
            graph = await get(projection, "/v1/lineage", node=f"version:fraud/{version}", direction="downstream")
            edge = {"source": f"version:fraud/{version}", "target": "endpoint:prod/fraud", "relation": "served-by"}
            assert edge in graph["edges"]
            assert {"id": "endpoint:prod/fraud", "kind": "endpoint", "label": "prod/fraud"} in graph["nodes"]
        graph = await get(projection, "/v1/lineage", node="endpoint:PROD/Fraud", direction="upstream")
        labels = {node["id"]: node["label"] for node in graph["nodes"]}
        assert labels[f"version:fraud/{first}"] == f"Fraud {first}"
        assert any(node.startswith("dataset:") for node in labels), "and what they were made from"
        assert await refusal(projection, "/v1/lineage?node=endpoint:prod/nothing") == (404, "unknown_node")
