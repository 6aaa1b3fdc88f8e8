"""Which number a new version gets, and whether a number that was asked for fits.

MAJOR: the interface breaks. MINOR: retrained, new data, changed hyperparameters, or the interface grew. PATCH:
configuration, calibration, thresholds over the same weights. While MAJOR is 0 a break raises MINOR (SemVer 4).
"""

from __future__ import annotations

from dataclasses import dataclass

from regista.domain.events import Numbering
from regista.domain.metadata import Signature
from regista.domain.ordered import Numbers
from regista.domain.signatures import InterfaceChange, compare
from regista.domain.versions import Level, VersionNumber

AUTO = "auto"
FIRST = VersionNumber(1, 0, 0)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """What of a version decides its number."""

    signature: Signature | None
    weights_digest: str | None
    change: str | None


@dataclass(frozen=True, slots=True)
class Base:
    """The version that a new one is compared with."""

    number: VersionNumber
    signature: Signature | None
    weights_digest: str | None


def choose(candidate: Candidate, base: Base | None, taken: Numbers) -> tuple[str, Numbering]:
    """The number for ``auto``: the next of the level that the change calls for, behind all of its line, and why."""
    if base is None:
        return str(FIRST), Numbering(AUTO, "first", None, ("The first version of a model is 1.0.0.",))
    level, explanation = required_level(candidate, base)
    number = base.number.bump(level)
    highest = taken.highest_beside(base.number, level)
    if highest is not None and not highest < number:
        number = highest.bump(level)
        explanation.append(f"{highest} is there already: {number} follows it.")
    return str(number), Numbering(AUTO, level, str(base.number), tuple(explanation))


def required_level(candidate: Candidate, base: Base) -> tuple[Level, list[str]]:
    """The least level that the change calls for, and the sentences that say why."""
    compared = f"Compared with {base.number}: "
    change = _interface(candidate, base)
    if change is not None and change.breaking:
        return _breaking(base), [compared + _listed(change.breaking) + ". The interface breaks."]
    if candidate.change == "interface":
        return _breaking(base), [compared + "a change of the interface was declared."]
    if change is None:
        return _unsigned(candidate, base, compared)
    if change.compatible:
        return "minor", [compared + _listed(change.compatible) + ". Callers are not affected."]
    if candidate.change == "retrained":
        return "minor", [compared + "retraining was declared."]
    if candidate.change == "configuration":
        return "patch", [compared + "same interface, and only configuration was declared to have changed."]
    if candidate.weights_digest is not None and candidate.weights_digest == base.weights_digest:
        return "patch", [compared + "same interface and same weights."]
    return "minor", [compared + "same interface, other weights or weights not told apart: taken as retrained."]


def contradiction(number: VersionNumber, candidate: Candidate, base: Base) -> str | None:
    """Why the signature forbids this number after ``base``; None where it does not."""
    change = _interface(candidate, base)
    if change is None:
        return None
    if change.breaking and not _at_least(number, base.number, _breaking(base)):
        least = base.number.bump(_breaking(base))
        return f"compared with {base.number}: {_listed(change.breaking)}. That calls for {least} or higher"
    if change.compatible and not _at_least(number, base.number, "minor"):
        least = base.number.bump("minor")
        return f"compared with {base.number}: {_listed(change.compatible)}. That calls for {least} or higher"
    return None


def _interface(candidate: Candidate, base: Base) -> InterfaceChange | None:
    if candidate.signature is None or base.signature is None:
        return None
    if base.signature == candidate.signature:
        return InterfaceChange()
    return compare(base.signature, candidate.signature)


def _unsigned(candidate: Candidate, base: Base, compared: str) -> tuple[Level, list[str]]:
    missing = "this version" if candidate.signature is None else str(base.number)
    sentence = f"{compared}{missing} has no signature, so a PATCH is never picked; taken as retrained."
    return "minor", [sentence]


def _breaking(base: Base) -> Level:
    return "minor" if base.number.major == 0 else "major"


def _at_least(number: VersionNumber, base: VersionNumber, level: Level) -> bool:
    least = base.bump(level)
    return (number.major, number.minor, number.patch) >= (least.major, least.minor, least.patch)


def _listed(changes: tuple[str, ...]) -> str:
    """The first few, and how many more: an event keeps this sentence for ever."""
    more = len(changes) - _SHOWN
    return "; ".join(changes[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
