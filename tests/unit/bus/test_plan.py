"""The plan for those who create topics and rights elsewhere: text alone, and nothing more than each role needs."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from regista.bus.settings import KafkaSettings
from regista.bus.topics.plan import FORMATS, Format, plan
from regista.bus.topics.rights import ROLES, Right, rights
from regista.bus.topics.topology import Topics, specs

SETTINGS = KafkaSettings(kafka="kafka:9092", kafka_prefix="acme", kafka_replication=3, kafka_min_insync=2)
TOPICS = Topics("acme")


def of(role: str, users: dict[str, str] | None = None) -> list[Right]:
    user = (users or {}).get(role, f"regista-{role}")
    return [right for right in rights(SETTINGS, users or {}) if right.user == user]


def may(role: str, operation: str) -> set[str]:
    return {right.name for right in of(role) if operation in right.operations}


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_names_every_topic_user_transactional_id_and_group(format_: Format) -> None:
    text = plan(SETTINGS, format_)
    names = [spec.name for spec in specs(SETTINGS)] + [f"regista-{role}" for role in ROLES]
    names += ["acme.relay.events", "acme.relay.results", "acme.intake", "acme.deployer"]
    assert [name for name in names if name not in text] == []
    assert text == plan(SETTINGS, format_)


def test_commands_are_a_script_that_a_shell_can_read() -> None:
    lines = [shlex.split(line, comments=True) for line in plan(SETTINGS, "commands").splitlines()]
    topics = {line[line.index("--topic") + 1]: line for line in lines if line[:1] == ["kafka-topics.sh"]}
    assert set(topics) == {spec.name for spec in specs(SETTINGS)}
    events = topics[TOPICS.events]
    assert events[events.index("--partitions") + 1] == "1"
    assert events[events.index("--replication-factor") + 1] == "3"
    assert {"retention.ms=-1", "retention.bytes=-1", "cleanup.policy=delete", "min.insync.replicas=2"} <= set(events)
    assert "cleanup.policy=compact" in topics[TOPICS.relay]


def test_strimzi_is_yaml_with_a_resource_for_each_topic_and_user() -> None:
    yaml = pytest.importorskip("yaml")
    documents: list[Any] = [found for found in yaml.safe_load_all(plan(SETTINGS, "strimzi")) if found]
    kinds = [document["kind"] for document in documents]
    assert kinds == ["KafkaTopic"] * 6 + ["KafkaUser"] * len(ROLES)
    assert documents[0]["spec"]["config"]["retention.ms"] == "-1"
    [admin] = [document for document in documents if document["metadata"]["name"] == "regista-admin"]
    assert {acl["resource"]["patternType"] for acl in admin["spec"]["authorization"]["acls"]} == {"literal", "prefix"}


def test_terraform_escapes_what_it_would_take_for_a_template() -> None:
    text = plan(SETTINGS, "terraform", {"relay": "${evil}"})
    assert '"User:$${evil}"' in text


def test_only_the_relay_writes_events_and_besides_who_heals_checkpoints() -> None:
    assert [role for role in ROLES if TOPICS.events in may(role, "Write")] == ["relay"]
    assert [role for role in ROLES if TOPICS.relay in may(role, "Write")] == ["relay", "admin"]
    assert [role for role in ROLES if TOPICS.commands in may(role, "Write")] == ["pipeline"]


def test_the_admin_may_heal() -> None:
    """Reads events, results and dead letters; writes where the relay of results is to begin."""
    assert {TOPICS.events, TOPICS.results, TOPICS.dead_letters, TOPICS.relay} <= may("admin", "Read")
    assert may("admin", "Write") == {TOPICS.relay, "acme.relay.results"}


def test_the_relay_may_look_at_what_a_broker_left_open_of_its_own() -> None:
    written = {name for name in may("relay", "Write") if name.endswith(".v1")}
    assert written <= may("relay", "Read")


def test_nobody_but_the_admin_creates_anything() -> None:
    assert [role for role in ROLES if may(role, "Create")] == ["admin"]


@pytest.mark.parametrize("role", ["relay", "api", "projector", "deployer", "notifier"])
def test_every_process_can_check_all_topics_at_its_start(role: str) -> None:
    assert {spec.name for spec in specs(SETTINGS)} <= may(role, "Describe") & may(role, "DescribeConfigs")


def test_a_subscriber_reads_events_and_no_more() -> None:
    assert of("subscriber") == [
        Right("regista-subscriber", "Topic", TOPICS.events, ("Read", "Describe", "DescribeConfigs"))
    ]


def test_roles_of_one_user_have_their_rights_together() -> None:
    users = {"relay": "one", "api": "one", "projector": "one"}
    [events] = [right for right in of("relay", users) if right.name == TOPICS.events]
    assert set(events.operations) == {"Read", "Write", "Describe", "DescribeConfigs"}


@pytest.mark.parametrize(("format_", "users"), [("yaml", {}), ("commands", {"boss": "me"})])
def test_what_does_not_exist_is_refused(format_: Any, users: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"there are commands|no such role"):
        plan(SETTINGS, format_, users)
