"""The one tree of errors: what went wrong, how the API answers it, and what to do next.

::

    RegistaError
    ├── Malformed            400   the request cannot be read
    │   ├── AtUnsupported    400   the query has no history to look into
    │   └── BeyondLog        400   a position that the log has not reached
    ├── Unauthenticated      401   no or a wrong token
    ├── Forbidden            403   who asks may not, from where or what it asks
    ├── NotFound             404   the thing named does not exist
    ├── Refused              409   the rules say no; ``reasons`` lists every one
    ├── Retired              410   a write to something retired; its reads go on
    ├── PreconditionFailed   412   somebody was faster
    ├── TooLarge             413   a body or an event over its limit
    ├── UnsupportedMedia     415   not a content type that this route reads
    ├── Invalid              422   the request was read, its content does not hold
    │   └── KeyReused        422   an idempotency key came back with another body
    ├── Unavailable          503   try again later; ``retry_after`` seconds
    └── Internal             500   a defect or damage: report it
        └── Damaged          500   stored bytes are not what was written

Every error has a stable ``code`` (never renamed once released), a ``detail`` for people and a ``hint`` that says
what to do next. The HTTP status belongs to the class. The form on the wire is RFC 9457 problem+json.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of a refusal: a stable code, the field or thing it is about, and the way out of it."""

    code: str
    detail: str
    field: str | None = None
    hint: str | None = None


class RegistaError(Exception):
    """The base of all errors that Regista raises on purpose."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        reasons: Iterable[Reason] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.hint = hint
        self.reasons = tuple(reasons)

    def __str__(self) -> str:
        return f"{self.detail} [{self.code}]"


class Malformed(RegistaError):
    """The request cannot be read: broken JSON, a token that is none, an unknown parameter."""

    status = 400
    default_code = "malformed"


class AtUnsupported(Malformed):
    """``at=`` on a query that has no history to look into."""

    default_code = "at_unsupported"


class BeyondLog(Malformed):
    """A position was named that the log has not reached."""

    default_code = "beyond_log"


class Unauthenticated(RegistaError):
    """No token where one is needed, or a wrong one."""

    status = 401
    default_code = "unauthenticated"


class Forbidden(RegistaError):
    """The request is understood and will not be done for who, or from where, it comes."""

    status = 403
    default_code = "forbidden"


class NotFound(RegistaError):
    """The model, version, stage holder, alias, artifact or command named does not exist."""

    status = 404
    default_code = "not_found"


class Refused(RegistaError):
    """The rules say no. ``reasons`` holds every reason, not only the first."""

    status = 409
    default_code = "refused"


class Retired(RegistaError):
    """A write to something retired. Reads of it go on."""

    status = 410
    default_code = "retired"


class PreconditionFailed(RegistaError):
    """``If-Match`` or ``expect_current`` named a state that is no longer so: somebody was faster."""

    status = 412
    default_code = "precondition_failed"


class TooLarge(RegistaError):
    """A body, a file or an event is over its limit."""

    status = 413
    default_code = "too_large"


class UnsupportedMedia(RegistaError):
    """The content type is not one that this route reads."""

    status = 415
    default_code = "unsupported_media"


class Invalid(RegistaError):
    """The request was read, but its content does not hold. ``reasons`` names every field."""

    status = 422
    default_code = "invalid"


class KeyReused(Invalid):
    """An idempotency key came back with another body."""

    default_code = "idempotency_key_reused"


class Unavailable(RegistaError):
    """Nothing is wrong with the request; it cannot be served now. Try again after ``retry_after`` seconds."""

    status = 503
    default_code = "unavailable"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        reasons: Iterable[Reason] = (),
        retry_after: float = 1.0,
    ) -> None:
        super().__init__(detail, code=code, hint=hint, reasons=reasons)
        self.retry_after = retry_after


class Internal(RegistaError):
    """A defect of Regista itself."""


class Damaged(Internal):
    """Stored bytes are not what was written: a chain, a digest or an encoding does not hold."""

    default_code = "damaged"


def unknown_parameter(name: str, known: Iterable[str]) -> Malformed:
    """The refusal of a parameter that is not known where it was given: passed over, it would not do what was meant."""
    hint = f"It takes {', '.join(known) or 'none'}."
    return Malformed(f"there is no parameter {name!r} here", code="unknown_parameter", hint=hint)
