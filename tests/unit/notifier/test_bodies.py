"""What is sent: CloudEvents that name what the record on Kafka names, and messages that people read in Slack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.notifying import LOG, logged
from tests.support.receiver import KEY

from regista.domain.events import VersionPromoted
from regista.notifier.cloudevents import document, encode
from regista.notifier.signing import message_id, signed
from regista.notifier.slack import message
from regista.notifier.templates import body_of

PROMOTED = VersionPromoted(
    model="Fraud",
    version="1.4.0",
    ordinal=7,
    artifact_digest="sha256:0",
    from_stage="staging",
    to_stage="production",
    displaced=(),
    previous_version=None,
    keep_existing=False,
)


def test_attributes_are_those_of_the_kafka_record_and_data_is_the_event() -> None:
    told = logged(
        2**40, event=PROMOTED, sequence=9, reason="better", cause="model/fraud@8", traceparent="00-1-2-01", actor="ci"
    )
    assert document(told, 1, 2) == {
        "specversion": "1.0",
        "id": f"{LOG}:{2**40}",
        "source": f"urn:regista:log:{LOG}",
        "type": "regista.version.promoted.v1",
        "subject": "model/fraud",
        "time": "2026-05-04T12:00:00Z",
        "datacontenttype": "application/json",
        "position": str(2**40),
        "sequence": "9",
        "logid": LOG,
        "actor": "ci",
        "identity": "asserted",
        "commandid": f"command-{2**40}",
        "previoushash": "00",
        "hash": "00",
        "reason": "better",
        "cause": "model/fraud@8",
        "traceparent": "00-1-2-01",
        "setindex": 1,
        "setsize": 2,
        "data": {
            "model": "Fraud",
            "version": "1.4.0",
            "ordinal": 7,
            "artifact_digest": "sha256:0",
            "from_stage": "staging",
            "to_stage": "production",
            "displaced": [],
            "keep_existing": False,
            "previous_version": None,
        },
    }


def test_names_and_types_are_those_that_cloudevents_allows() -> None:
    for name, value in document(logged(1, event=PROMOTED, reason="r", cause="a@1", traceparent="t"), 1, 2).items():
        assert name.isalnum()
        assert name.islower()
        assert len(name) <= 20
        assert isinstance(value, str) or name in {"data", "setindex", "setsize"}


def test_an_event_of_an_unknown_type_is_told_without_data() -> None:
    unknown = document(replace(logged(1), type="regista.model.praised.v1", event=None))
    assert unknown["type"] == "regista.model.praised.v1"
    assert "data" not in unknown
    assert message(unknown)["text"] == "ann regista.model.praised.v1"


def test_slack_says_who_did_what_why_and_where() -> None:
    said = message(document(logged(12, event=PROMOTED, reason="better\nby far")))
    assert said["text"] == "ann Fraud: promoted 1.4.0 from staging to production"
    assert [block["type"] for block in said["blocks"]] == ["section", "section", "context"]
    assert said["blocks"][0]["text"]["text"] == "*ann* Fraud: promoted 1.4.0 from staging to production"
    assert said["blocks"][1]["text"]["text"] == ">better\n>by far"
    assert "model/fraud" in said["blocks"][2]["elements"][0]["text"]
    assert "position 12" in said["blocks"][2]["elements"][0]["text"]


def test_nothing_that_somebody_wrote_calls_for_people_in_slack_or_exceeds_its_limits() -> None:
    said = message(document(logged(1, event=PROMOTED, actor="<!channel>", reason="<!here> & " + "x" * 9_000)))
    text = orjson.dumps(said).decode()
    assert "<!" not in text
    assert "&lt;!here&gt; &amp;" in text
    assert all(len(block["text"]["text"]) <= 3_000 for block in said["blocks"][:2])


def test_a_template_chooses_the_body_and_the_same_event_has_the_same_bytes() -> None:
    body = encode(document(logged(1, event=PROMOTED)))
    assert body_of("cloudevents", body).content == body
    assert body_of("cloudevents", body).media_type == "application/cloudevents+json"
    slack = body_of("slack", body)
    assert slack.media_type == "application/json"
    assert slack == body_of("slack", body)


def test_every_key_signs_and_no_other_verifies() -> None:
    other = "whsec_b3RoZXIga2V5IG9mIHRoZSB0ZXN0cyE="
    body = '{"ä":1}'.encode()
    headers = signed(message_id(LOG, 1, "a.b"), datetime.now(UTC), body, [KEY, other])
    assert headers["webhook-id"] == f"{LOG}:1:a%2Eb"
    for key in (KEY, other):
        assert Webhook(key).verify(body, headers) == {"ä": 1}
        with pytest.raises(WebhookVerificationError):
            Webhook(key).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_AAAA").verify(body, headers)
