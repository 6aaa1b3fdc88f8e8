"""Every command that the registrar decides, whatever it writes."""

from __future__ import annotations

from typing import TypeAlias

from regista.domain.commands import Command as ModelCommand
from regista.domain.endpoint.commands import Command as EndpointCommand
from regista.domain.environment.commands import Command as EnvironmentCommand
from regista.domain.environment.commands import RollBackEnvironment
from regista.domain.subscription.commands import Command as SubscriptionCommand
from regista.domain.target.commands import Command as TargetCommand

__all__ = [
    "Command",
    "EndpointCommand",
    "EnvironmentCommand",
    "ModelCommand",
    "RollBackEnvironment",
    "SubscriptionCommand",
    "TargetCommand",
]

Command: TypeAlias = (
    ModelCommand | EnvironmentCommand | RollBackEnvironment | TargetCommand | EndpointCommand | SubscriptionCommand
)
