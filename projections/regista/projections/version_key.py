"""Version numbers as text that sorts by precedence, byte by byte (SemVer 2.0.0, section 11)."""

from __future__ import annotations

from functools import lru_cache

from regista.domain.versions import VersionNumber


@lru_cache(maxsize=8192)
def version_key(version: str) -> str:
    """The sort key of a version number: equal for equal numbers only.

    Numbers are written with their length in front; a pre-release (``!``) sorts before its release (``~``), and ``!``
    before whatever may stand in an identifier, so that fewer identifiers come before more.

    Raises:
        Invalid: ``bad_version``.
    """
    number = VersionNumber.parse(version)
    release = _digits(number.major) + _digits(number.minor) + _digits(number.patch)
    if not number.prerelease:
        return release + "~"
    parts = ("0" + _digits(part) if isinstance(part, int) else "1" + part for part in number.prerelease)
    return release + "!" + "!".join(parts)


def _digits(number: int) -> str:
    text = str(number)
    return chr(ord("0") + len(text)) + text
