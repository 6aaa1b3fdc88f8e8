"""From what came back, or did not, to the one error tree of Regista."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from regista.client.exchange import Response
from regista.domain import errors
from regista.domain.errors import Reason, RegistaError

_BODY_SHOWN = 200


class Unreachable(RegistaError):
    """The registry did not answer, however often it was asked within the deadline.

    A write may have been made all the same: its answer was lost, not necessarily the write. Repeating it with the
    same ``command_id`` answers what the first one would have.
    """

    status = 503
    default_code = "unreachable"


@contextmanager
def explained() -> Iterator[None]:
    """Errors that leave the block carry reasons and hints as notes, which a traceback shows (PEP 678)."""
    try:
        yield
    except RegistaError as error:
        for line in _explanation(error):
            if line not in getattr(error, "__notes__", ()):
                error.add_note(line)
        raise


def _explanation(error: RegistaError) -> Iterator[str]:
    for reason in error.reasons:
        if len(error.reasons) > 1 or reason.detail not in error.detail:
            yield f"- {reason.detail}" + (f": {reason.hint}" if reason.hint and reason.hint != error.hint else "")
    if error.hint:
        yield error.hint


def from_response(response: Response) -> RegistaError:
    """The error that an answer of 300 or above stands for, of the class that the server raised.

    The class follows from ``code`` where one class alone has it, else from the status; a code that this release does
    not know keeps its text in the nearest class.
    """
    problem = _problem(response)
    if problem is None:
        return _foreign(response)
    code = str(problem.get("code") or f"http_{response.status}")
    hint = problem.get("hint")
    detail = str(problem.get("detail") or problem.get("title") or f"HTTP {response.status}")
    error = error_of(
        response.status, code, detail, hint=hint if isinstance(hint, str) else None, reasons=tuple(_reasons(problem))
    )
    if isinstance(error, errors.Unavailable) and response.retry_after is not None:
        error.retry_after = response.retry_after
    return error


def error_of(
    status: int, code: str, detail: str, *, hint: str | None = None, reasons: Sequence[Reason] = ()
) -> RegistaError:
    """The error of a problem, of the class that the server raised."""
    return _class_of(code, status)(detail, code=code, hint=hint, reasons=tuple(reasons))


def _problem(response: Response) -> Mapping[str, Any] | None:
    try:
        document = json.loads(response.content)
    except ValueError:
        return None
    return document if isinstance(document, dict) and ("code" in document or "detail" in document) else None


def _reasons(problem: Mapping[str, Any]) -> Iterator[Reason]:
    for reason in problem.get("reasons") or ():
        if isinstance(reason, dict):
            yield Reason(
                code=str(reason.get("code") or "invalid"),
                detail=str(reason.get("detail") or ""),
                field=reason.get("field"),
                hint=reason.get("hint"),
            )


def _foreign(response: Response) -> RegistaError:
    """The error for an answer that Regista did not write: a proxy's, or another server's."""
    text = " ".join(response.content[: _BODY_SHOWN * 4].decode(errors="replace").split())[:_BODY_SHOWN]
    return _class_of("", response.status)(
        f"The server answered {response.status} and not as a registry does: {text or 'without a body'}",
        code=f"http_{response.status}",
        hint="Check REGISTA_URL: it names the root of a registry, such as http://127.0.0.1:8080.",
    )


def _tree(root: type[RegistaError]) -> Iterator[type[RegistaError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


_ANSWERED = tuple(kind for kind in _tree(RegistaError) if kind.__module__ == errors.__name__)
_BY_CODE = {kind.default_code: kind for kind in _ANSWERED}
# The root of each status comes first in the tree; the last word on 500 is Internal, not the root of all.
_BY_STATUS = {kind.status: kind for kind in reversed(_ANSWERED) if kind is not RegistaError} | {
    429: errors.Unavailable,
    502: errors.Unavailable,
    504: errors.Unavailable,
}


def _class_of(code: str, status: int) -> type[RegistaError]:
    kind = _BY_CODE.get(code)
    if kind is not None and kind.status == status:
        return kind
    return _BY_STATUS.get(status, RegistaError)
