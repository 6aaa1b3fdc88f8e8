"""Every refusal is a row: the status, the code and the reasons are as designed, and nothing was appended."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from tests.support.server import app_client

JSON = {"content-type": "application/json"}
DIGEST = "sha256:" + "0" * 64
INPUTS = [{"name": "x", "type": "float32", "shape": [None, 30]}]
OUTPUTS = [{"name": "y", "type": "float32", "shape": [None]}]


def version(**changes: Any) -> dict[str, Any]:
    """A registration that holds, with changes; a change to None leaves the field out."""
    body = {
        "artifact": {"uri": "s3://models/fraud.onnx", "digest": DIGEST, "size": 10, "format": "onnx"},
        "code": {"repository": "https://git.example/fraud", "commit": "0" * 40},
        "datasets": [{"name": "transactions", "version": "2026-05"}],
        "metrics": {"auc": 0.9},
        "author": "ann",
        "trained_at": "2026-05-04T12:00:00Z",
        "signature": {"inputs": INPUTS, "outputs": OUTPUTS},
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


@dataclass(frozen=True)
class Refusal:
    """A request to a registry with ``fraud`` 1.0.0 (production), 1.1.0 (staging), 1.2.0 (candidate, failed check), 1.4.0 (archived)."""

    name: str
    method: str
    path: str
    body: Any
    status: int
    code: str
    reasons: tuple[str, ...] = ()
    """The fields of the reasons, or their codes where they have no field; all of them."""
    headers: dict[str, str] = field(default_factory=dict)


def post(name: str, path: str, body: Any, status: int, code: str, *reasons: str, **headers: str) -> Refusal:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    where = f"/v1/{path[1:]}" if path.startswith("!") else f"/v1/models{path}"
    return Refusal(name, "POST", where, body, status, code, reasons, sent)


def put(name: str, path: str, body: Any, status: int, code: str, *reasons: str, **headers: str) -> Refusal:
    row = post(name, path, body, status, code, *reasons, **headers)
    return Refusal(row.name, "PUT", row.path, row.body, row.status, row.code, row.reasons, row.headers)


VERSIONS = "/fraud/versions"
ENDPOINT = "!endpoints/prod/fraud"
HOOK = "https://ci.example.org/hook"
"""With a mark before what is no model."""
EVERYTHING = ("artifact", "code", "datasets", "metrics", "trained_at", "author")
WHY = {"reason": "because"}

ROWS = [
    # The model's name.
    post("a taken name", "", {"name": "FRAUD"}, 409, "name_taken"),
    post("two dots for a name", "", {"name": ".."}, 422, "bad_name"),
    post("a path for a name", "", {"name": "../fraud"}, 422, "bad_name"),
    post("a control character in a name", "", {"name": "fra\x00ud"}, 422, "bad_name"),
    post("a line feed in a name", "", {"name": "fraud\n"}, 422, "bad_name"),
    post("a name over 128 characters", "", {"name": "a" * 129}, 422, "bad_name"),
    post("a letter beyond ASCII in a name", "", {"name": "fräud"}, 422, "bad_name"),
    post("an empty name", "", {"name": ""}, 422, "bad_name"),
    post("an unknown policy", "", {"name": "other", "policy": "strict"}, 404, "unknown_policy"),
    post("a model without a name", "", {}, 422, "invalid", "name"),
    post("an unknown field", "", {"name": "other", "nmae": 1}, 422, "invalid", "nmae"),
    # What a version must carry.
    post("nothing at all", VERSIONS, {}, 422, "missing_metadata", *EVERYTHING),
    post("no author and no data", VERSIONS, version(author=None, datasets=None), 422, "missing_metadata", "datasets", "author"),
    post("code without commit", VERSIONS, version(code={"repository": "x"}), 422, "missing_metadata", "code"),
    post("a data set by name alone", VERSIONS, version(datasets=[{"name": "t"}]), 422, "invalid_metadata", "datasets[0]"),
    post("an unknown model", "/nobody/versions", version(), 404, "unknown_model"),
    post("an artifact that is not uploaded", VERSIONS, version(artifact={"digest": DIGEST}), 422, "invalid_metadata", "artifact.digest"),
    post("a script that is not uploaded", VERSIONS, version(code={"snapshot": DIGEST}), 422, "invalid_metadata", "code.snapshot"),
    post(
        "a script that is not uploaded, of a version without artifact",
        VERSIONS,
        version(code={"snapshot": DIGEST}, artifact=None),
        422, "missing_metadata", "artifact", "code.snapshot",
    ),
    post("a uri without digest", VERSIONS, version(artifact={"uri": "s3://b/k"}), 422, "invalid_metadata", "artifact.files"),
    post("a digest that is none", VERSIONS, version(artifact={"digest": "md5:1"}), 422, "invalid_metadata", "artifact.digest"),
    post(
        "a digest that is not of the files",
        VERSIONS,
        version(artifact={"uri": "s3://b/k", "digest": DIGEST, "files": [{"path": "m.onnx", "size": 1, "sha256": DIGEST}]}),
        422, "invalid_metadata", "artifact.digest",
    ),
    post(
        "a path out of the artifact",
        VERSIONS,
        version(artifact={"uri": "s3://b/k", "files": [{"path": "../m.onnx", "size": 1, "sha256": DIGEST}]}),
        422, "invalid_metadata", "artifact.files",
    ),
    post("a name and an address for an author", VERSIONS, version(author="Ann <ann@example.org>"), 422, "invalid_metadata", "author"),
    post("a name for an actor", "", {"name": "other"}, 400, "malformed_actor", Regista_Actor="Ann Example"),
    post("the registry's own name for an actor", "", {"name": "other"}, 400, "reserved_actor", Regista_Actor="system"),
    post("a date without zone", VERSIONS, version(trained_at="2026-05-04T12:00:00"), 422, "invalid", "trained_at"),
    post("a date that is none", VERSIONS, version(trained_at="yesterday"), 422, "invalid", "trained_at"),
    post("a metric as text", VERSIONS, version(metrics={"auc": "0.9"}), 422, "invalid", "metrics.auc"),
    post("metrics NaN and Infinity", VERSIONS, b'{"metrics": {"a": NaN, "b": Infinity}}', 422, "invalid", "metrics.a", "metrics.b"),
    post("a parameter over 64 bits", VERSIONS, version(params={"n": 2**64}), 422, "invalid_metadata", "params.n"),
    post("NaN in custom", VERSIONS, json.dumps(version(custom={"deep": [float("nan")]})).encode(), 422, "invalid", "custom"),
    # Its number.
    post("a reused version", VERSIONS, version(version="1.0.0"), 409, "version_taken"),
    post("a reused version, written with v", VERSIONS, version(version="v1.0.0"), 409, "version_taken"),
    post("a number with build metadata", VERSIONS, version(version="3.0.0+1"), 422, "bad_version"),
    post("a number that is none", VERSIONS, version(version="new"), 422, "bad_version"),
    post(
        "a number that contradicts the signature",
        VERSIONS,
        version(version="1.5.0", signature={"inputs": [*INPUTS, {"name": "z", "type": "int64"}], "outputs": OUTPUTS}),
        409, "number_contradicts_signature",
    ),
    post("an unknown base", VERSIONS, version(base="9.9.9"), 404, "unknown_version"),
    post("an ordinal outside of an import", VERSIONS, version(ordinal=9), 422, "ordinal_given"),
    post("an unknown parent", VERSIONS, version(parents=[{"model": "base", "version": "1.0.0"}]), 409, "unknown_parent", "parents[0]"),
    # Promotion.
    post("an unknown version", f"{VERSIONS}/9.9.9/promote", {"to": "staging", **WHY}, 404, "unknown_version"),
    post("a reference that is none", f"{VERSIONS}/newest/promote", {"to": "staging", **WHY}, 422, "bad_reference"),
    post("the reference latest", f"{VERSIONS}/@latest/promote", {"to": "staging", **WHY}, 422, "bad_reference"),
    post("an unknown stage", f"{VERSIONS}/1.1.0/promote", {"to": "prod", **WHY}, 422, "unknown_stage"),
    post("a skipped stage", f"{VERSIONS}/1.3.0/promote", {"to": "production", **WHY}, 409, "stage_skipped", "to"),
    post("a stage backwards", f"{VERSIONS}/1.0.0/promote", {"to": "staging", **WHY}, 409, "stage_backwards", "to"),
    post("the stage it is in", f"{VERSIONS}/1.0.0/promote", {"to": "production", **WHY}, 409, "already_in_stage", "to"),
    post("promotion to the archive", f"{VERSIONS}/1.1.0/promote", {"to": "archived", **WHY}, 409, "use_archive", "to"),
    post("a failed check", f"{VERSIONS}/1.2.0/promote", {"to": "staging", **WHY}, 409, "check_failed", "checks"),
    post("a failed check and a skipped stage", f"{VERSIONS}/1.2.0/promote", {"to": "production", **WHY}, 409, "promotion_refused", "to", "checks"),
    post("an incomplete import", "/imported/versions/1.0.0/promote", {"to": "staging", **WHY}, 409, "promotion_refused", *EVERYTHING),
    post("promotion without a reason", f"{VERSIONS}/1.1.0/promote", {"to": "production"}, 422, "reason_required"),
    post("another current version", f"{VERSIONS}/1.1.0/promote", {"to": "production", "expect_current": "1.1.0", **WHY}, 412, "expectation_failed"),
    post("nobody expected", f"{VERSIONS}/1.1.0/promote", {"to": "production", "expect_current": None, **WHY}, 412, "expectation_failed"),
    post("a stale If-Match", f"{VERSIONS}/1.1.0/promote", {"to": "production", **WHY}, 412, "if_match_failed", If_Match='"1"'),
    post("an If-Match of 5,000 digits", f"{VERSIONS}/1.1.0/promote", {"to": "production", **WHY}, 412, "if_match_failed", If_Match=f'"{"1" * 5000}"'),
    post("an If-Match of 5,000 digits", f"{VERSIONS}/1.1.0/promote", {"to": "production", **WHY}, 412, "if_match_failed", If_Match='"' + "1" * 5000 + '"'),
    post("an If-Match that is none", f"{VERSIONS}/1.1.0/promote", {"to": "production", **WHY}, 412, "if_match_failed", If_Match="W/x"),
    # Rollback and archive.
    post("nothing to roll back to", "/fraud/rollback", WHY, 409, "nothing_to_roll_back_to"),
    post("rollback to one that never held it", "/fraud/rollback", {"to": "1.1.0", **WHY}, 409, "never_held"),
    post("rollback to the holder", "/fraud/rollback", {"to": "1.0.0", **WHY}, 409, "already_in_stage"),
    post("rollback without a reason", "/fraud/rollback", {}, 422, "reason_required"),
    post("rollback of a stage that is not held", "/fraud/rollback", {"stage": "candidate", **WHY}, 409, "stage_not_held"),
    post("archiving the only one that serves", f"{VERSIONS}/1.0.0/archive", WHY, 409, "leaves_empty"),
    post("archiving without a reason", f"{VERSIONS}/1.1.0/archive", {}, 422, "reason_required"),
    Refusal("retiring a model that serves", "DELETE", "/v1/models/fraud?reason=x", None, 409, "still_serving", ("leave_empty",)),
    Refusal("retiring without a reason", "DELETE", "/v1/models/empty", None, 422, "reason_required"),
    post("reviving what is not retired", "/fraud/revive", {}, 409, "not_retired"),
    post("a write to a retired model", "/retired/versions", version(), 410, "model_retired"),
    post("a retired name", "", {"name": "retired"}, 409, "name_taken"),
    # Aliases.
    put("an alias called like a stage", "/fraud/aliases/production", {"version": "1.0.0"}, 422, "bad_alias"),
    put("an alias called latest", "/fraud/aliases/latest", {"version": "1.0.0"}, 422, "bad_alias"),
    put("an alias that looks like a version", "/fraud/aliases/v2", {"version": "1.0.0"}, 422, "bad_alias"),
    put("an alias called as nobody is", "/fraud/aliases/None", {"version": "1.0.0"}, 422, "bad_alias"),
    put("an alias called as references to stages begin", "/fraud/aliases/stage", {"version": "1.0.0"}, 422, "bad_alias"),
    put("an alias of an unknown version", "/fraud/aliases/champion", {"version": "9.9.9"}, 404, "unknown_version"),
    put("a stale expectation of an alias", "/fraud/aliases/champion", {"version": "1.1.0", "expect_current": "1.1.0"}, 412, "expectation_failed"),
    put("a stale If-Match of an alias", "/fraud/aliases/champion", {"version": "1.1.0"}, 412, "if_match_failed", If_Match='"1"'),
    put("a new alias that is there", "/fraud/aliases/champion", {"version": "1.1.0"}, 412, "expectation_failed", If_None_Match="*"),
    put("an alias other than a tag", "/fraud/aliases/new", {"version": "1.1.0"}, 400, "bad_if_none_match", If_None_Match='"1"'),
    put(
        "an alias that is there and is not", "/fraud/aliases/champion", {"version": "1.1.0", "expect_current": "1.0.0"}, 400,
        "bad_if_none_match", If_None_Match="*",
    ),
    Refusal("removing an unknown alias", "DELETE", "/v1/models/fraud/aliases/nobody", None, 404, "unknown_alias"),
    # What is known of a version.
    Refusal("an update of nothing", "PATCH", "/v1/models/fraud/versions/1.0.0", {}, 422, "nothing_to_change"),
    Refusal(
        "changing what was recorded", "PATCH", "/v1/models/fraud/versions/1.0.0", {"author": "bob"}, 409,
        "already_recorded", ("author",),
    ),
    Refusal(
        "waiving without a reason", "PATCH", "/v1/models/imported/versions/1.0.0", {"waive": ["code"]}, 422, "reason_required"
    ),
    Refusal(
        "completing an import with a script that is not uploaded", "PATCH", "/v1/models/imported/versions/1.0.0",
        {"code": {"snapshot": DIGEST}}, 422, "invalid_metadata", ("code.snapshot",),
    ),
    post("an evaluation without metrics", f"{VERSIONS}/1.0.0/evaluations", {"metrics": {}}, 422, "invalid_metadata", "metrics"),
    post("an unknown check status", f"{VERSIONS}/1.0.0/checks", {"name": "bias", "status": "green"}, 422, "invalid", "status"),
    # Environments and targets.
    put("an environment that serves nothing", "!environments/dev", {"stages": []}, 422, "no_stages", "stages"),
    put(
        "an environment with every mistake", "!environments/dev", {"stages": ["archived", "best"], "regions": ["eu", "EU"]},
        422, "invalid_environment", "stages[0]", "stages[1]", "regions[1]",
    ),
    post("a rollback of an unknown environment", "!environments/dev/rollback", {"at": "1", **WHY}, 404, "unknown_environment"),
    post("a rollback to no moment", "!environments/prod/rollback", {"at": "yesterday", **WHY}, 400, "bad_moment"),
    post("a rollback beyond the log", "!environments/prod/rollback", {"at": "999999", **WHY}, 400, "beyond_log"),
    post("a rollback to what is", "!environments/prod/rollback", {"at": "2099-01-01T00:00:00Z", **WHY}, 409, "as_it_was"),
    put("a secret in the settings of a target", "!targets/other", {"kind": "http", "settings": {"token": "x"}}, 422,
        "secret_in_settings", "settings.token"),
    put("settings that JSON cannot say", "!targets/other", b'{"kind":"http","settings":{"x":NaN}}', 422, "invalid"),
    Refusal("removing a target that is deployed to", "DELETE", "/v1/targets/edge?reason=x", None, 409, "target_in_use",
            ("target",)),
    Refusal("removing an unknown target", "DELETE", "/v1/targets/other?reason=x", None, 404, "unknown_target"),
    # Endpoints.
    post("a taken endpoint", "!endpoints", {"environment": "PROD", "name": "Fraud", "model": "fraud"}, 409, "name_taken"),
    post(
        "an endpoint with nothing around it", "!endpoints",
        {"environment": "dev", "name": "x", "model": "nobody", "targets": ["nowhere"]}, 409, "endpoint_refused",
        "environment", "model", "targets",
    ),
    put("traffic for an unknown endpoint", "!endpoints/prod/other/traffic", {"promote": "1.0.0", **WHY}, 404,
        "unknown_endpoint"),
    put("traffic without a reason", f"{ENDPOINT}/traffic", {"promote": "1.0.0"}, 422, "reason_required"),
    put("weights that do not sum", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.0.0", "weight": 90}, {"version": "1.1.0", "weight": 9.99}], **WHY}, 409,
        "weights_do_not_sum", "variants"),
    put("a weight of three decimals", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.0.0", "weight": 99.999}], **WHY}, 422, "invalid", "variants.0.weight"),
    put("an unknown version", f"{ENDPOINT}/traffic", {"variants": [{"version": "9.9.9", "weight": 100}], **WHY}, 409,
        "unknown_version", "variants[0]"),
    put("an archived version", f"{ENDPOINT}/traffic", {"variants": [{"version": "1.4.0", "weight": 100}], **WHY}, 409,
        "version_archived", "variants[0]"),
    put("a version of a stage that the environment does not serve", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.3.0", "weight": 100}], **WHY}, 409, "stage_not_allowed", "variants[0]"),
    put("another digest than the version's", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.1.0", "weight": 100, "digest": "sha256:" + "1" * 64}], **WHY}, 409,
        "digest_mismatch", "variants[0]"),
    put("a version twice", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.0.0", "weight": 60}, {"version": "1", "weight": 40}], **WHY}, 409,
        "variant_twice", "variants[1]"),
    put("a shadow with weight", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.0.0", "weight": 90}, {"version": "1.1.0", "weight": 10, "role": "shadow"}], **WHY}, 409,
        "traffic_refused", "variants[1]", "variants"),
    put("a region that there is not", f"{ENDPOINT}/traffic",
        {"variants": [{"version": "1.0.0", "weight": 100, "region": "eu"}], **WHY}, 409, "bad_region",
        "variants[0]"),
    put("promoting an archived version", f"{ENDPOINT}/traffic", {"promote": "1.4.0", **WHY}, 409, "version_archived",
        "promote"),
    Refusal("an unknown target", "PATCH", "/v1/endpoints/prod/fraud", {"targets": ["edge", "nowhere"]}, 409,
            "unknown_target", ("targets",)),
    post("an endpoint for an unknown target", "!endpoints",
         {"environment": "prod", "name": "x", "model": "fraud", "targets": ["nowhere"]}, 409, "unknown_target",
         "targets"),
    put(
        "every mistake in one change", f"{ENDPOINT}/traffic",
        {"variants": [
            {"version": "9.9.9", "weight": 50}, {"version": "1.2.0", "weight": 30},
            {"version": "1.0.0", "weight": 20, "digest": "sha256:" + "1" * 64}], **WHY},
        409, "traffic_refused", "variants[0]", "variants[1]", "variants[2]",
    ),
    put("another change than was seen", f"{ENDPOINT}/traffic", {"promote": "1.0.0", "expect_change": None, **WHY}, 412,
        "expectation_failed"),
    put("an entity tag that is old", f"{ENDPOINT}/traffic", {"promote": "1.0.0", **WHY}, 412, "if_match_failed",
        If_Match='"1"'),
    put("a cause that names no event", f"{ENDPOINT}/traffic", {"promote": "1.0.0", **WHY}, 422, "bad_cause",
        Regista_Cause="model/fraud"),
    post("a rollback to nothing", f"{ENDPOINT}/rollback", WHY, 409, "nothing_to_roll_back_to"),
    post("following where nothing is followed", f"{ENDPOINT}/follow", {"followed": "@staging", **WHY}, 409, "not_following"),
    post("a report of no change", f"{ENDPOINT}/reports", {"target": "edge", "change": 1, "state": "succeeded"}, 404,
         "unknown_change"),
    post("a conclusion without an experiment", f"{ENDPOINT}/conclude", {"change": 2, "verdict": "promote"}, 409,
         "no_experiment"),
    Refusal("retiring an endpoint without a reason", "DELETE", "/v1/endpoints/prod/fraud", None, 422, "reason_required"),
    Refusal("a change that is no number", "DELETE", "/v1/endpoints/prod/fraud?reason=x&expect_change=two", None, 400,
            "bad_parameter"),
    # Subscriptions.
    post("a subscription with every mistake", "!subscriptions",
         {"url": HOOK, "types": ["version.promotd"], "models": ["a b"], "streams": ["fraud"], "actors": ["A B"]}, 422,
         "invalid_subscription", "types[0]", "models[0]", "streams[0]", "actors[0]"),
    post("an address with a password", "!subscriptions", {"url": "https://ann:x@example.org"}, 422, "bad_url", "url"),
    post("an address and a secret that are none", "!subscriptions", {"url": "ftp://x", "secret": "x"}, 422,
         "invalid_subscription", "url", "secret"),
    post("a template that there is not", "!subscriptions", {"url": HOOK, "template": "teams"}, 422, "invalid", "template"),
    post("a taken subscription", "!subscriptions", {"url": HOOK, "id": "RISK"}, 409, "name_taken"),
    post("a removed subscription", "!subscriptions", {"url": HOOK, "id": "gone"}, 409, "name_taken"),
    Refusal("a change of an unknown subscription", "PATCH", "/v1/subscriptions/nobody", {"description": "x"}, 404,
            "unknown_subscription"),
    Refusal("a change of a removed subscription", "PATCH", "/v1/subscriptions/gone", {"description": "x"}, 410,
            "subscription_removed"),
    Refusal("a change of nothing", "PATCH", "/v1/subscriptions/risk", {}, 422, "nothing_to_change"),
    Refusal("disabling without a reason", "PATCH", "/v1/subscriptions/risk", {"disabled": True}, 422, "reason_required"),
    post("a rotation to no secret", "!subscriptions/risk/rotate", {"secret": "whsec_x"}, 422, "bad_secret", "secret"),
    post("a rotation that keeps the one before too long", "!subscriptions/risk/rotate", {"keep_seconds": 10**8}, 422,
         "invalid", "keep_seconds"),
    Refusal("removing a subscription without a reason", "DELETE", "/v1/subscriptions/risk", None, 422, "reason_required"),
    # The request itself.
    post("an idempotency key with another body", "", {"name": "other"}, 422, "idempotency_key_reused", Idempotency_Key="taken"),
    post("an idempotency key with a line feed", "", {"name": "other"}, 422, "bad_idempotency_key", Idempotency_Key="a b"),
    post("broken JSON", "", b'{"name": ', 400, "malformed_json"),
    post("a list for an object", "", b"[]", 422, "invalid", "model_type"),
    post("another content type", "", b"name=fraud", 415, "unsupported_media", Content_Type="application/x-www-form-urlencoded"),
    post("an event over 512 KiB", VERSIONS, version(custom={"text": "x" * 600_000}), 413, "event_too_large"),
    post("a body over the limit", VERSIONS, b" " * 2_000_000, 413, "body_too_large"),
    post("an unknown query parameter", "?dryrun=true", {"name": "other"}, 400, "unknown_parameter"),
    post("a flag that is none", "?dry_run=maybe", {"name": "other"}, 400, "bad_parameter"),
    Refusal("an unknown route", "POST", "/v1/modles", {}, 404, "unknown_route"),
]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """A registry in which every row can be refused for its own reason alone."""
    async with app_client(tmp_path_factory.mktemp("refusals")) as client:
        await _furnish(client)
        yield client


async def _furnish(client: httpx.AsyncClient) -> None:
    async def do(method: str, path: str, body: Any = None, **headers: str) -> None:
        where = f"/v1/{path[1:]}" if path.startswith("!") else f"/v1/models{path}"
        answer = await client.request(method, where, json=body, headers=headers)
        assert answer.status_code in (200, 201), answer.text

    for name in ("fraud", "imported", "retired", "empty"):
        await do("POST", "", {"name": name}, **({"Idempotency-Key": "taken"} if name == "fraud" else {}))
    for _ in range(5):
        await do("POST", VERSIONS, version())
    await do("POST", f"{VERSIONS}/1.4.0/archive", WHY)
    await do("POST", f"{VERSIONS}/1.0.0/promote", {"to": "staging", **WHY})
    await do("POST", f"{VERSIONS}/1.0.0/promote", {"to": "production", **WHY})
    await do("POST", f"{VERSIONS}/1.1.0/promote", {"to": "staging", **WHY})
    await do("POST", f"{VERSIONS}/1.2.0/checks", {"name": "bias", "status": "failed"})
    await do("PUT", "/fraud/aliases/champion", {"version": "1.0.0"})
    await do("POST", "/imported/versions", {"origin": {"system": "mlflow", "id": "7"}})
    await do("DELETE", "/retired?reason=done")
    await do("PUT", "!environments/prod", {"stages": ["staging", "production"]})
    await do("PUT", "!targets/edge", {"kind": "directory"})
    await do("POST", "!endpoints", {"environment": "prod", "name": "fraud", "model": "fraud", "targets": ["edge"]})
    await do("PUT", f"{ENDPOINT}/traffic", {"promote": "1.0.0", **WHY})
    for name in ("risk", "gone"):
        await do("POST", "!subscriptions", {"url": HOOK, "id": name, "types": ["log.healed"]})
    await do("DELETE", "!subscriptions/gone?reason=done")
    async with asyncio.timeout(30):  # until then the deployer writes, too
        while not (await client.get("/v1/events?type=endpoint.deployment-reported")).json()["items"]:
            pass


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.asyncio(loop_scope="module")
async def test_refusal(client: httpx.AsyncClient, row: Refusal) -> None:
    before = await log_position(client)
    content = row.body if isinstance(row.body, bytes | None) else json.dumps(row.body).encode()
    answer = await client.request(row.method, row.path, content=content, headers=JSON | row.headers)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (row.status, row.code), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == row.status
    if row.reasons:
        assert sorted(reason["field"] or reason["code"] for reason in problem["reasons"]) == sorted(row.reasons)
    assert await log_position(client) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_everything_that_is_wrong_with_a_change_is_told_at_once_and_nothing_changes(
    client: httpx.AsyncClient,
) -> None:
    before = (await client.get("/v1/endpoints/prod/fraud")).json()
    variants = [
        {"version": "9.9.9", "weight": 50},
        {"version": "1.3.0", "weight": 20},
        {"version": "1.4.0", "weight": 10},
        {"version": "1.1.0", "weight": 5.5, "digest": "sha256:" + "1" * 64},
        {"version": "1.0.0", "weight": 1, "mirror": 50},
    ]
    answer = await client.put("/v1/endpoints/prod/fraud/traffic", json={"variants": variants, **WHY})
    assert (answer.status_code, answer.json()["code"]) == (409, "traffic_refused")
    assert {(reason["field"], reason["code"]) for reason in answer.json()["reasons"]} == {
        ("variants[0]", "unknown_version"),
        ("variants[1]", "stage_not_allowed"),
        ("variants[2]", "version_archived"),
        ("variants[3]", "digest_mismatch"),
        ("variants[4]", "mirror_without_shadow"),
        ("variants", "weights_do_not_sum"),
    }
    assert all(reason["hint"] for reason in answer.json()["reasons"])
    assert (await client.get("/v1/endpoints/prod/fraud")).json() == before


@pytest.mark.parametrize("keys", [("a", "b"), ("a", "a")])
@pytest.mark.asyncio(loop_scope="module")
async def test_one_command_has_one_key(client: httpx.AsyncClient, keys: tuple[str, str]) -> None:
    before = await log_position(client)
    headers = [("Content-Type", "application/json"), *(("Idempotency-Key", key) for key in keys)]
    answer = await client.post("/v1/models", content=b'{"name": "other"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "repeated_header")
    assert await log_position(client) == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_new_alias_may_be_asked_to_be_new(client: httpx.AsyncClient) -> None:
    path = "/v1/models/fraud/aliases/shadow"
    answers = [await client.put(path, json={"version": "1.1.0"}, headers={"If-None-Match": "*"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 412]


async def log_position(client: httpx.AsyncClient) -> int:
    status = (await client.get("/v1/status")).json()
    position: int = status["log_position"]
    return position
