"""Kinds of targets by name: entry points of the group ``regista.targets``."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from regista.deployer.targets.base import Target, TargetContext, TargetKind
from regista.domain.errors import Invalid, Reason

GROUP = "regista.targets"


def kinds() -> tuple[str, ...]:
    """The kinds that are installed."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def open_target(kind: str, context: TargetContext) -> Target:
    """Open a target of a kind. Nothing is deployed yet.

    Raises:
        Invalid: ``unknown_kind``, ``kind_unusable`` when its package cannot be loaded, or what the kind says about
            its settings.
    """
    found = [point for point in entry_points(group=GROUP) if point.name == kind.lower()]
    if not found:
        hint = f"Installed are {', '.join(kinds()) or 'none'}; a package brings more by the entry point group {GROUP}."
        raise _unusable(context.name, "unknown_kind", f"there is no kind of target {kind}", hint)
    try:
        opened = cast("TargetKind", found[0].load())
    except (ImportError, AttributeError) as error:
        hint = f"Install what {found[0].value} needs; for kserve: pip install 'regista[kubernetes]'."
        raise _unusable(context.name, "kind_unusable", f"kind {kind} cannot be loaded: {error}", hint) from error
    return opened(context)


def _unusable(target: str, code: str, detail: str, hint: str) -> Invalid:
    return Invalid(f"target {target}: {detail}", code=code, hint=hint, reasons=[Reason(code, detail, "kind", hint)])
