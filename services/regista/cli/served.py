"""What is served, in words: variants, what is wanted and what runs, and the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regista.cli.printer import cell, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regista.cli.shell import Shell
    from regista.wire import deployment_views as v
    from regista.wire import deployments as d
    from regista.wire import inference as i

NOTHING = "nothing"


def share(percent: float) -> str:
    """A share as people write it."""
    return f"{percent:g} %"


def variant(one: d.Variant | d.Observed) -> str:
    """A variant in a few words: ``1.5.0 canary 10 % in eu``."""
    name = one.version or f"unknown {short(one.artifact_digest)}"
    role = "" if one.role in {"champion", "unknown"} else f" {one.role}"
    part = f"mirrored {share(one.mirror)}" if one.role == "shadow" else share(one.weight)
    return f"{name}{role} {part}" + (f" in {one.region}" if one.region else "")


def measured(one: i.VariantMetrics) -> str:
    """A variant that is measured: ``1.5.0 canary in eu``."""
    return f"{one.version} {one.role}" + (f" in {one.region}" if one.region else "")


def variants(found: Sequence[d.Variant | d.Observed]) -> str:
    """All of a set; a champion alone by its number."""
    if len({(one.version, one.artifact_digest, one.role, one.weight) for one in found}) == 1:
        [one, *_] = found
        if one.role == "champion" and one.weight == 100 and one.version:
            return one.version
    return ", ".join(map(variant, found)) or NOTHING


def canary(found: d.Canary | None) -> str | None:
    """Where a schedule stands, and what it waits for."""
    if found is None:
        return None
    now = found.steps[found.step - 1]
    steps = " → ".join(share(step.weight) for step in found.steps)
    holds = [f"{now.hold_seconds} s" if now.hold_seconds else "", _requests(now.minimum_requests)]
    waits = " and ".join(filter(None, holds))
    return f"{found.version}: step {found.step} of {len(found.steps)} ({steps})" + (f", for {waits}" if waits else "")


def guardrail(one: d.GuardrailKept) -> str:
    """A bound as it is written on the command line."""
    sign = "<=" if one.limit == "maximum" else ">="
    times = "x champion" if one.relative_to_champion else ""
    return f"{one.metric}{sign}{one.value:g}{times} min={one.minimum_samples}"


def difference(one: v.Drift) -> str:
    """A share that is not as wanted."""
    name = one.version or f"an unknown version ({short(one.artifact_digest)})"
    where = f" in {one.region}" if one.region else ""
    match one.what:
        case "missing":
            return f"{name}{where} is to get {share(one.wanted)} and gets nothing"
        case "unexpected":
            return f"{name}{where} gets {share(one.observed)} and is not wanted"
        case "mirror":
            return f"{name}{where} is mirrored {share(one.observed)}, not {share(one.wanted)}"
    return f"{name}{where} gets {share(one.observed)}, not {share(one.wanted)}"


def actual(one: v.Actual) -> str:
    """What a target told, and what is wrong there."""
    known = [variant(seen) for seen in one.observed]
    told = ", ".join(known) if known else ("" if one.reported is None else "does not say what runs")
    parts = [told, *map(difference, one.differences)]
    if one.state == "failed" and one.detail:
        parts.append(one.detail)
    if not one.listed:
        parts.append("is no target of this endpoint any more")
    return "; ".join(filter(None, parts)) or "has told of nothing yet"


def print_written(shell: Shell, written: d.EndpointWritten, what: str) -> None:
    """What a write on an endpoint did."""
    if shell.out.as_json:
        shell.out.json(written)
        return
    again = " (done before)" if written.replayed else ""
    shell.out.line(f"{written.environment}/{written.endpoint}  {what}{again}")
    details: list[tuple[str, Any]] = [
        ("  serves", variants(written.variants)),
        ("  canary", canary(written.canary)),
        ("  targets", written.targets),
        ("  change", written.change),
        ("  position", written.position),
        ("  hash", written.hash),
    ]
    shell.out.fields(details)


def print_endpoint(shell: Shell, found: v.Endpoint) -> None:
    """An endpoint: what is wanted, and what each target told."""
    shell.out.line(f"{found.environment}/{found.endpoint}   {found.state}", style="bold")
    wanted = found.wanted
    shell.out.fields(
        [
            ("model", found.model),
            ("description", found.description),
            ("follows", found.follow),
            ("automatic", found.automatic or None),
            ("guardrails", "\n".join(map(guardrail, found.guardrails))),
            ("wanted", variants(wanted.variants) if wanted.change else None),
            ("canary", canary(wanted.canary)),
            ("change", wanted.change and f"{wanted.change} ({(wanted.how or '').replace('-', ' ')})"),
            ("since", wanted.change and f"{cell(wanted.since)} by {wanted.actor}"),
            ("why", wanted.reason),
            ("because of", wanted.cause),
            ("pending", found.pending),
            ("refused", _refused(found.refused)),
            ("verdict", _verdict(found.concluded)),
            ("as of", found.at and f"position {found.at}"),
        ]
    )
    if found.actual:
        shell.out.line()
        rows = ((a.target, a.state, a.change, a.at, actual(a)) for a in found.actual)
        shell.out.table(("target", "state", "change", "told", "runs"), rows)


def print_endpoints(shell: Shell, found: Iterable[v.Endpoint], *, empty: str) -> None:
    """A table of endpoints."""
    rows = (
        (
            f"{e.environment}/{e.endpoint}",
            e.model,
            e.state,
            variants(e.wanted.variants),
            e.follow,
            e.pending,
            e.wanted.since if e.wanted.change else None,
        )
        for e in found
    )
    shell.out.table(("endpoint", "model", "state", "wanted", "follows", "pending", "since"), rows, empty=empty)


def print_serving(shell: Shell, endpoints: Iterable[v.Endpoint], version: str | None) -> None:
    """Where a model, or one version of it, is to be served; nothing where it is not."""
    found = [
        (one, wanted)
        for one in endpoints
        if not one.retired
        if (wanted := [v for v in one.wanted.variants if version in {None, v.version}]) or version is None
    ]
    if found:
        shell.out.line()
        rows = ((f"{one.environment}/{one.endpoint}", one.state, variants(wanted), one.follow) for one, wanted in found)
        shell.out.table(("endpoint", "state", "wanted", "follows"), rows)


def _requests(count: int) -> str:
    return f"{count} requests" if count else ""


def _refused(found: v.Refused | None) -> str | None:
    if found is None or found.outdated:
        return None
    reasons = "\n".join(f"- {reason.detail}" for reason in found.reasons)
    return f"{found.followed} names {found.version}, which was not let in:\n{reasons}"


def _verdict(found: v.Concluded | None) -> str | None:
    if found is None or found.outdated:
        return None
    step = f" on step {found.step}" if found.step else ""
    return "\n".join([f"{found.verdict.replace('_', ' ')}{step}, by {found.actor}", *found.explanation])
