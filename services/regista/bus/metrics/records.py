"""Reports as records: Avro values and their keys, in bytes and back."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from regista.domain.errors import Invalid, Malformed
from regista.schemas.codec import metrics_codec
from regista.schemas.errors import NotEncodable, SchemaError, TooLarge
from regista.wire.inference import BusinessSum, InferenceReport, LatencyCounts

_REPORT = InferenceReport.__name__


def encode_report(report: InferenceReport) -> bytes:
    """The value of a report.

    Raises:
        Invalid: ``not_encodable``: a field is not what it should be, or all of it is over 512 KiB.
    """
    try:
        return metrics_codec().encode(_REPORT, _record(report))
    except (NotEncodable, TooLarge) as error:
        raise Invalid(
            f"The report cannot be written: {error}.", code="not_encodable", hint="Look at the field that is named."
        ) from error


def decode_report(value: bytes | None) -> InferenceReport:
    """The report of a value. Whether it can be counted is another question: ``metrics.checks``.

    Raises:
        Malformed: ``undecodable_report``: it is none, or of a later release.
    """
    if value is None:
        raise _undecodable("it has no value")
    try:
        decoded = metrics_codec().decode(bytes(value))
    except SchemaError as error:
        raise _undecodable(str(error)) from error
    if decoded.name != _REPORT:
        raise _undecodable(f"it is a {decoded.name}")
    known = {field.name: decoded.record[field.name] for field in fields(InferenceReport)}
    known["latency"] = LatencyCounts(*(tuple(known["latency"][part]) for part in ("bounds", "counts")))
    known["business"] = {
        name: BusinessSum(found["count"], found["sum"], found["sum_of_squares"])
        for name, found in known["business"].items()
    }
    return InferenceReport(**known)


def key_of(report: InferenceReport) -> bytes:
    """The key of a report: all of an endpoint are in one partition."""
    return f"{report.environment}/{report.endpoint}".lower().encode("utf-8", "replace")


def _record(report: InferenceReport) -> dict[str, Any]:
    record = {field.name: getattr(report, field.name) for field in fields(report)}
    record["latency"] = {"bounds": list(report.latency.bounds), "counts": list(report.latency.counts)}
    record["business"] = {name: asdict(values) for name, values in report.business.items()}
    return record


def _undecodable(why: str) -> Malformed:
    return Malformed(f"a record is no report: {why}", code="undecodable_report")
