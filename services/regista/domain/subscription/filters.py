"""Which events a subscription is for: names as they stand in events, and what is wrong with those that do not.

``*`` stands for any characters, none as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

from regista.domain.errors import Reason
from regista.domain.events import EVENT_TYPES

MAX_NAMES: Final = 1_000
"""In one filter."""
_SHORT: Final = {name.removeprefix("regista.").rpartition(".")[0]: name for name in EVENT_TYPES}
_NAME: Final = re.compile(r"[a-z0-9*](?:[a-z0-9._*-]{0,126}[a-z0-9*])?", re.ASCII)
_STREAM: Final = re.compile(rf"[a-z*]+(?:/{_NAME.pattern}){{1,2}}", re.ASCII)
_ACTOR: Final = re.compile(r"[^\s<>]{1,256}")
_HINTED: Final = 3
"""Of so many names it is looked for what was meant."""


def fits(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Whether a text is what a pattern says, ``fold``: whatever its case. Takes no longer for many stars than for one."""
    if "*" not in pattern:
        return pattern.lower() == text.lower() if fold else pattern == text
    return _compiled(pattern, re.IGNORECASE if fold else re.NOFLAG).fullmatch(text) is not None


@lru_cache(4096)
def _compiled(pattern: str, flags: re.RegexFlag) -> re.Pattern[str]:
    """Each part is looked for behind the one before it, and never again further on: what ``fnmatch`` does, too."""
    first, *middle, last = map(re.escape, pattern.split("*"))
    return re.compile(first + "".join(f"(?>.*?{part})" for part in middle if part) + ".*" + last, flags | re.DOTALL)


def full_type(name: str) -> str:
    """The CloudEvents type of a name; ``version.promoted`` is short for ``regista.version.promoted.v1``."""
    return _SHORT.get(name, name)


def type_problems(types: Iterable[str]) -> Iterator[Reason]:
    """Why what is named is no type of event that this release knows: a typing error would wait for ever.

    ``*`` stands for any characters, in the short name or in the full one.
    """
    wrong = ((i, name) for i, name in enumerate(types) if not any(fits(name, t) for t in (*_SHORT, *EVENT_TYPES)))
    for number, (i, name) in enumerate(wrong):
        near = get_close_matches(name[:80], [*_SHORT, *EVENT_TYPES], 3) if number < _HINTED else []
        detail, hint = f"{name[:80]!r} is no type of event", f"There is {', '.join(near or sorted(_SHORT))}."
        yield Reason("unknown_type", detail, f"types[{i}]", hint)


def model_problems(models: Iterable[str]) -> Iterator[Reason]:
    """Why what is named can be no model."""
    return _unfit(models, "models", _NAME, "bad_name", "no model name", "Write it as it is registered: fraud, fraud-*.")


def environment_problems(environments: Iterable[str]) -> Iterator[Reason]:
    """Why what is named can be no environment."""
    return _unfit(environments, "environments", _NAME, "bad_name", "no environment name", "Write it as it is: prod.")


def stream_problems(streams: Iterable[str]) -> Iterator[Reason]:
    """Why what is named can be no stream."""
    hint = "Write its kind and its name: model/fraud, endpoint/prod/fraud, endpoint/prod/*."
    return _unfit(streams, "streams", _STREAM, "bad_stream", "no stream", hint)


def actor_problems(actors: Iterable[str]) -> Iterator[Reason]:
    """Why what is named can be no actor."""
    return _unfit(actors, "actors", _ACTOR, "bad_actor", "no actor", "An actor is an identifier without blanks.")


def size_problems(names: tuple[str, ...], field: str) -> Iterator[Reason]:
    """Whether there are too many."""
    if len(names) > MAX_NAMES:
        yield Reason("too_many_names", f"{field} has over {MAX_NAMES}", field, "Make two subscriptions of it.")


def _unfit(
    names: Iterable[str], field: str, form: re.Pattern[str], code: str, what: str, hint: str
) -> Iterator[Reason]:
    for i, name in enumerate(names):
        if form.fullmatch(name) is None or not name.isprintable():
            yield Reason(code, f"{name[:160]!r} is {what}", f"{field}[{i}]", hint)
