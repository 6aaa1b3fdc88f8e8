"""How endpoints stand, now or at a position: what is wanted, what each target told last, and how the two compare.

Two ways to one answer: ``Standing`` says it of an endpoint whose rows are at hand, ``IN_STATE`` lets the database say it
of all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from regista.domain.times import moment
from regista.projections.api.answers import raw
from regista.projections.api.intervals import holds, joined, marks
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.views.endpoints import CREATED, RETIRED, SEPARATOR
from regista.projections.views.shares import HUNDREDTHS, NOTHING, Share, read_shares

STATES = ("failed", "drifting", "pending", "deployed", "untargeted", "idle", "retired")
_DONE = ("succeeded", "failed")
"""What a target tells when it is done with a change."""


class Described(NamedTuple):
    """What describes an endpoint, and what is to be served there since when."""

    endpoint_key: str
    environment: str
    endpoint: str
    model_key: str
    model: str
    targets: str
    follow: str | None
    automatic: int
    guardrails: str
    description: str
    change: int
    how: str
    to_deploy: int
    variants: str
    canary: str | None
    shares: str
    restores: int | None
    since: int
    since_position: int
    actor: str
    reason: str | None
    cause: str | None
    sequence: int
    updated_at: int


class Report(NamedTuple):
    """The newest report of a target."""

    endpoint_key: str
    target_key: str
    target: str
    change: int
    state: str
    observed: str
    shares: str
    attempts: int
    detail: str
    at: int
    position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One endpoint, with the newest report of every target that ever told something, by the target's key."""

    row: Described
    reports: dict[str, Report] = field(default_factory=dict)

    @property
    def targets(self) -> list[str]:
        """Those it has now."""
        listed: list[str] = orjson.loads(self.row.targets)
        return listed

    def of_wanted(self, target: str) -> Report | None:
        """What a target told of the wanted change."""
        report = self.reports.get(target.lower())
        return report if report is not None and report.change == self.row.change else None

    @property
    def pending(self) -> list[str]:
        """The targets that are not done with the wanted change."""
        if not self.row.to_deploy:
            return []
        told = ((target, self.of_wanted(target)) for target in self.targets)
        return [target for target, report in told if report is None or report.state not in _DONE]

    @property
    def state(self) -> str:
        """The first of what ``wire.deployment_views.Endpoint`` lists."""
        row = self.row
        told = [report for target in self.targets if (report := self.of_wanted(target)) is not None]
        states = {
            "idle": row.how == CREATED,
            "failed": any(report.state == "failed" for report in told),
            "drifting": any(drifting(row.shares, report) for report in told),
            "pending": bool(self.pending),
            "retired": row.how == RETIRED,
            "untargeted": not self.targets,
        }
        return next((state for state, is_it in states.items() if is_it), "deployed")

    @property
    def serves(self) -> bool:
        """Whether something is to be served, or is."""
        return self.row.variants != NOTHING or any(report.observed != NOTHING for report in self.reports.values())

    def actual(self) -> list[dict[str, Any]]:
        """What each target told last, in the order of the endpoint's; then those it has no more that serve something."""
        listed = [self._actual(target) for target in self.targets]
        known = {target.lower() for target in self.targets}
        left = [r for key, r in sorted(self.reports.items()) if key not in known and r.observed != NOTHING]
        return [*listed, *(self._left(report) for report in left)]

    def _actual(self, target: str) -> dict[str, Any]:
        report = self.reports.get(target.lower())
        of_wanted = self.of_wanted(target)
        if of_wanted is not None:
            state, is_drifting = of_wanted.state, drifting(self.row.shares, of_wanted)
        else:
            state, is_drifting = "pending" if self.row.to_deploy else "idle", None
        return _told(target, self.row, report, state=state, listed=True, is_drifting=is_drifting)

    def _left(self, report: Report) -> dict[str, Any]:
        """It has the target no more: nothing is wanted there."""
        nothing = self.row._replace(shares=NOTHING, variants=NOTHING)
        return _told(report.target, nothing, report, state="unlisted", listed=False, is_drifting=True)


def drifting(shares: str, report: Report) -> bool | None:
    """Whether what runs is something else than these shares; None where the target does not say what runs."""
    if report.observed == NOTHING and shares != NOTHING:
        return None
    return report.shares != shares


def _told(
    target: str, row: Described, report: Report | None, *, state: str, listed: bool, is_drifting: bool | None
) -> dict[str, Any]:
    said = report is not None and (report.observed != NOTHING or row.shares == NOTHING)
    return {
        "target": target,
        "listed": listed,
        "state": state,
        "change": None if report is None else report.change,
        "reported": None if report is None else report.state,
        "observed": raw(NOTHING if report is None else report.observed),
        "drifting": is_drifting,
        "differences": list(_differences(row, report)) if said and report is not None else [],
        "attempts": None if report is None else report.attempts,
        "detail": None if report is None else report.detail,
        "at": None if report is None else moment(report.at),
        "position": None if report is None else report.position,
    }


def _differences(row: Described, report: Report) -> Iterator[dict[str, Any]]:
    if row.shares == report.shares:
        return
    variants = [*orjson.loads(report.observed), *orjson.loads(row.variants)]
    versions = {variant["artifact_digest"]: variant["version"] for variant in variants}
    wanted, observed = ({share[:2]: share for share in read_shares(text)} for text in (row.shares, report.shares))
    for key in sorted(wanted.keys() | observed.keys()):
        region, digest = key
        nothing = Share(region, digest, 0, 0)
        want, see = wanted.get(key, nothing), observed.get(key, nothing)
        for aspect in ("weight", "mirror"):
            before, after = getattr(want, aspect), getattr(see, aspect)
            if before != after:
                yield {
                    "what": "missing" if see == nothing else "unexpected" if want == nothing else aspect,
                    "version": versions.get(digest),
                    "artifact_digest": digest,
                    "region": region or None,
                    "wanted": before / HUNDREDTHS,
                    "observed": after / HUNDREDTHS,
                }


