"""Version numbers: Semantic Versioning 2.0.0 without build metadata.

Source: https://semver.org, sections 2, 9 and 11 (precedence).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Literal, TypeAlias

from regista.domain.errors import Invalid

Level: TypeAlias = Literal["major", "minor", "patch"]
Precedence: TypeAlias = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]

_IDENTIFIER = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_NUMBER = re.compile(
    rf"v?(0|[1-9][0-9]{{0,8}})\.(0|[1-9][0-9]{{0,8}})\.(0|[1-9][0-9]{{0,8}})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?",
    re.ASCII,
)
_MAX_LENGTH = 128


@total_ordering
@dataclass(frozen=True, slots=True)
class VersionNumber:
    """A version number; ordered by precedence, so that a pre-release comes before its release."""

    major: int
    minor: int
    patch: int
    prerelease: tuple[int | str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> VersionNumber:
        """Read ``1.4.0``, ``v1.4.0`` or ``1.4.0-rc.1``.

        Raises:
            Invalid: ``bad_version``, when it is anything else, build metadata included.
        """
        match = _NUMBER.fullmatch(text) if len(text) <= _MAX_LENGTH else None
        if match is None:
            raise Invalid(
                f"{text[:_MAX_LENGTH]!r} is not a version number",
                code="bad_version",
                hint="Use MAJOR.MINOR.PATCH, maybe with a pre-release: 1.4.0 or 1.5.0-rc.1. Build metadata is not kept.",
            )
        major, minor, patch, prerelease = match.groups()
        parts = tuple(int(p) if p.isdecimal() else p for p in prerelease.split(".")) if prerelease else ()
        return cls(int(major), int(minor), int(patch), parts)

    def bump(self, level: Level) -> VersionNumber:
        """The next release of this level. From a pre-release: its own release, where that is enough."""
        if level == "major":
            done = self.prerelease and (self.minor, self.patch) == (0, 0)
            return VersionNumber(self.major if done else self.major + 1, 0, 0)
        if level == "minor":
            done = self.prerelease and self.patch == 0
            return VersionNumber(self.major, self.minor if done else self.minor + 1, 0)
        return VersionNumber(self.major, self.minor, self.patch if self.prerelease else self.patch + 1)

    @property
    def precedence(self) -> Precedence:
        """The sort key of SemVer 11: numbers before words, fewer fields before more, a release last."""
        if not self.prerelease:
            return (self.major, self.minor, self.patch, True, ())
        fields = tuple((isinstance(p, str), p if isinstance(p, int) else 0, str(p)) for p in self.prerelease)
        return (self.major, self.minor, self.patch, False, fields)

    def __lt__(self, other: VersionNumber) -> bool:
        mine, others = (self.major, self.minor, self.patch), (other.major, other.minor, other.patch)
        return mine < others if mine != others else self.precedence < other.precedence

    def __str__(self) -> str:
        release = f"{self.major}.{self.minor}.{self.patch}"
        return f"{release}-{'.'.join(map(str, self.prerelease))}" if self.prerelease else release


def looks_like_version(text: str) -> bool:
    """Whether a text could be taken for a number or an ordinal: ``1``, ``v2``, ``1.4``, ``1.4.0-rc.1``."""
    return re.fullmatch(r"v?[0-9]+(\.[0-9]+)*([-+].*)?", text, re.ASCII | re.IGNORECASE) is not None
