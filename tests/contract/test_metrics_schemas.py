"""The schema of reports is for ever too: locked, the same bytes in any library, and what is no report is told apart."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import fastavro
import pytest
from tests.support.inference import NOW, report

from regista.bus.metrics.records import decode_report, encode_report, key_of
from regista.domain.errors import Invalid, Malformed
from regista.metrics.checks import check_report
from regista.schemas import codec, lock
from regista.schemas.catalogue import shipped, shipped_commands, shipped_metrics
from regista.wire.inference import BusinessSum, Inference, InferenceReport, LatencyCounts

FOLDER = Path(lock.__file__).parent / "metrics"
GOLDEN = Path(__file__).parent / "golden_metrics"
REPORTS = {
    "InferenceReport.1.full": report("1.4.0", 100, 3, region="eu", values=[1.5, 2.5], report_id="r-1"),
    "InferenceReport.1.minimal": replace(
        report(report_id="r-2"), requests=0, latency=LatencyCounts(), started_at=NOW, region=None
    ),
}


def parsed() -> Any:
    return fastavro.parse_schema(json.loads((FOLDER / "avro" / "InferenceReport.avsc").read_text(encoding="utf-8")))


def test_the_lock_holds_and_no_other_record_is_among_them() -> None:
    assert lock.check(FOLDER) == []
    assert set(shipped_metrics().names) == {"InferenceReport"}
    assert not set(shipped_metrics().names) & {*shipped().names, *shipped_commands().names}


def test_dataclass_schema_and_request_have_the_same_fields() -> None:
    names = [field.name for field in fields(InferenceReport)]
    assert [field["name"] for field in parsed()["fields"]] == names
    assert set(Inference.model_fields) == set(names) - {"environment", "endpoint"}


@pytest.mark.parametrize("name", REPORTS)
def test_golden_values_are_read_and_written_as_ever(name: str) -> None:
    golden = bytes.fromhex((GOLDEN / f"{name}.hex").read_text().strip())
    assert (encode_report(REPORTS[name]), decode_report(golden)) == (golden, REPORTS[name])


@pytest.mark.parametrize("name", REPORTS)
def test_any_avro_library_reads_a_report_the_same(name: str) -> None:
    value = encode_report(REPORTS[name])
    read: Any = fastavro.schemaless_reader(io.BytesIO(value[codec.HEADER :]), parsed(), None)
    body = io.BytesIO()
    fastavro.schemaless_writer(body, parsed(), read)
    assert body.getvalue() == value[codec.HEADER :]
    assert read["started_at"] == REPORTS[name].started_at


@pytest.mark.parametrize("value", [None, b"", b"\xc3\x01", bytes(40), encode_report(report())[:-1]])
def test_what_is_no_report_is_refused(value: bytes | None) -> None:
    with pytest.raises(Malformed) as caught:
        decode_report(value)
    assert caught.value.code == "undecodable_report"


def test_a_report_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(Invalid, match="not_encodable"):
        encode_report(replace(report(), requests=1.5))  # type: ignore[arg-type]  # what a caller may do


def test_the_key_is_the_endpoint_whatever_the_spelling() -> None:
    assert key_of(replace(report(), environment="Prod", endpoint="Fraud")) == b"prod/fraud"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"id": "with blank"}, "bad_id"),
        ({"environment": "a b"}, "bad_name"),
        ({"region": ""}, "bad_name"),
        ({"version": "latest"}, "bad_version"),
        ({"artifact_digest": "sha256:1"}, "bad_digest"),
        ({"reporter": "Ann <ann@example.org>"}, "bad_reporter"),
        ({"started_at": NOW - timedelta(hours=2)}, "bad_interval"),
        ({"started_at": NOW + timedelta(seconds=1)}, "bad_interval"),
        ({"ended_at": NOW + timedelta(minutes=6)}, "from_the_future"),
        ({"ended_at": NOW - timedelta(days=2), "started_at": NOW - timedelta(days=2)}, "too_old"),
        ({"errors": 101}, "bad_count"),
        ({"errors": -1}, "bad_count"),
        ({"latency": LatencyCounts((0.1,), (1,))}, "bad_latency"),
        ({"latency": LatencyCounts((0.2, 0.1), (1, 1, 1))}, "bad_latency"),
        ({"latency": LatencyCounts((0.1,), (100, 1))}, "bad_latency"),
        ({"latency": LatencyCounts((0.1,), (-1, 1))}, "bad_latency"),
        ({"business": {"errors": BusinessSum(1, 1.0, 1.0)}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, 2.0, 1.0)}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, float("nan"), 1.0)}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, float("inf"), float("inf"))}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, 1e200, 1e300)}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, -1e200, 1.0)}}, "bad_metric"),
        ({"business": {"revenue": BusinessSum(1, 1.0, 1e300)}}, "bad_metric"),
        ({"business": {f"m{i}": BusinessSum(0, 0.0, 0.0) for i in range(101)}}, "too_many_metrics"),
    ],
)
def test_what_cannot_be_counted_is_refused_with_what_to_do(changed: dict[str, Any], code: str) -> None:
    check_report(report(), NOW)
    with pytest.raises(Invalid) as caught:
        check_report(replace(report(), **changed), NOW)
    assert caught.value.code == "invalid_report"
    assert code in {reason.code for reason in caught.value.reasons}
    assert all(reason.hint and reason.field for reason in caught.value.reasons)
