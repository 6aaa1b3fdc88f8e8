"""Settings and secrets of a target, checked when it is opened: every reason at once, and nothing unknown let through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from regista.deployer.targets.base import TargetContext
from regista.domain.errors import Invalid, Reason
from regista.outbound.addresses import address_problem

O = TypeVar("O", bound="Options")  # noqa: E741 - for options


class Options(BaseModel):
    """The settings of a kind. What a validator raises as ``ValueError`` is a reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def read(model: type[O], context: TargetContext, *, secrets: Mapping[str, str] | None = None) -> O:
    """The settings of a target. ``secrets``: the names that the kind knows, and what each is for.

    Validators find the context in ``info.context``.

    Raises:
        Invalid: ``invalid_target`` with every reason.
    """
    known = secrets or {}
    reasons = [
        Reason(
            "unknown_secret",
            f"{name} is no secret of this kind",
            f"secrets.{name}",
            f"It has {', '.join(f'{known_name} ({what})' for known_name, what in known.items()) or 'none'}.",
        )
        for name in context.secrets
        if name not in known
    ]
    try:
        options = model.model_validate(dict(context.settings), context=context)
    except ValidationError as error:
        reasons += [_reason(problem) for problem in error.errors(include_url=False)]
    else:
        if not reasons:
            return options
    raise bad_target(context.name, reasons)


def bad_target(name: str, reasons: list[Reason]) -> Invalid:
    """The refusal of a target that cannot be opened."""
    detail = f"target {name}: {'; '.join(reason.detail for reason in reasons[:3])}"
    return Invalid(detail, code="invalid_target", hint=f"PUT /v1/targets/{name} says it anew.", reasons=reasons)


def checked_address(url: str, context: TargetContext) -> str:
    """An address that may be called.

    Raises:
        ValueError: it may not.
    """
    if problem := address_problem(url, allow_private=context.allow_private):
        raise ValueError(problem)
    return url


def checked_place(given: str, context: TargetContext) -> Path:
    """A directory that may be written: in the target's own, or in one that the operator lets targets write to.

    Raises:
        ValueError: it lies elsewhere.
    """
    root = context.data.resolve()
    place = (root / given).resolve()
    allowed = (root, *(one.resolve() for one in context.roots))
    if not any(place.is_relative_to(one) for one in allowed):
        shown = ", ".join(str(one) for one in allowed[1:]) or "none"
        msg = f"{given} is not in a directory that targets may write to (the operator allows: {shown})"
        raise ValueError(msg)
    return place


def _reason(problem: ErrorDetails) -> Reason:
    field = ".".join(("settings", *map(str, problem["loc"])))
    detail = problem["msg"].removeprefix("Value error, ")
    return Reason("bad_setting", f"{field}: {detail}", field)
