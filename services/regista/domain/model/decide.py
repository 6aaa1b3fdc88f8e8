"""``decide``: from a command and the state it meets to events, or to a refusal that says everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from regista.domain import commands as c
from regista.domain.events import Event
from regista.domain.model.aliases import assign_alias, remove_alias
from regista.domain.model.context import Context
from regista.domain.model.models import register_model, retire_model, revive_model, update_model
from regista.domain.model.registration import register_version
from regista.domain.model.stages import archive, promote, roll_back
from regista.domain.model.state import ModelState
from regista.domain.model.texts import check_texts
from regista.domain.model.versions import record_evaluation, report_check, update_version

_DECISIONS: dict[type[Any], Callable[[ModelState, Any, Context], list[Event]]] = {
    c.RegisterModel: register_model,
    c.UpdateModel: update_model,
    c.RetireModel: retire_model,
    c.ReviveModel: revive_model,
    c.RegisterVersion: register_version,
    c.UpdateVersion: update_version,
    c.RecordEvaluation: record_evaluation,
    c.ReportCheck: report_check,
    c.Promote: promote,
    c.RollBack: roll_back,
    c.Archive: archive,
    c.AssignAlias: assign_alias,
    c.RemoveAlias: remove_alias,
}


def decide(state: ModelState, command: c.Command, context: Context) -> list[Event]:
    """The events that follow from the command: at least one.

    Raises:
        RegistaError: when the rules say no; nothing follows then.
    """
    if not context.plain and not isinstance(command, c.RegisterVersion):  # which lists them among all other reasons
        check_texts(command, context.reason)
    return _DECISIONS[type(command)](state, command, context)
