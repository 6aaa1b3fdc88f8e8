"""``regista topics``: create, check and plan, for a program that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast, get_args

from regista.domain.errors import Invalid, Unavailable
from regista.settings import Settings

try:
    from regista.bus.topics.administration import check_topics, create_topics, ensure_topics
    from regista.bus.topics.plan import Format, plan
except ModuleNotFoundError as error:
    raise Unavailable(
        "The packages for Kafka are not installed.", code="extra_missing", hint="pip install 'regista[server,kafka]'"
    ) from error


def create(settings: Settings) -> list[str]:
    """Create what is missing, and check everything; the names of those created.

    Raises:
        Refused: a topic cannot be created, or is not what it must be.
        Unavailable: Kafka does not answer.
    """

    async def run() -> list[str]:
        created = await create_topics(settings)
        await ensure_topics(settings)
        return created

    return asyncio.run(run()) if _named(settings) else []


def check(settings: Settings) -> list[dict[str, Any]]:
    """What is wrong with the topics.

    Raises:
        Unavailable: Kafka does not answer.
    """
    return [asdict(problem) for problem in asyncio.run(check_topics(settings))] if _named(settings) else []


def plan_text(settings: Settings, form: str, users: Sequence[str]) -> str:
    """Topics, ACLs, transactional ids and groups, as text of one form. ``users``: ``ROLE=USER``.

    Raises:
        Invalid: ``bad_plan``: no such form or role.
    """
    if form not in get_args(Format):
        raise Invalid(
            f"{form!r} is no form of a plan.", code="bad_plan", hint=f"There are {', '.join(get_args(Format))}."
        )
    pairs = [user.partition("=") for user in users]
    if wrong := [pair for pair, (role, _, user) in zip(users, pairs, strict=True) if not (role and user)]:
        raise Invalid(f"{wrong[0]!r} is not ROLE=USER.", code="bad_plan", hint="Such as relay=publisher.")
    try:
        return plan(settings, cast("Format", form), {role: user for role, _, user in pairs})
    except ValueError as wrong_role:
        raise Invalid(str(wrong_role), code="bad_plan") from wrong_role


def _named(settings: Settings) -> bool:
    """Whether there is a Kafka.

    Raises:
        Invalid: ``no_kafka``.
    """
    if settings.kafka is None:
        raise Invalid("There is no Kafka to look at.", code="no_kafka", hint="Name its brokers: --kafka HOST:PORT.")
    return True
