"""The two copies of a log, the store's and Kafka's: compare them, and make the store equal to Kafka again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from regista.domain.errors import Damaged, Invalid, Refused, Unavailable
from regista.storage import open_log
from regista.store.birth import Importer
from regista.store.compare import CopyReport, compare
from regista.store.export import event_line
from regista.store.heal import Copy, heal
from regista.wire.administration import Healed

if TYPE_CHECKING:
    from regista.bus.events.history import TopicHistory
    from regista.domain.chain import Row
    from regista.settings import Settings
    from regista.store.log import LogReader, LogStore

Report = Callable[[int, int], None]
"""Told how many of how many positions are done."""
SOURCE = "kafka"


def compare_with_kafka(log: LogReader, settings: Settings, report: Report) -> CopyReport:
    """Compare the log with the topic, record by record, and walk the topic's hash chains.

    Raises:
        Invalid: ``no_kafka``.
        Unavailable: Kafka cannot be read.
        Damaged: the topic is empty, or holds what is no event.
    """
    topic = _topic(settings)
    return compare(log, topic.log_id, topic.rows(), progress=report)


def offline_heal(
    settings: Settings,
    *,
    actor: str,
    reason: str | None,
    quarantine: Path | None,
    report: Callable[[int], None] = lambda _at: None,
) -> Healed:
    """Make the log equal to what Kafka has of it; a log that is not there comes to be.

    What Kafka contradicts is written to the file ``quarantine``, as lines of an export, before anything changes.

    Raises:
        Refused: ``foreign_log``: the store has events of another log.
        Invalid: ``copy_damaged``; ``no_kafka``.
        Unavailable: the data is in use (``data_in_use``, ``log_in_use``) or cannot be written, or Kafka cannot be read.
        Damaged: the topic is empty, or holds what is no event.
    """
    topic = _topic(settings)
    now = datetime.now(UTC)
    place = quarantine or settings.data / f"quarantine-{now:%Y%m%dT%H%M%SZ}.jsonl"
    with closing(open_log(settings)) as log, log.alone():
        done = heal(
            log,
            Copy(SOURCE, topic.log_id, topic.rows),
            Importer(actor, "asserted", now, reason),
            lambda rows: _write(place, rows),
            before=lambda: _forget_queues(log, settings, topic.log_id),
            progress=report,
        )
        queues = done.healed or _heal_queues(log, settings, topic.log_id)
    return Healed(
        log_id=done.log_id,
        position=done.position,
        kept=done.kept,
        restored=done.restored,
        quarantined=done.quarantined,
        unpublished=done.unpublished,
        queues=queues,
        quarantine=str(place) if done.quarantined else None,
    )


def check_not_published(log: LogReader, settings: Settings) -> None:
    """Check that Kafka, where it is named, has nothing of a log that is to become another one.

    Raises:
        Refused: ``log_published``.
        Unavailable: Kafka cannot be read.
    """
    if settings.kafka is None:
        return
    try:
        published = _topic(settings).log_id
    except Damaged as error:
        if error.code != "empty_topic":
            raise
        return
    except Unavailable as error:
        if error.code == "events_topic_missing":
            return
        raise Unavailable(
            f"Whether Kafka has the beginning of this log cannot be seen: {error.detail}",
            code=error.code,
            hint="Unset REGISTA_KAFKA to import without this look. A relay that did publish it halts then.",
        ) from error
    if published == log.log_id:
        raise Refused(
            "Kafka has the beginning of the log that is here, which would go on as another.",
            code="log_published",
            hint="Import into an empty directory or database, with a prefix (REGISTA_KAFKA_PREFIX) that no other log has, "
            "or that of the exported log.",
        )


def _forget_queues(log: LogStore, settings: Settings, log_id: str) -> None:
    """What the store remembers of commands that came by Kafka becomes what Kafka says of them.

    Repeated after a crash it does the same again. Commands that were not answered are taken in anew; those that the log
    has are known by their ids.
    """
    from regista.bus.commands.remembered import answered_up_to, begin_results_anew  # noqa: PLC0415 - an extra of its own

    log.forget_queues(asyncio.run(answered_up_to(settings)))
    asyncio.run(begin_results_anew(settings, log_id))


def _heal_queues(log: LogStore, settings: Settings, log_id: str) -> bool:
    """Make what the store remembers of queues what Kafka says, where it lags though the events are equal; whether it did.

    A refusal leaves no event: a backup from before it has the same log, and not what was answered since.
    """
    from regista.bus.commands.remembered import knows, published_results  # noqa: PLC0415 - an extra of its own

    if knows(log, asyncio.run(published_results(settings)), settings):
        return False
    _forget_queues(log, settings, log_id)
    return True


def _topic(settings: Settings) -> TopicHistory:
    if settings.kafka is None:
        raise Invalid(
            "There is no Kafka to look at.", code="no_kafka", hint="Name its brokers: REGISTA_KAFKA=HOST:PORT."
        )
    try:
        from regista.bus.events.history import TopicHistory  # noqa: PLC0415 - an extra of its own
    except ModuleNotFoundError as error:
        raise Unavailable(
            "The packages for Kafka are not installed.",
            code="extra_missing",
            hint="pip install 'regista[server,kafka]'",
        ) from error
    return TopicHistory(settings)


def _write(place: Path, rows: Iterable[Row]) -> None:
    """Write rows as lines of an export into a new file; they are on the disk when it returns."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with place.open("x", encoding="utf-8") as file:
            file.writelines(event_line(row) for row in rows)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(
            f"{place} cannot be written: {error.strerror}", code="quarantine_failed", hint="Name another --quarantine."
        ) from error
