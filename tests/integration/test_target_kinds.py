"""What single kinds of targets promise beyond the suite that holds for all of them."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from starlette.responses import JSONResponse, Response
from tests.support.inference_services import problems
from tests.support.model_doubles import digest_of
from tests.support.target_subjects import NOBODY, SUBJECTS, Cluster, GitHub, Http, variant, wanted

from regista.deployer.targets import TargetContext, TargetFailed, kinds, open_target
from regista.deployer.targets.kserve.options import KServeOptions
from regista.deployer.targets.kserve.plan import plan, rendered
from regista.domain.errors import Invalid

ALL = variant(1, 10_000)
KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()


def context(folder: Path, settings: dict[str, Any], **more: Any) -> TargetContext:
    return TargetContext("t", settings, more.pop("secrets", {}), folder, NOBODY, **more)


def test_the_kinds_are_found_by_their_entry_points() -> None:
    assert {"directory", "github", "http", "kserve", "nginx"} <= set(kinds())


def test_an_unknown_kind_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no kind of target heroku") as refused:
        open_target("heroku", context(tmp_path, {}))
    assert refused.value.code == "unknown_kind"
    assert "nginx" in (refused.value.hint or "")


@pytest.mark.parametrize("path", ["/etc/cron.d", "../../elsewhere", "/"])
def test_files_are_written_only_where_the_operator_lets_them(tmp_path: Path, path: str) -> None:
    (tmp_path / "own").mkdir()
    with pytest.raises(Invalid, match="not in a directory that targets may write to"):
        open_target("directory", context(tmp_path / "own", {"path": path}))


async def test_a_directory_that_the_operator_allows_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    place = tmp_path / "shared" / "deployments"
    target = open_target("directory", context(tmp_path / "own", {"path": str(place)}, roots=(tmp_path / "shared",)))
    await target.apply(wanted(1, ALL))
    assert json.loads((place / "prod" / "fraud.json").read_bytes())["variants"][0]["weight"] == 100.0


@pytest.mark.parametrize(
    "template",
    ["{{ ''.__class__.__mro__ }}", "{{ cycler.__init__.__globals__.os.system('id') }}", "{{ variants.clear() }}",
     "{% for i in range(10000000) %}x{% endfor %}", "{{ 1 / 0 }}"],
)  # fmt: skip
async def test_a_template_reaches_nothing_but_what_it_is_given(tmp_path: Path, template: str) -> None:
    target = open_target("directory", context(tmp_path, {"templates": {"x.txt": template}}))
    with pytest.raises(TargetFailed) as failed:
        await target.apply(wanted(1, ALL))
    assert (failed.value.code, failed.value.retryable) == ("template_failed", False)


@pytest.mark.parametrize("templates", [{"x": "{{"}, {"../x": "a"}, {"deployment.json": "a"}, {".hidden": "a"}])
def test_templates_that_cannot_be_used_are_refused_when_the_target_is_opened(
    tmp_path: Path, templates: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        open_target("directory", context(tmp_path, {"templates": templates}))


async def test_a_template_renders_the_document(tmp_path: Path) -> None:
    text = "{% for v in variants %}{{ v.version }}={{ v.weight }}\n{% endfor %}"
    target = open_target("directory", context(tmp_path, {"templates": {"weights.txt": text}}))
    await target.apply(wanted(1, variant(1, 8_750), variant(2, 1_250, "canary")))
    assert (tmp_path / "files/prod/fraud/weights.txt").read_text() == "1.1.0=87.5\n1.2.0=12.5\n"


async def test_a_call_is_signed_and_names_its_change(tmp_path: Path) -> None:
    async with SUBJECTS["http"](tmp_path) as subject:
        assert isinstance(subject, Http)
        subject.secrets = {"token": "t0p", "signing_key": KEY}
        subject.settings["headers"] = {"X-Team": "risk"}
        target = subject.open()
        await target.apply(wanted(3, ALL))
        await target.aclose()
        ((headers, document),) = subject.received
    assert headers["authorization"] == "Bearer t0p"
    assert headers["x-team"] == "risk"
    assert headers["idempotency-key"] == headers["webhook-id"] == document["idempotency_key"] == "0f4c1a52:30:target"
    assert document["variants"][0] == {
        "version": "1.1.0", "ordinal": 1, "artifact_digest": digest_of(1), "role": "champion", "weight": 100.0,
        "mirror": 0.0, "region": None,
    }  # fmt: skip
    Webhook(KEY).verify(json.dumps(document, indent=2).encode() + b"\n", headers)


@pytest.mark.parametrize(
    ("answer", "code", "retryable", "after"),
    [
        (Response(status_code=503, headers={"Retry-After": "7"}), "unavailable", True, 7.0),
        (Response(status_code=429), "unavailable", True, None),
        (Response(status_code=408), "unavailable", True, None),
        (Response(status_code=302, headers={"Location": "http://169.254.169.254"}), "not_accepted", False, None),
        (Response(status_code=404), "not_accepted", False, None),
        (Response(status_code=409), "not_accepted", False, None),
        (JSONResponse({"code": "outdated"}, 409), "outdated", False, None),
        (JSONResponse({"observed": [{"artifact_digest": "latest"}]}), "bad_answer", False, None),
        (JSONResponse({"observed": [{"artifact_digest": digest_of(1), "weight": 101}]}), "bad_answer", False, None),
    ],
)
async def test_an_answer_says_whether_a_retry_may_help(
    tmp_path: Path, answer: Response, code: str, retryable: bool, after: float | None
) -> None:
    async with SUBJECTS["http"](tmp_path) as subject:
        assert isinstance(subject, Http)
        subject.response = answer
        target = subject.open()
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, ALL))
        await target.aclose()
    assert (failed.value.code, failed.value.retryable, failed.value.retry_after) == (code, retryable, after)


async def test_a_private_address_is_not_called_unless_that_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not on the public network"):
        open_target("http", context(tmp_path, {"url": "http://169.254.169.254/"}))
    async with SUBJECTS["http"](tmp_path) as subject:
        assert isinstance(subject, Http)
        port = subject.settings["url"].split(":")[2]
        target = open_target("http", context(tmp_path, {"url": f"http://localhost:{port}"}))
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, ALL))
        await target.aclose()
        assert (failed.value.code, failed.value.retryable) == ("private_address", False)
        assert subject.received == []


async def test_a_cluster_whose_name_leads_into_the_private_network_is_not_called(tmp_path: Path) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        port = subject.settings["server"].rpartition(":")[2]
        subject.settings["server"] = f"http://localhost:{port}"
        subject.private = False
        target = subject.open()
        for asked in (target.apply(wanted(1, ALL)), target.observe("prod", "fraud")):
            with pytest.raises(TargetFailed) as failed:
                await asked
            assert (failed.value.code, failed.value.retryable) == ("private_address", False)
        await target.aclose()
        assert not subject.api.objects


def test_no_secret_is_shown(tmp_path: Path) -> None:
    assert "s3cret" not in repr(context(tmp_path, {}, secrets={"token": "s3cret"}))


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (Response(status_code=401), "not_accepted", False),
        (Response(status_code=403), "not_accepted", False),
        (Response(status_code=404), "not_accepted", False),
        (Response(status_code=422), "not_accepted", False),
        (Response(status_code=403, headers={"X-RateLimit-Remaining": "0"}), "rate_limited", True),
        (Response(status_code=429, headers={"Retry-After": "30"}), "rate_limited", True),
        (Response(status_code=403, headers={"Retry-After": "30"}), "rate_limited", True),
        (Response(status_code=500), "unavailable", True),
    ],
)
async def test_github_says_in_several_ways_that_there_were_too_many_calls(
    tmp_path: Path, answer: Response, code: str, retryable: bool
) -> None:
    async with SUBJECTS["github"](tmp_path) as subject:
        assert isinstance(subject, GitHub)
        answer.headers["X-RateLimit-Reset"] = str(int(time.time()) + 40)
        subject.answer = answer
        target = subject.open()
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, ALL))
        await target.aclose()
    assert (failed.value.code, failed.value.retryable) == (code, retryable)
    if retryable and answer.status_code != 500:
        assert failed.value.retry_after is not None
        assert 20 < failed.value.retry_after <= 41


async def test_github_gets_the_document_as_one_field_of_the_payload(tmp_path: Path) -> None:
    async with SUBJECTS["github"](tmp_path) as subject:
        assert isinstance(subject, GitHub)
        target = subject.open()
        await target.apply(wanted(1, ALL))
        await target.aclose()
        ((headers, body),) = subject.received
    assert body["event_type"] == "regista-deployment"
    assert body["client_payload"]["deployment"]["change"] == 1
    assert headers["x-github-api-version"] == "2022-11-28"


def test_github_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a token is needed"):
        open_target("github", context(tmp_path, {"repository": "acme/models"}))


OPTIONS = KServeOptions.model_validate(
    {
        "storage_uri": "s3://models/{model}/{digest}",
        "model_format": {"name": "onnx", "version": "1"},
        "predictor": {"minReplicas": 1, "serviceAccountName": "models"},
        "model": {"resources": {"requests": {"cpu": "100m"}}, "runtime": "kserve-mlserver"},
        "labels": {"team": "risk"},
    }
)


def test_what_is_rendered_for_kserve_is_valid_by_the_published_definition() -> None:
    change = wanted(1, variant(1, 9_000), variant(2, 1_000, "canary"))
    champion = plan(None, change, OPTIONS)
    assert not champion.final
    both = plan(champion, change, OPTIONS)
    for step in (champion, both):
        assert problems(rendered(step, change, OPTIONS)) == []
    value = rendered(both, change, OPTIONS)["spec"]["predictor"]
    assert value["canaryTrafficPercent"] == 10
    assert value["model"]["storageUri"] == f"s3://models/Fraud/{2:064x}"


def test_a_field_that_kserve_does_not_know_is_found() -> None:
    change = wanted(1, ALL)
    value = rendered(plan(None, change, OPTIONS), change, OPTIONS)
    value["spec"]["predictor"]["canaryTraficPercent"] = 1
    assert problems(value)


@pytest.mark.parametrize(
    "variants",
    [
        (variant(1, 9_000), variant(2, 500, "challenger"), variant(3, 500, "challenger")),
        (variant(1, 10_000), variant(2, 0, "shadow", mirror=100)),
        (variant(1, 9_950), variant(2, 50, "canary")),
        (variant(1, 10_000, region="eu"), variant(1, 10_000, region="us")),
    ],
)
def test_what_kserve_cannot_express_is_said_in_words(variants: tuple[Any, ...]) -> None:
    with pytest.raises(TargetFailed) as failed:
        plan(None, wanted(1, *variants), OPTIONS)
    assert (failed.value.code, failed.value.retryable) == ("not_expressible", False)
    assert failed.value.hint


async def test_a_canary_never_has_more_than_its_share_on_its_way_in_and_out(tmp_path: Path) -> None:
    """KServe would send everything to a canary that is taken out of the specification, until another is ready."""
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        target = subject.open()
        await target.apply(wanted(1, variant(1, 9_000), variant(2, 1_000, "canary")))
        await target.apply(wanted(2, variant(1, 5_000), variant(2, 5_000, "canary")))
        await target.apply(wanted(3, ALL))
        await target.apply(wanted(4, variant(1, 8_000), variant(3, 2_000, "canary")))
        await target.apply(wanted(5, variant(3, 10_000)))
        one, two, three = (digest_of(ordinal) for ordinal in (1, 2, 3))
        assert subject.api.traffic == [
            {one: 100},
            {two: 10, one: 90},
            {two: 50, one: 50},
            {one: 100},
            {three: 20, one: 80},
            {three: 100},
        ]
        assert {token for _, token in subject.api.requests} == {"Bearer for-the-cluster"}
        await target.aclose()


async def test_no_canary_is_put_beside_a_champion_that_is_not_ready(tmp_path: Path) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        subject.settings["ready_within"] = 0.3
        subject.api.ready = False
        target = subject.open()
        for _ in range(2):
            with pytest.raises(TargetFailed) as failed:
                await target.apply(wanted(1, variant(1, 9_000), variant(2, 1_000, "canary")))
            assert (failed.value.code, failed.value.retryable) == ("not_ready", True)
        assert subject.api.objects["prod-fraud"].revisions == [digest_of(1)]
        subject.api.ready = True
        await target.apply(wanted(1, variant(1, 9_000), variant(2, 1_000, "canary")))
        assert subject.api.served("prod-fraud") == {digest_of(1): 90, digest_of(2): 10}
        await target.aclose()


async def test_what_somebody_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        target = subject.open()
        await target.apply(wanted(1, ALL))

        def other() -> None:
            subject.api.before_write = None
            subject.api.objects["prod-fraud"].value["metadata"]["resourceVersion"] = "9000"

        subject.api.before_write = other
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(2, variant(2, 10_000)))
        assert (failed.value.code, failed.value.retryable) == ("conflict", True)
        assert subject.api.served("prod-fraud") == {digest_of(1): 100}
        await target.aclose()


async def test_a_field_of_another_manager_is_taken_only_by_force(tmp_path: Path) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        subject.settings["predictor"] = {"minReplicas": 2}
        subject.api.taken = {"spec.predictor.minReplicas": "autoscaler"}
        target = subject.open()
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, ALL))
        assert (failed.value.code, failed.value.retryable) == ("field_conflict", False)
        subject.settings["force"] = True
        await target.aclose()
        forcing = subject.open()
        await forcing.apply(wanted(1, ALL))
        assert subject.api.served("prod-fraud") == {digest_of(1): 100}
        await forcing.aclose()


async def test_a_deployer_without_memory_learns_the_newest_change_from_the_cluster(tmp_path: Path) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        target = subject.open()
        await target.apply(wanted(5, ALL))
        await target.aclose()
        (tmp_path / "data").rename(tmp_path / "lost")
        forgetful = subject.open()
        with pytest.raises(TargetFailed) as failed:
            await forgetful.apply(wanted(4, variant(2, 10_000)))
        assert failed.value.code == "outdated"
        await forgetful.aclose()


@pytest.mark.parametrize(("code", "retryable"), [(401, False), (403, False), (422, False), (429, True), (500, True)])
async def test_what_kubernetes_refuses_is_told_apart_from_what_passes(
    tmp_path: Path, code: int, retryable: bool
) -> None:
    async with SUBJECTS["kserve"](tmp_path) as subject:
        assert isinstance(subject, Cluster)
        subject.api.failing = code
        target = subject.open()
        with pytest.raises(TargetFailed) as failed:
            await target.apply(wanted(1, ALL))
        assert failed.value.retryable is retryable
        await target.aclose()


async def test_a_canary_in_files_without_its_champion_is_refused_in_words(tmp_path: Path) -> None:
    async with SUBJECTS["gitops"](tmp_path) as subject:
        target = subject.open()
        with pytest.raises(TargetFailed, match="rolling it out alone first") as failed:
            await target.apply(wanted(1, variant(1, 9_000), variant(2, 1_000, "canary")))
        assert not failed.value.retryable
        assert await subject.served() == set()
