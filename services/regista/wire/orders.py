"""Orders: commands as they are sent through a queue, and what is answered. What a request of the API says, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SENT = {
    ("POST", "models"): "RegisterModel",
    ("PATCH", "models/{model}"): "UpdateModel",
    ("DELETE", "models/{model}"): "RetireModel",
    ("POST", "models/{model}/revive"): "ReviveModel",
    ("POST", "models/{model}/versions"): "RegisterVersion",
    ("PATCH", "models/{model}/versions/{ref}"): "UpdateVersion",
    ("POST", "models/{model}/versions/{ref}/evaluations"): "RecordEvaluation",
    ("POST", "models/{model}/versions/{ref}/checks"): "ReportCheck",
    ("POST", "models/{model}/versions/{ref}/promote"): "Promote",
    ("POST", "models/{model}/rollback"): "RollBack",
    ("POST", "models/{model}/versions/{ref}/archive"): "Archive",
    ("PUT", "models/{model}/aliases/{alias}"): "AssignAlias",
    ("DELETE", "models/{model}/aliases/{alias}"): "RemoveAlias",
    ("PUT", "environments/{environment}"): "DefineEnvironment",
    ("POST", "environments/{environment}/rollback"): "RollBackEnvironment",
    ("PUT", "targets/{target}"): "PutTarget",
    ("DELETE", "targets/{target}"): "RemoveTarget",
    ("POST", "endpoints"): "CreateEndpoint",
    ("PATCH", "endpoints/{environment}/{endpoint}"): "UpdateEndpoint",
    ("PUT", "endpoints/{environment}/{endpoint}/traffic"): "ChangeTraffic",
    ("POST", "endpoints/{environment}/{endpoint}/rollback"): "RollBackEndpoint",
    ("POST", "endpoints/{environment}/{endpoint}/follow"): "FollowVersion",
    ("POST", "endpoints/{environment}/{endpoint}/reports"): "ReportDeployment",
    ("POST", "endpoints/{environment}/{endpoint}/conclude"): "ConcludeExperiment",
    ("DELETE", "endpoints/{environment}/{endpoint}"): "RetireEndpoint",
    ("POST", "subscriptions"): "CreateSubscription",
    ("PATCH", "subscriptions/{subscription}"): "UpdateSubscription",
    ("POST", "subscriptions/{subscription}/rotate"): "RotateSubscriptionSecret",
    ("DELETE", "subscriptions/{subscription}"): "RemoveSubscription",
}
"""The type of each write of the API: by its method and its path below ``/v1/``."""

BODILESS = frozenset(kind for (method, _), kind in SENT.items() if method == "DELETE")
"""The types of writes that take no body."""
SECRET_FIELDS = {"PutTarget": "secrets", "UpdateSubscription": "url"}
"""What in a body is secret, by the type: an order must not have it."""
SECRETIVE = frozenset({"CreateSubscription", "RotateSubscriptionSecret"})
"""Those that cannot be orders at all: a secret is in each of them, or in its answer."""


@dataclass(frozen=True, slots=True)
class Order:
    """One command.

    ``command_id`` is chosen by the sender: the same id with the same content is carried out once, by whichever way it
    came. ``target`` and ``parameters`` are what the API has in the path and in the query, ``body`` is the JSON that it
    takes; ``if_match``, ``if_none_match``, ``traceparent`` and ``cause`` (``Regista-Cause``) are its headers. ``reason``
    may stand here instead of where the API has it. First seen after ``expires_at``, the order is refused.
    """

    command_id: str
    actor: str
    type: str
    target: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    reason: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    traceparent: str | None = None
    expires_at: datetime | None = None
    cause: str | None = None

    @property
    def gives_secrets(self) -> bool:
        """Whether it gives a secret, or asks for one: no queue may have any."""
        if self.type in SECRETIVE:
            return True
        field = SECRET_FIELDS.get(self.type)
        if field is None or self.body is None:
            return False
        try:
            body = json.loads(self.body)
        except ValueError:
            return False
        given = body.get(field) if isinstance(body, dict) else None
        return any(value is not None for value in given.values()) if isinstance(given, dict) else bool(given)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What became of an order: what the API would have answered.

    ``status`` is the HTTP status, ``body`` the JSON document: the resource, or a problem (RFC 9457) whose ``code`` is
    here too. ``position``, ``stream``, ``sequence`` and ``hash`` are those of the last event; None where there is none.
    """

    command_id: str
    actor: str
    type: str
    status: int
    replayed: bool
    code: str | None
    position: int | None
    stream: str | None
    sequence: int | None
    hash: str | None
    body: str
    time: datetime

    @property
    def done(self) -> bool:
        """Whether it was carried out, now or before."""
        return self.status < 300

    @property
    def answer(self) -> dict[str, Any]:
        """The answer, or the problem."""
        answer: dict[str, Any] = json.loads(self.body)
        return answer
