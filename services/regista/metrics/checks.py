"""What a report must be, by whichever way it came."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from math import isfinite

from regista.domain.endpoint.endpoints import LATENCIES
from regista.domain.errors import Invalid, Reason, RegistaError
from regista.domain.references import check_name, is_identifier
from regista.domain.versions import looks_like_version
from regista.wire.inference import MOST_BUCKETS, MOST_BUSINESS, BusinessSum, InferenceReport

LONGEST = timedelta(hours=1)
"""An interval that a report may be about."""
OLDEST = timedelta(days=1)
"""After that a report is not taken any more: its id may be forgotten."""
AHEAD = timedelta(minutes=5)
"""How far a reporter's clock may be ahead."""
BUILT_IN = LATENCIES.keys() | {"requests", "errors"}
"""Metrics that every report has; no business metric has one of these names."""
_ID = re.compile(r"[\x21-\x7e]{1,255}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST = 2**53
LARGEST = 1e100
"""Of a sum of business values: squares of it, and of what is reckoned with it, are still finite."""
_ROUNDING = 1e-6


def check_report(report: InferenceReport, now: datetime) -> None:
    """Return where it is a report that can be counted.

    Raises:
        Invalid: ``invalid_report``, with every reason.
    """
    if reasons := list(problems(report, now)):
        raise Invalid(
            f"Report {report.id[:60]!r}: {reasons[0].detail}",
            code="invalid_report",
            hint=reasons[0].hint,
            reasons=reasons,
        )


def problems(report: InferenceReport, now: datetime) -> Iterator[Reason]:
    """Everything that is wrong with a report."""
    if _ID.fullmatch(report.id) is None:
        yield Reason("bad_id", "its id is none", "id", "Give 1 to 255 visible ASCII characters, anew for each report.")
    for field, name in (("environment", report.environment), ("endpoint", report.endpoint), ("region", report.region)):
        if name is not None:
            yield from _named(name, field)
    if not looks_like_version(report.version):
        yield Reason("bad_version", f"{report.version[:60]!r} is no version", "version", "Give its number: 1.4.0.")
    if _DIGEST.fullmatch(report.artifact_digest) is None:
        hint = "Give the digest of the artifact that answers: sha256:<64 hex digits>."
        yield Reason("bad_digest", f"{report.artifact_digest[:80]!r} is no digest", "artifact_digest", hint)
    if not is_identifier(report.reporter):
        yield Reason("bad_reporter", "the reporter is no identifier", "reporter", "Name a replica or a gateway.")
    yield from _interval_problems(report, now)
    if not 0 <= report.errors <= report.requests < _MOST:
        yield Reason("bad_count", "errors are among the requests, and both are 0 or more", "errors", "Count again.")
    yield from _latency_problems(report)
    if len(report.business) > MOST_BUSINESS:
        yield Reason(
            "too_many_metrics", f"{len(report.business)} metrics", "business", f"Give {MOST_BUSINESS} at most."
        )
    for name, values in report.business.items():
        yield from _business_problems(name, values)


def _named(name: str, field: str) -> Iterator[Reason]:
    try:
        check_name(name, field)
    except RegistaError as error:
        yield Reason(error.code, error.detail, field, error.hint)


def _interval_problems(report: InferenceReport, now: datetime) -> Iterator[Reason]:
    field = "ended_at"
    if not timedelta() <= report.ended_at - report.started_at <= LONGEST:
        hint = "Report an interval of an hour at most, its beginning first."
        yield Reason("bad_interval", "its interval is none, or too long", field, hint)
    if report.ended_at > now + AHEAD:
        hint = "Set the clock of the reporter."
        yield Reason("from_the_future", f"it ends {report.ended_at - now} from now", field, hint)
    if report.ended_at < now - OLDEST:
        hint = "Send reports within a day: of older ones it is not known whether they were counted."
        yield Reason("too_old", f"it ended {now - report.ended_at} ago", field, hint)


def _latency_problems(report: InferenceReport) -> Iterator[Reason]:
    field, code = "latency", "bad_latency"
    bounds, counts = report.latency.bounds, report.latency.counts
    if not counts and not bounds:
        return
    if len(bounds) > MOST_BUCKETS:
        yield Reason(code, f"{len(bounds)} bounds", field, f"Give {MOST_BUCKETS} at most.")
    if len(counts) != len(bounds) + 1:
        hint = "Give one count more than there are bounds: the last is of what took longer."
        yield Reason(code, f"there are {len(counts)} counts for {len(bounds)} bounds", field, hint)
    if any(not isfinite(bound) or bound < 0 for bound in bounds) or any(b <= a for a, b in pairwise(bounds)):
        yield Reason(code, "the bounds do not rise from 0 on", field, "Give rising bounds in seconds.")
    if any(count < 0 for count in counts) or sum(counts) > report.requests:
        yield Reason(code, "more latencies than requests", field, "Count each request once.")


def _business_problems(name: str, values: BusinessSum) -> Iterator[Reason]:
    field = f"business.{name[:60]}"
    if not name.strip() or len(name) > 256 or name in BUILT_IN:
        hint = f"Name it, and none of {', '.join(sorted(BUILT_IN))}."
        yield Reason("bad_metric", f"{name[:60]!r} is no name of a business metric", field, hint)
    if not (abs(values.sum) <= LARGEST and 0 <= values.sum_of_squares <= LARGEST**2 and 0 <= values.count < _MOST):
        yield Reason("bad_metric", f"{name} is not a sum that can be reckoned with", field, f"Give up to {LARGEST:g}.")
    elif values.sum**2 > values.count * values.sum_of_squares * (1 + _ROUNDING) + _ROUNDING:
        hint = "Give how many values there are, their sum, and the sum of their squares."
        yield Reason("bad_metric", f"no {values.count} values of {name} have these sums", field, hint)
