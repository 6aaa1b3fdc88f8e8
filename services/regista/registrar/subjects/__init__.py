"""What commands are about: the streams that a decision writes and reads, and how it is made, for each kind of command."""

from __future__ import annotations

from typing import Any, Final, get_args

from regista.domain.endpoint.commands import Command as EndpointCommand
from regista.domain.environment.commands import DefineEnvironment, RollBackEnvironment
from regista.domain.subscription.commands import Command as SubscriptionCommand
from regista.domain.target.commands import PutTarget, RemoveTarget
from regista.registrar.commands import Command
from regista.registrar.subjects.base import Given, Held, StreamEvent, Subject
from regista.registrar.subjects.endpoints import EndpointSubject
from regista.registrar.subjects.environments import EnvironmentSubject
from regista.registrar.subjects.models import ModelSubject
from regista.registrar.subjects.rollback import EnvironmentRollback
from regista.registrar.subjects.subscriptions import SubscriptionSubject
from regista.registrar.subjects.targets import TargetSubject

__all__ = ["Given", "Held", "StreamEvent", "Subject", "subject_of"]

_OTHERS: Final[dict[type[Any], type[Any]]] = {
    DefineEnvironment: EnvironmentSubject,
    RollBackEnvironment: EnvironmentRollback,
    PutTarget: TargetSubject,
    RemoveTarget: TargetSubject,
    **dict.fromkeys(get_args(EndpointCommand), EndpointSubject),
    **dict.fromkeys(get_args(SubscriptionCommand), SubscriptionSubject),
}
"""By the class of the command; all others are about models."""


def subject_of(command: Command) -> Subject:
    """What the command is about.

    Raises:
        Invalid: ``bad_name``.
    """
    subject: Subject = _OTHERS.get(type(command), ModelSubject)(command)
    return subject
