"""Users of a broker with ACLs: each may do what the plan of the topics names for a role, and nothing else."""

from __future__ import annotations

from tests.support.secure_broker import SecureBroker

from regista.bus.settings import KafkaSettings
from regista.bus.topics.rights import Role, rights

_KINDS = {"Topic": "topic", "Group": "group", "TransactionalId": "transactional-id"}
_OPERATIONS = {"DescribeConfigs": "describe_configs", "AlterConfigs": "alter_configs"}


def add_role(broker: SecureBroker, prefix: str, role: Role) -> KafkaSettings:
    """The settings of a new user who has the rights of a role."""
    user = f"{prefix}-{role}"
    settings = broker.add_user(user, f"password of {role}", prefix=prefix)
    allow(broker, settings, role, user)
    return settings.model_copy(update={"kafka_create_topics": role == "admin"})


def allow(broker: SecureBroker, settings: KafkaSettings, role: Role, user: str) -> None:
    """Give a user the rights of a role."""
    for right in rights(settings, {role: user}):
        if right.user == user:
            operations = [_OPERATIONS.get(operation, operation.lower()) for operation in right.operations]
            broker.allow(user, _KINDS[right.resource], right.name, *operations, prefixed=right.pattern == "Prefixed")
