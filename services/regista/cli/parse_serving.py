"""Reading what says what is to be served: endpoints, variants, schedules of canaries, guardrails, settings, secrets."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import typer

from regista.cli import parse

_DURATION: Final = re.compile(r"(\d+)([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_GUARDRAIL: Final = re.compile(
    r"\s*([^\s<>=]+)\s*(<=|>=)\s*([^\sx]+)(\s*x\s*champion)?(?:\s+min=(\d+))?\s*", re.IGNORECASE
)
MINIMUM_SAMPLES: Final = 100
"""Of a guardrail that does not say how many it needs."""

Structure = dict[str, Any]


def is_endpoint(name: str) -> bool:
    """Whether a name is that of an endpoint: those of models have no slash."""
    return "/" in name


def endpoint(text: str) -> tuple[str, str]:
    """``ENVIRONMENT/NAME``."""
    environment, _, name = text.partition("/")
    if not environment or not name or "/" in name:
        raise typer.BadParameter(f"{text!r}: write ENVIRONMENT/NAME, such as prod/fraud", param_hint="ENDPOINT")
    return environment, name


def variant(text: str) -> Structure:
    """``REF=WEIGHT``, or ``REF`` alone: what the others leave."""
    ref, weight = _assigned(text, "VARIANT")
    return {"version": ref} if weight is None else {"version": ref, "weight": weight}


def shadow(text: str) -> Structure:
    """``REF``, or ``REF=SHARE`` of the requests."""
    ref, share = _assigned(text, "--shadow")
    return {"version": ref, "role": "shadow"} | ({} if share is None else {"mirror": share})


def canary(text: str) -> tuple[str, list[Structure]]:
    """``REF:STEP,STEP,…``, each step ``WEIGHT[/HOLD[/REQUESTS]]``."""
    ref, separator, steps = text.rpartition(":")
    if not separator or not ref:
        example = "write REF:WEIGHT/HOLD/REQUESTS,…, such as 1.5.0:5/10m/500,25/10m,100"
        raise typer.BadParameter(f"{text!r}: {example}", param_hint="--canary")
    return ref, [_step(step) for step in steps.split(",")]


def live_set(texts: Iterable[str], entering: tuple[str, list[Structure]] | None) -> list[Structure]:
    """The variants that answer. One without a weight gets what the others leave; ``entering`` is the canary of a schedule."""
    found = [variant(text) for text in texts]
    if entering is not None:
        ref, steps = entering
        own = next((one for one in found if one["version"] == ref), None)
        if own is None:
            found.append(own := {"version": ref})
        own.setdefault("weight", steps[0]["weight"])
        own["role"] = "canary"
    rest = [one for one in found if "weight" not in one]
    if len(rest) > 1:
        names = ", ".join(one["version"] for one in rest)
        raise typer.BadParameter(f"{names} have no weight: at most one gets what is left", param_hint="VARIANT")
    for one in rest:
        one["weight"] = max(0.0, round(100 - sum(other.get("weight", 0.0) for other in found), 2))
    return found


def guardrail(text: str) -> Structure:
    """``METRIC<=VALUE [min=SAMPLES]``, ``>=`` too; ``METRIC<=FACTORx champion``: as a multiple of the champion's."""
    found = _GUARDRAIL.fullmatch(text)
    try:
        value = float(found[3]) if found else None
    except ValueError:
        value = None
    if found is None or value is None:
        example = "write 'errors<=0.02 min=500' or 'latency_p95<=1.2x champion min=500'"
        raise typer.BadParameter(f"{text!r}: {example}", param_hint="--guardrail")
    return {
        "metric": found[1],
        "limit": "maximum" if found[2] == "<=" else "minimum",
        "value": value,
        "relative_to_champion": found[4] is not None,
        "minimum_samples": MINIMUM_SAMPLES if found[5] is None else int(found[5]),
    }


def settings(file: Path | None, texts: Iterable[str] | None) -> Structure:
    """A JSON object from a file, and ``--set KEY=VALUE`` over it; dots in a key lead into objects (``a.b=1``)."""
    found: Structure = {}
    if file is not None:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise typer.BadParameter(f"{file}: {error}", param_hint="--settings") from None
        if not isinstance(found, dict):
            raise typer.BadParameter(f"{file} is no JSON object", param_hint="--settings")
    for key, value in parse.pairs(texts, _json, "--set").items():
        *parents, last = key.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise typer.BadParameter(f"{key}: {parent} is no object", param_hint="--set")
        place[last] = value
    return found


def secrets(texts: Iterable[str] | None, forgotten: Iterable[str] | None = None) -> dict[str, str | None] | None:
    """``NAME=@FILE``, or ``NAME=-`` from stdin, without the newline at the end; None for those to forget, or for nothing.

    Never as the value itself: whoever lists the processes of the machine would read it.
    """
    found = parse.pairs(texts, str, "--secret")
    if list(found.values()).count("-") > 1:
        raise typer.BadParameter("stdin has one secret only", param_hint="--secret")
    given: dict[str, str | None] = {name: _secret(name, source) for name, source in found.items()}
    if both := given.keys() & set(forgotten or ()):
        raise typer.BadParameter(f"{', '.join(sorted(both))}: give it, or forget it", param_hint="--forget-secret")
    return {**dict.fromkeys(forgotten or ()), **given} or None


def secret(source: str, option: str = "--secret") -> str:
    """A secret from ``@FILE`` or ``-``."""
    return _secret("it", source, option)


def seconds(text: str, option: str) -> int:
    """A duration: ``90``, ``10m``, ``12h``, ``1d``."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r}: write a duration such as 90s, 10m, 12h or 1d", param_hint=option)
    return int(found[1]) * _SECONDS[found[2]]


def _secret(name: str, source: str, option: str = "--secret") -> str:
    if source == "-":
        return sys.stdin.read().rstrip("\r\n")
    if not source.startswith("@"):
        raise typer.BadParameter(
            f"{name} is to come from a file (@FILE) or from stdin (-): arguments can be read by others",
            param_hint=option,
        )
    try:
        return Path(source[1:]).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{name}: {error}", param_hint=option) from None


def _assigned(text: str, option: str) -> tuple[str, float | None]:
    ref, separator, share = text.rpartition("=")
    if not separator:
        return text, None
    percent = _percent(share)
    if not ref or percent is None:
        raise typer.BadParameter(f"{text!r}: write REF=PERCENT, such as 1.5.0=10", param_hint=option)
    return ref, percent


def _percent(text: str) -> float | None:
    try:
        return float(text.strip().removesuffix("%"))
    except ValueError:
        return None


def _step(text: str) -> Structure:
    weight, _, more = text.partition("/")
    hold, _, requests = more.partition("/")
    percent, duration = _percent(weight), _DURATION.fullmatch(hold.strip() or "0")
    if percent is None or duration is None or not (requests.strip() or "0").isdecimal():
        hint = "a step is WEIGHT[/HOLD[/REQUESTS]], such as 5/10m/500; HOLD in s, m, h or d"
        raise typer.BadParameter(f"{text!r}: {hint}", param_hint="--canary")
    return {
        "weight": percent,
        "hold_seconds": int(duration[1]) * _SECONDS[duration[2]],
        "minimum_requests": int(requests or "0"),
    }


def _json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(text)
    except ValueError:
        return text
