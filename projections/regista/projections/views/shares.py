"""What is served, as JSON in percent, and as the shares of traffic by which wanted and observed are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import orjson

from regista.projections.decoding import Record
from regista.projections.views.versions import dumps

HUNDREDTHS = 100
NOTHING = "[]"


class Share(NamedTuple):
    """What the bytes of a digest get in a region, in hundredths of a percent: of the answers, and of the copies."""

    region: str
    artifact_digest: str
    weight: int
    mirror: int


def shares_of(variants: Iterable[Record]) -> str:
    """The shares of variants, wanted or observed, as sorted JSON. Equal texts: the same bytes get the same traffic.

    Versions of the same bytes count together, roles are but names, and what gets nothing does not count: a canary at 0 %
    is served or not, as the target likes.
    """
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for variant in variants:
        key = variant["region"] or "", variant["artifact_digest"]
        weight, mirror = found.get(key, (0, 0))
        found[key] = weight + variant["weight"], mirror + variant["mirror"]
    return dumps(sorted((*key, *share) for key, share in found.items() if any(share))).decode()


def read_shares(text: str) -> list[Share]:
    """The shares that ``shares_of`` wrote."""
    return [Share(*share) for share in orjson.loads(text)]


def variants_json(variants: Sequence[Record]) -> str:
    """Variants that are wanted, as the API shows them."""
    return dumps([_in_percent(variant) for variant in variants]).decode()


def observed_json(observed: Sequence[Record]) -> str:
    """Variants that run, as the API shows them. Not ``known``: no version of the model has the digest."""
    return dumps([{**_in_percent(seen), "known": seen["version"] is not None} for seen in observed]).decode()


def canary_json(canary: Record | None) -> str | None:
    """A schedule, as the API shows it."""
    if canary is None:
        return None
    steps = [{**step, "weight": step["weight"] / HUNDREDTHS} for step in canary["steps"]]
    return dumps({**canary, "steps": steps}).decode()


def _in_percent(variant: Record) -> dict[str, Any]:
    return {**variant, "weight": variant["weight"] / HUNDREDTHS, "mirror": variant["mirror"] / HUNDREDTHS}
