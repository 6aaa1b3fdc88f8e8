"""``decide``: from a command and the state it meets to events, or to a refusal that says everything that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from regista.domain.context import Context
from regista.domain.endpoint import commands as c
from regista.domain.endpoint.endpoints import create_endpoint, retire_endpoint, update_endpoint
from regista.domain.endpoint.follow import follow_version
from regista.domain.endpoint.reports import conclude_experiment, report_deployment
from regista.domain.endpoint.rollback import roll_back_endpoint
from regista.domain.endpoint.state import EndpointState
from regista.domain.endpoint.traffic import change_traffic
from regista.domain.events import Event
from regista.domain.texts import check_texts

_JUDGED_ELSEWHERE = frozenset({"environment", "endpoint", "model", "target", "targets", "follow", "followed"})
_DECISIONS: dict[type[Any], Callable[[EndpointState, Any, Context], list[Event]]] = {
    c.CreateEndpoint: create_endpoint,
    c.UpdateEndpoint: update_endpoint,
    c.ChangeTraffic: change_traffic,
    c.RollBackEndpoint: roll_back_endpoint,
    c.FollowVersion: follow_version,
    c.ReportDeployment: report_deployment,
    c.ConcludeExperiment: conclude_experiment,
    c.RetireEndpoint: retire_endpoint,
}


def decide(state: EndpointState, command: c.Command, context: Context) -> list[Event]:
    """The events that follow from the command: one.

    Raises:
        RegistaError: when the rules say no; nothing follows then.
    """
    if not context.plain:
        check_texts(command, context.reason, _JUDGED_ELSEWHERE)
    return _DECISIONS[type(command)](state, command, context)
