"""Finding versions by reference in the decision state, and the checks that many commands share."""

from __future__ import annotations

from itertools import islice

from regista.domain import references as r
from regista.domain.commands import UNSET, Expectation
from regista.domain.errors import NotFound, PreconditionFailed, Reason, Refused, Retired
from regista.domain.model.state import ModelState, VersionState, sharers

LISTED = 20
"""How many versions a refusal names at most."""
_NO_ORDINAL = 0


def open_model(state: ModelState, name: str) -> None:
    """Check that the model exists and takes writes.

    Raises:
        NotFound: ``unknown_model``.
        Retired: ``model_retired``.
    """
    if not state.exists:
        raise unknown_model(name)
    if state.retired:
        raise Retired(
            f"model {state.name} is retired",
            code="model_retired",
            hint=f"regista revive {state.name} makes it take writes again.",
        )


def unknown_model(name: str) -> NotFound:
    """The refusal of a model that was never registered."""
    return NotFound(
        f"there is no model {name}",
        code="unknown_model",
        hint=f"POST /v1/models with name {name!r} registers it; regista register does so by itself.",
    )


def stage_name(text: str) -> str:
    """A stage as the state knows it, from ``Production``, ``@production`` or ``stage:production``."""
    return text.lower().removeprefix("stage:").removeprefix("@")


def find_version(state: ModelState, ref: str) -> VersionState:
    """The version that a reference names.

    Raises:
        Invalid: ``bad_reference``.
        NotFound: ``unknown_version``.
        Refused: ``ambiguous_reference``, when several versions share the digest.
    """
    parsed = r.parse_reference(ref)
    ordinal = _ordinal_of(state, parsed)
    if ordinal is None or ordinal not in state.versions:
        newest = f"; the highest is {state.highest.number}" if state.highest is not None else "; it has none yet"
        raise NotFound(
            f"{state.name} has no version {ref}{newest}",
            code="unknown_version",
            hint=f"GET /v1/models/{state.name}/versions lists them.",
        )
    return state.versions[ordinal]


def _ordinal_of(state: ModelState, parsed: r.Reference) -> int | None:
    match parsed:
        case r.ByNumber(version):
            return state.numbers.get(version)
        case r.ByOrdinal(ordinal):
            return ordinal
        case r.ByAlias(alias):
            return state.aliases.get(alias)
        case r.ByStage(stage):
            return state.current(stage)
        case r.ByDigest(digest):
            return _by_digest(state, digest)


def _by_digest(state: ModelState, digest: str) -> int | None:
    sharing = state.digests.get(digest)
    if sharing is None or isinstance(sharing, int):
        return sharing
    newest = list(islice(sharers(sharing), LISTED + 1))
    numbers = [str(state.versions[ordinal].number) for ordinal in newest[:LISTED]]
    more = " and more" if len(newest) > LISTED else ""
    raise Refused(
        f"{digest} is in several versions: {', '.join(numbers)}{more}",
        code="ambiguous_reference",
        hint="Name one of them by its number.",
        reasons=[Reason("shared_digest", f"{state.name} {number} has these bytes", "ref") for number in numbers],
    )


def check_expectation(state: ModelState, expected: Expectation, current: int | None, what: str) -> None:
    """Check that ``current`` is the version that the caller believes to be there.

    Raises:
        PreconditionFailed: ``expectation_failed``, naming what is there.
    """
    if expected is UNSET or _expected_ordinal(state, expected) == current:
        return
    there = "nobody" if current is None else str(state.versions[current].number)
    raise PreconditionFailed(
        f"{what} is held by {there}, not by {'nobody' if expected is None else expected}",
        code="expectation_failed",
        hint="Somebody was faster. Look again, and decide anew.",
    )


def _expected_ordinal(state: ModelState, expected: str | None) -> int | None:
    """The version expected; None for nobody, and a number that no version has for one that does not exist."""
    if expected is None:
        return None
    try:
        return find_version(state, expected).ordinal
    except NotFound:
        return _NO_ORDINAL