def standings(reader: Reader, keys: Sequence[str], at: int | None) -> dict[str, Standing]:
    """These endpoints, by key; those that were not there at the moment are left out."""
    if not keys:
        return {}
    rows = reader.rows(_described(at).format(marks=marks(len(keys))), keys)
    found = {row[0]: Standing(Described(*row)) for row in rows}
    for row in reader.rows(_reports(at).format(marks=marks(len(keys))), keys):
        if row[0] in found:
            found[row[0]].reports[row[1]] = Report(*row)
    return found


def _described(at: int | None) -> str:
    end = FOREVER if at is None else at
    last = f"FROM events_v1 v WHERE v.stream = 'endpoint/' || e.endpoint_key AND v.position <= {end} ORDER BY v.position DESC LIMIT 1"
    return (
        "SELECT e.endpoint_key, e.environment, e.endpoint, e.model_key, e.model, e.targets, e.follow, e.automatic, "
        "e.guardrails, e.description, c.sequence, c.how, c.to_deploy, c.variants, c.canary, c.shares, c.restores, c.since, "
        f"c.from_position, c.actor, c.reason, c.cause, (SELECT v.sequence {last}), (SELECT v.time {last}) "
        f"FROM endpoints_v1 e CROSS JOIN {joined('endpoint_changes_v1', 'c', at, endpoint_key='e.endpoint_key')} "
        f"WHERE e.endpoint_key IN ({{marks}}) AND {holds('e', at)} ORDER BY e.endpoint_key"
    )


def _reports(at: int | None) -> str:
    key = {"endpoint_key": "p.endpoint_key", "target_key": "p.target_key"}
    return (
        "SELECT r.endpoint_key, r.target_key, r.target, r.change, r.state, r.observed, r.shares, r.attempts, r.detail, "
        f"r.since, r.from_position FROM endpoint_reporters_v1 p CROSS JOIN {joined('endpoint_reports_v1', 'r', at, **key)} "
        "WHERE p.endpoint_key IN ({marks})"
    )


def state_query(conditions: Sequence[str], at: int | None, state: str) -> str:
    """The keys of the endpoints in a state, or with a target in it, by key. Parameters: those of the conditions on ``e``, how many."""
    change = joined("endpoint_changes_v1", "c", at, endpoint_key="e.endpoint_key")
    reports = joined("endpoint_reports_v1", "r", at, endpoint_key="p.endpoint_key", target_key="p.target_key")
    name = f"'{SEPARATOR}' || r.target_key || '{SEPARATOR}'"
    return (
        f"SELECT e.endpoint_key FROM endpoints_v1 e JOIN {change} "
        "LEFT JOIN endpoint_reporters_v1 p ON p.endpoint_key = e.endpoint_key "
        f"LEFT JOIN {reports} AND r.change = c.sequence AND replace(e.target_keys, {name}, '') <> e.target_keys "
        f"WHERE {' AND '.join([holds('e', at), *conditions])} "
        f"GROUP BY e.endpoint_key, e.target_count, c.how, c.to_deploy, c.shares HAVING {_HAVING[state]} "
        "ORDER BY e.endpoint_key LIMIT ?"
    )


def _having() -> dict[str, str]:
    done = ", ".join(f"'{state}'" for state in _DONE)
    of_targets = {
        "failed": "count(CASE WHEN r.state = 'failed' THEN 1 END) > 0",
        "drifting": f"count(CASE WHEN r.observed <> '{NOTHING}' AND r.shares <> c.shares THEN 1 END) > 0",
        "pending": f"c.to_deploy = 1 AND e.target_count > count(CASE WHEN r.state IN ({done}) THEN 1 END)",
    }
    cases = {
        f"c.how = '{CREATED}'": "idle",
        " OR ".join(of_targets.values()): "",
        f"c.how = '{RETIRED}'": "retired",
        "e.target_count = 0": "untargeted",
    }
    whens = " ".join(f"WHEN {condition} THEN '{state}'" for condition, state in cases.items())
    word = f"CASE {whens} ELSE 'deployed' END"
    return {
        **{state: f"{word} = '{state}'" for state in STATES},
        **{state: f"c.how <> '{CREATED}' AND {condition}" for state, condition in of_targets.items()},
    }


_HAVING = _having()


def wanted(row: Described) -> dict[str, Any]:
    """What is to be served, and since which change."""
    return {
        "change": None if row.how == CREATED else row.change,
        "how": None if row.how == CREATED else row.how,
        "variants": raw(row.variants),
        "canary": None if row.canary is None else raw(row.canary),
        "restores": row.restores,
        "since": moment(row.since),
        "since_position": row.since_position,
        "actor": row.actor,
        "reason": row.reason,
        "cause": row.cause,
    }


def serving(standing: Standing) -> Mapping[str, Any]:
    """The endpoint as ``/v1/production`` shows it."""
    row = standing.row
    return {
        "environment": row.environment,
        "endpoint": row.endpoint,
        "retired": row.how == RETIRED,
        "state": standing.state,
        "change": None if row.how == CREATED else row.change,
        "since": moment(row.since),
        "since_position": row.since_position,
        "desired": raw(row.variants),
        "canary": None if row.canary is None else raw(row.canary),
        "actual": standing.actual(),
    }
