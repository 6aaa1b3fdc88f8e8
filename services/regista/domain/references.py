"""Names, stream ids and version references: how the things of the registry are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from regista.domain.errors import Invalid
from regista.domain.versions import VersionNumber, looks_like_version

DEFAULT_STAGES = ("candidate", "staging", "production", "archived")
"""The life cycle of the default policy, in order."""

_WORDS = frozenset({"latest", "none", "stage"})
"""What no alias is called: a moving target, nobody (``expect_current``), and how references to stages begin."""
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
MAX_IDENTIFIER = 256
"""Characters."""
_IDENTIFIER = re.compile(rf"[^\s<>]{{1,{MAX_IDENTIFIER}}}")
_MAX_ORDINAL_DIGITS = 10


@dataclass(frozen=True, slots=True)
class ByNumber:
    """``1.4.0`` or ``v1.4.0``."""

    version: str


@dataclass(frozen=True, slots=True)
class ByOrdinal:
    """``7``: the seventh version of the model."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class ByAlias:
    """``@champion``. The name is kept in lower case."""

    alias: str


@dataclass(frozen=True, slots=True)
class ByStage:
    """``@production`` or ``stage:x``: the holder promoted last."""

    stage: str


@dataclass(frozen=True, slots=True)
class ByDigest:
    """``sha256:…`` of the manifest or of one file."""

    digest: str


Reference: TypeAlias = ByNumber | ByOrdinal | ByAlias | ByStage | ByDigest


def check_name(name: str, what: str = "name") -> str:
    """Return the name where it is one.

    Raises:
        Invalid: ``bad_name``.
    """
    if _NAME.fullmatch(name) is None:
        raise Invalid(
            f"{name[:160]!r} is no {what}",
            code="bad_name",
            hint="1 to 128 of A-Z a-z 0-9 . _ - with a letter or digit first and last; free text goes into the title.",
        )
    return name


def check_model_name(name: str) -> str:
    """As ``check_name``, and where a version was named with it, ``iris@production``, the hint says how that is done."""
    try:
        return check_name(name, "model name")
    except Invalid as error:
        model, at, ref = name.partition("@")
        if at and _NAME.fullmatch(model):
            error.hint = f"A version is named apart from its model: {model} @{ref[:160]}"
        raise


def is_identifier(text: str) -> bool:
    """Whether a text can name a person or a service: no blanks, nothing that a terminal would not print.

    ``Ann Example <ann@example.org>`` is none: events are kept for ever, and hold identifiers, not names and addresses.
    """
    return text.isprintable() and _IDENTIFIER.fullmatch(text) is not None


def model_stream(name: str) -> str:
    """The stream of a model: its name in lower case, so that the first append decides who has it."""
    return f"model/{check_model_name(name).lower()}"


def environment_stream(name: str) -> str:
    """The stream of an environment, by its name in lower case."""
    return f"environment/{check_name(name, 'environment name').lower()}"


def target_stream(name: str) -> str:
    """The stream of a target, by its name in lower case."""
    return f"target/{check_name(name, 'target name').lower()}"


def endpoint_stream(environment: str, name: str) -> str:
    """The stream of an endpoint, by the names of its environment and its own in lower case."""
    checked = check_name(environment, "environment name"), check_name(name, "endpoint name")
    return f"endpoint/{'/'.join(checked).lower()}"


def subscription_stream(name: str) -> str:
    """The stream of a subscription, by its id in lower case."""
    return f"subscription/{check_name(name, 'id of a subscription').lower()}"


def parse_endpoint(text: str) -> tuple[str, str]:
    """The environment and the name of ``prod/fraud``, as they are spelled there.

    Raises:
        Invalid: ``bad_endpoint``; ``bad_name`` where a part is no name.
    """
    environment, slash, name = text.partition("/")
    if not slash:
        raise Invalid(
            f"{text[:160]!r} names no endpoint",
            code="bad_endpoint",
            hint="Write environment and name with a slash between them: prod/fraud.",
        )
    return check_name(environment, "environment name"), check_name(name, "endpoint name")


def check_alias(alias: str) -> str:
    """Return the alias in lower case where it is one.

    Raises:
        Invalid: ``bad_alias``, when it could be taken for a stage, a version, nobody or ``latest``.
    """
    lowered = check_name(alias, "alias").lower()
    taken = lowered in DEFAULT_STAGES or lowered in _WORDS or looks_like_version(lowered)
    if taken:
        raise Invalid(
            f"an alias cannot be called {alias!r}",
            code="bad_alias",
            hint="Stages, 'latest', 'none', 'stage' and whatever looks like a version are taken. Use a word such as champion.",
        )
    return lowered


def check_digest(digest: str, field: str) -> str:
    """Return the digest where it is one.

    Raises:
        Invalid: ``bad_digest``.
    """
    if _DIGEST.fullmatch(digest) is None:
        raise Invalid(
            f"{field}: {digest[:100]!r} is not a digest",
            code="bad_digest",
            hint="Write sha256: and 64 hexadecimal digits in lower case.",
        )
    return digest


def parse_reference(text: str) -> Reference:
    """Read a version reference.

    Raises:
        Invalid: ``bad_reference``; ``bad_version``, ``bad_digest``, ``bad_alias`` or ``bad_name`` where it is plain what
            was meant. ``latest`` is refused by name, as it would mean another version every day.
    """
    if text.startswith("sha256:"):
        return ByDigest(check_digest(text, "reference"))
    if text.startswith("stage:"):
        return ByStage(check_name(text.removeprefix("stage:"), "stage").lower())
    if text.startswith("@"):
        return _parse_at(text.removeprefix("@").lower())
    if text.isascii() and text.isdecimal() and len(text) <= _MAX_ORDINAL_DIGITS and not text.startswith("0"):
        return ByOrdinal(int(text))
    if "." in text and looks_like_version(text):
        return ByNumber(str(VersionNumber.parse(text)))
    raise Invalid(
        f"{text[:160]!r} names no version",
        code="bad_reference",
        hint="Use a number (1.4.0), an ordinal (7), an alias (@champion), a stage (@production, stage:x) or a digest (sha256:…).",
    )


def _parse_at(name: str) -> Reference:
    if name in DEFAULT_STAGES:
        return ByStage(name)
    if name == "latest":
        raise Invalid(
            "'latest' is not a reference: it would mean another version every day",
            code="bad_reference",
            hint="Name a number, an alias or a stage; the list of versions shows the newest.",
        )
    return ByAlias(check_alias(name))
