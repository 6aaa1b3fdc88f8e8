"""What the settings of a target may hold: one JSON object, and no secret, since events are kept for ever."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from regista.domain.errors import Reason

MAX_SETTINGS = 65_536
"""Characters."""
DEEPEST = 32
_SECRET_NAME = re.compile(
    r"(?:^|[^a-z])(?:password|passwd|secret|token|api[_-]?key|private[_-]?key|access[_-]?key|authorization|credentials?)$",
    re.IGNORECASE,
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
"""Where a word begins in ``apiToken``."""
_CREDENTIALS_IN_URL = re.compile(r"://[^/?#\s@]*:[^/?#\s@]+@")
_HINT = "Give it among the secrets: they are kept apart, and can be erased."


def setting_problems(settings: str) -> Iterator[Reason]:
    """Why a text is not the settings of a target."""
    hint = 'Give one JSON object, for example {"path": "/etc/nginx/conf.d"}.'
    if len(settings) > MAX_SETTINGS:
        yield Reason("bad_settings", f"the settings have over {MAX_SETTINGS} characters", "settings", hint)
        return
    try:
        value = json.loads(settings, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        yield Reason("bad_settings", "the settings are not JSON", "settings", hint)
        return
    if not isinstance(value, dict):
        yield Reason("bad_settings", "the settings are not a JSON object", "settings", hint)
        return
    yield from _secrets_within(value, "settings", DEEPEST)


def _secrets_within(value: object, path: str, depth: int) -> Iterator[Reason]:
    if depth == 0:
        yield Reason(
            "bad_settings", "the settings are nested too deeply", "settings", f"Nest {DEEPEST} levels at most."
        )
    elif isinstance(value, dict):
        for key, inner in value.items():
            below = f"{path}.{key}"
            if isinstance(inner, str) and inner and _SECRET_NAME.search(_HUMP.sub("_", key)):
                yield Reason("secret_in_settings", f"{below} looks like a secret", below, _HINT)
            else:
                yield from _secrets_within(inner, below, depth - 1)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _secrets_within(inner, f"{path}[{i}]", depth - 1)
    elif isinstance(value, str) and _CREDENTIALS_IN_URL.search(value):
        yield Reason("secret_in_settings", f"{path} has a password in its address", path, _HINT)


def _refuse_constant(name: str) -> None:
    msg = f"{name} is not JSON"
    raise ValueError(msg)
