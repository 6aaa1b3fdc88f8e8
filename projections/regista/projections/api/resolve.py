"""From the names in a request to rows: models regardless of case, versions by any reference, now or at a position."""

from __future__ import annotations

from typing import Any

from regista.domain import references as r
from regista.domain.errors import Invalid, NotFound, Reason, Refused
from regista.projections.changes import FOREVER
from regista.projections.reader import Reader
from regista.projections.version_key import version_key
from regista.projections.views.versions import digest_bytes

LISTED = 20
"""Versions that a refusal names, of however many share a digest."""
_ORDINAL_BY_KEY = "SELECT ordinal, version FROM versions_v1 WHERE model_key = ? AND version_key = ? AND position <= ?"
_ORDINAL = "SELECT ordinal, version FROM versions_v1 WHERE model_key = ? AND ordinal = ? AND position <= ?"
_ALIAS = "SELECT ordinal, version FROM aliases_v1 WHERE model_key = ? AND alias = ? AND to_position > ? AND from_position <= ?"
_STAGE_NOW = (
    "SELECT ordinal, version FROM stages_v1 WHERE model_key = ? AND stage = ? "
    f"AND to_position = {FOREVER} ORDER BY from_position DESC, ordinal LIMIT 1"
)
_STAGE_AT = (
    "SELECT ordinal, version FROM stages_v1 WHERE model_key = ? AND stage = ? "
    "AND to_position > ? AND from_position <= ? ORDER BY from_position DESC, ordinal LIMIT 1"
)
_DIGEST = (
    "SELECT v.ordinal, v.version FROM digests_v1 d JOIN versions_v1 v ON v.position = d.position "
    f"WHERE d.digest = ? AND v.model_key = ? AND v.position <= ? ORDER BY v.ordinal DESC LIMIT {LISTED + 1}"
)


def model_key(name: str) -> str:
    """The key of a model: what its stream is called.

    Raises:
        Invalid: ``bad_name``.
    """
    return r.model_stream(name).removeprefix("model/")


def need_model(reader: Reader, key: str) -> str:
    """The spelling of a model's name.

    Raises:
        NotFound: ``unknown_model``.
    """
    row = reader.row("SELECT model FROM models_v1 WHERE model_key = ?", (key,))
    if row is None:
        raise NotFound(f"there is no model {key}", code="unknown_model", hint="GET /v1/models lists them.")
    return str(row[0])


def find_version(reader: Reader, key: str, ref: str, at: int | None = None) -> tuple[int, str]:
    """The ordinal and number of the version that a reference names, at a position or now.

    Raises:
        Invalid: ``bad_reference``; for ``latest`` the hint names the highest.
        NotFound: ``unknown_model``, ``unknown_version``.
        Refused: ``ambiguous_reference``, with the newest versions that share the digest.
    """
    try:
        parsed = r.parse_reference(ref)
    except Invalid as error:
        raise _explained(reader, key, ref, error) from None
    rows = _candidates(reader, key, parsed, at)
    if len(rows) > 1:
        raise _ambiguous(need_model(reader, key), ref, [str(version) for _, version in rows])
    if not rows:
        raise _unknown(reader, key, ref, at)
    return rows[0][0], rows[0][1]


def _candidates(reader: Reader, key: str, parsed: r.Reference, at: int | None) -> list[tuple[Any, ...]]:
    end = FOREVER - 1 if at is None else at
    match parsed:
        case r.ByNumber(version):
            return reader.rows(_ORDINAL_BY_KEY, (key, version_key(version), end))
        case r.ByOrdinal(ordinal):
            return reader.rows(_ORDINAL, (key, ordinal, end))
        case r.ByAlias(alias):
            return reader.rows(_ALIAS, (key, alias, end, end))
        case r.ByStage(stage):
            if at is None:
                return reader.rows(_STAGE_NOW, (key, stage))
            return reader.rows(_STAGE_AT, (key, stage, at, at))
        case r.ByDigest(digest):
            return reader.rows(_DIGEST, (digest_bytes(digest), key, end))


def _highest(reader: Reader, key: str) -> str | None:
    row = reader.row("SELECT latest_version FROM models_v1 WHERE model_key = ?", (key,))
    return None if row is None else row[0]


def _explained(reader: Reader, key: str, ref: str, error: Invalid) -> Invalid:
    highest = _highest(reader, key)
    if ref.removeprefix("@").lower() != "latest" or highest is None:
        return error
    return Invalid(
        "'latest' is not a reference: it would mean another version every day",
        code=error.code,
        hint=f"The highest number is {highest}; or name an alias or a stage, such as @production.",
    )


def _ambiguous(model: str, ref: str, versions: list[str]) -> Refused:
    more = " and more" if len(versions) > LISTED else ""
    named = versions[:LISTED]
    return Refused(
        f"{ref} is in several versions: {', '.join(named)}{more}",
        code="ambiguous_reference",
        hint="Name one of them by its number.",
        reasons=[Reason("shared_digest", f"{model} {version} has these bytes", "ref") for version in named],
    )


def _unknown(reader: Reader, key: str, ref: str, at: int | None) -> NotFound:
    model = need_model(reader, key)
    when = "" if at is None else f" at position {at}"
    highest = _highest(reader, key)
    newest = f"; the highest is {highest}" if highest else "; it has none yet"
    return NotFound(
        f"{model} had no version {ref}{when}" if at is not None else f"{model} has no version {ref}{newest}",
        code="unknown_version",
        hint=f"GET /v1/models/{model}/versions lists them.",
    )
