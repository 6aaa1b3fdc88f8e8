"""A notifier by the settings: where its work lies, what it may call, and how it reaches the registry."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import httpx

from regista.notifier.notifier import Configuration, LogHistory, Notifier, Surroundings
from regista.notifier.registry import HttpRegistry
from regista.notifier.retention import Retention
from regista.notifier.schedule import Schedule
from regista.notifier.sender import Limits
from regista.processes.inside import INSIDE, transport_inside
from regista.store.log import newest_known

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp

    from regista.projections.feed import Feed
    from regista.settings import Settings
    from regista.store.log import LogReader
    from regista.store.private import PrivateTable
    from regista.work.consumer import End
from regista.work.database import Work


def make_notifier(
    settings: Settings,
    work: Work,
    feed: Feed,
    *,
    log: LogReader,
    private: PrivateTable,
    registry: httpx.AsyncClient,
    metrics: CollectorRegistry,
    begins: End | None = None,
    hindering: bool = False,
) -> Notifier:
    """The notifier of a process. ``hindering``: the process does nothing else, and is not ready where this is in trouble.

    ``begins`` is ``end`` of ``Consumer``.

    Raises:
        Damaged, Unavailable: as ``Notifier``.
    """

    async def secret(id_: str) -> str | None:
        return await asyncio.to_thread(private.get, id_)

    around = Surroundings(
        work=work,
        feed=feed,
        history=LogHistory(log),
        registry=HttpRegistry(registry),
        secret=secret,
        end=partial(newest_known, log),
        start=settings.effects_from,
        begins=begins,
    )
    return Notifier(around, configuration(settings), metrics, hindering=hindering)


def configuration(settings: Settings) -> Configuration:
    """How webhooks are sent and kept."""
    return Configuration(
        allow_private=settings.allow_private,
        schedule=Schedule(settings.webhook_retries),
        limits=Limits(total=settings.webhook_timeout, read=min(settings.webhook_timeout, Limits().read)),
        retention=Retention(finished=timedelta(seconds=settings.webhook_kept)),
    )


def registry_inside(settings: Settings, asgi: ASGIApp) -> httpx.AsyncClient:
    """A client of the registry that runs in this process."""
    return httpx.AsyncClient(transport=transport_inside(asgi), base_url=INSIDE, headers=_headers(settings))


def registry_outside(settings: Settings) -> httpx.AsyncClient:
    """A client of the registry that the settings name. Certificates are read only where they are needed."""
    secure = settings.url.startswith("https:")
    return httpx.AsyncClient(base_url=settings.url, headers=_headers(settings), verify=secure)


def _headers(settings: Settings) -> dict[str, str]:
    return {} if settings.bearer is None else {"Authorization": f"Bearer {settings.bearer}"}
