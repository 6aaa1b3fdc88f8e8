"""What all operations of one client share: who asks, how patiently, and how much of the log it has seen."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from regista.client.exchange import Request, Response, Steps
from regista.client.retry import Patience, send
from regista.client.settings import Settings
from regista.domain import identifiers
from regista.domain.commands import UNSET
from regista.domain.errors import BeyondLog, Internal, Invalid, Reason

M = TypeVar("M", bound=BaseModel)
Moment: TypeAlias = int | str | datetime
"""A moment in the past: a position of the log, or a time with its zone (RFC 3339 as text)."""


class Session:
    """The state of one client. Safe to share between threads.

    ``position`` is the highest position of the log that an answer has named. With ``settings.fresh`` every read waits
    until the registry's views hold it, so that a client reads its own writes, and never goes back in time.
    """

    def __init__(
        self, settings: Settings, patience: Patience | None = None, new_id: Callable[[], str] | None = None
    ) -> None:
        self.settings = settings
        self.patience = patience or Patience(settings.attempts, settings.deadline)
        self._new_id = new_id or identifiers.new_id
        self._position = 0
        self._lock = threading.Lock()

    def new_id(self) -> str:
        """A new idempotency key."""
        return self._new_id()

    @property
    def position(self) -> int:
        """The highest position of the log seen; 0 before the first answer."""
        return self._position

    def saw(self, position: int) -> None:
        """Remember a position, also one that came another way (a message, another process)."""
        with self._lock:
            self._position = max(self._position, position)

    def headers(self, **more: str) -> dict[str, str]:
        """What every request carries, and ``more``."""
        common = {"Accept": "application/json", "Regista-Actor": self.settings.actor}
        if self.settings.token:
            common["Authorization"] = f"Bearer {self.settings.token}"
        return common | more

    def reading(self, path: str, query: Mapping[str, object] | None = None, *, fresh: bool = True) -> Request:
        """A GET. ``fresh``: wait until the views hold what this client has seen."""
        pairs = query_pairs(query or {})
        if fresh and self.settings.fresh and self._position:
            pairs = (*pairs, ("min_position", str(self._position)))
        return Request("GET", path, pairs, self.headers())

    def writing(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        query: Mapping[str, object] | None = None,
        if_match: int | str | None = None,
        command_id: str | None = None,
        cause: str | None = None,
    ) -> Request:
        """A write, with an idempotency key that stays the same however often it is sent."""
        more = {"Idempotency-Key": command_id or self._new_id()}
        if if_match is not None:
            more["If-Match"] = f'"{if_match}"' if isinstance(if_match, int) else if_match
        if cause is not None:
            more["Regista-Cause"] = cause
        content = None
        if body is not None:
            more["Content-Type"] = "application/json"
            content = to_json(body)
        return Request(method, path, query_pairs(query or {}), self.headers(**more), content)

    def exchange(self, request: Request) -> Steps[Response]:
        """Send a request until it is answered, and remember the position that the answer names.

        Raises:
            RegistaError: what the registry answered, or that it did not.
        """
        try:
            response = yield from send(request, self.patience)
        except BeyondLog as error:
            named = {name for name, _ in request.query}
            if "min_position" not in named or named & {"at", "from", "to"}:
                raise  # the caller named the position, and the registry says all there is to say
            error.hint = (
                f"This client has seen position {self._position}, and the registry has not reached it: it was reset, "
                "restored from an older copy, or is another one. A new client starts from what is there."
            )
            raise
        self.saw(response.position)
        return response

    def ask(self, request: Request, answer: type[M]) -> Steps[M]:
        """Send a request and read its answer as ``answer``."""
        response = yield from self.exchange(request)
        return parse(answer, response.content)


def parse(answer: type[M], content: bytes) -> M:
    """Read an answer.

    Raises:
        Internal: ``answer_unreadable``, when it is not what this release of the client knows.
    """
    try:
        return answer.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise Internal(
            f"the registry's answer is no {answer.__name__}: {where}: {first['msg']}",
            code="answer_unreadable",
            hint="Client and server are of releases too far apart, or REGISTA_URL names something else.",
        ) from error


def path(*segments: str) -> str:
    """A path below ``/v1``; each segment is encoded, so that a name cannot lead elsewhere.

    Raises:
        Invalid: ``bad_name``, for segments that HTTP would take away (RFC 3986, 5.2.4) or take for two.
    """
    for segment in segments:
        if segment in {"", ".", ".."} or "/" in segment:
            raise Invalid(f"{segment!r} is not a name", code="bad_name", hint="Use letters, digits, '.', '_' and '-'.")
    return "/v1/" + "/".join(quote(segment, safe="@:") for segment in segments)


def query_pairs(query: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """Query parameters as text; those that are None are left out."""
    return tuple((name, query_text(name, value)) for name, value in query.items() if value is not None)


def given(**values: object) -> dict[str, object]:
    """A body of what was given: None and ``UNSET`` are left out, so that the server's defaults hold."""
    return {name: value for name, value in values.items() if value is not None and value is not UNSET}


def expecting(body: dict[str, object], expect_current: object) -> dict[str, object]:
    """The body with ``expect_current``; None is a value here: nobody."""
    return body if expect_current is UNSET else {**body, "expect_current": expect_current}


def query_text(name: str, value: object) -> str:
    """A value of a query as text; a time gets its zone as Z.

    Raises:
        Invalid: a time without zone.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return _zoned(name, value)
    return str(value)


def _zoned(where: str, moment: datetime) -> str:
    if moment.tzinfo is None:
        raise Invalid(
            f"{where}: {moment.isoformat()} has no time zone",
            code="invalid",
            hint="Use datetime.now(UTC), or .astimezone() for local time.",
            reasons=[Reason("time_without_zone", "a time needs its zone", where)],
        )
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_json(body: Mapping[str, object]) -> bytes:
    """A body as JSON. Numbers of numpy and the like become plain ones; times get their zone as Z.

    Raises:
        Invalid: NaN, Infinity, a time without zone, or something that JSON does not have; the field is named.
    """
    return json.dumps(plain("", body), separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def plain(where: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value in JSON's own types; ``where`` is the path of its field, for the refusal."""
    match value:
        case None | bool() | Enum():
            return value.value if isinstance(value, Enum) else value
        case str():
            return str(value)
        case int():
            return int(value)
        case float():
            return _finite(where, float(value))
        case datetime():
            return _zoned(where, value)
        case BaseModel():
            return plain(where, value.model_dump(exclude_unset=True))
        case Mapping():
            return {str(key): plain(f"{where}.{key}".lstrip("."), item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            items = sorted(value) if isinstance(value, set | frozenset) else value
            return [plain(f"{where}[{index}]", item) for index, item in enumerate(items)]
    if callable(item := getattr(value, "item", None)) and getattr(value, "size", 1) == 1:
        return plain(where, item())
    raise Invalid(
        f"{where}: {type(value).__name__} has no place in JSON", hint="Give text, numbers, lists or mappings."
    )


def _finite(where: str, number: float) -> float:
    if math.isfinite(number):
        return number
    raise Invalid(
        f"{where} is {number}",
        hint="Give a finite number; a metric that could not be computed is left out, not recorded as NaN or Infinity.",
        reasons=[Reason("not_finite", "only finite numbers are recorded", where)],
    )
