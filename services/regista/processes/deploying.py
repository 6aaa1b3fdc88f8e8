"""A deployer by the settings: where its work and its targets lie, and how it reaches the registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from regista.client import AsyncClient
from regista.deployer.attempts import Pace
from regista.deployer.deployer import Deployer, Tempo
from regista.deployer.gauges import DeploymentGauges
from regista.deployer.opening import Secrets, Surroundings
from regista.deployer.targets import Registry, open_target
from regista.processes.inside import INSIDE, transport_inside
from regista.projections.feed import Feed
from regista.work.consumer import End
from regista.work.database import Work

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from starlette.types import ASGIApp

    from regista.settings import Settings


def make_deployer(
    settings: Settings,
    work: Work,
    feed: Feed,
    clients: Callable[[str], AsyncClient],
    *,
    registry: Callable[[], Registry],
    secrets: Secrets,
    metrics: CollectorRegistry,
    end: End | None = None,
) -> Deployer:
    """The deployer of a process. ``registry``: where targets fetch artifacts from; ``end`` is as of ``Consumer``."""
    pace = Pace(attempt=settings.deploy_timeout, late=settings.deploy_late, hold=settings.deploy_grace)
    around = Surroundings(
        data=settings.data,
        registry=registry,
        secrets=secrets,
        open=open_target,
        allow_private=settings.allow_private,
        roots=settings.target_roots,
    )
    tempo = Tempo(pace, settings.deploy_look)
    deployer = Deployer(work, feed, clients, around, tempo=tempo, start=settings.effects_from, end=end)
    [deploying, _] = deployer.consumers
    metrics.register(
        DeploymentGauges(
            lambda: deployer.runner.counts,
            lambda: deploying.taking.mark.position,
            lambda: deployer.reports.status().waiting,
        )
    )
    return deployer


def clients_inside(settings: Settings, asgi: ASGIApp) -> Callable[[str], AsyncClient]:
    """Clients of the registry that runs in this process."""

    def client(actor: str) -> AsyncClient:
        transport = transport_inside(asgi)
        return AsyncClient(INSIDE, token=settings.bearer, actor=actor, attempts=1, transport=transport)

    return client


def clients_outside(settings: Settings) -> Callable[[str], AsyncClient]:
    """Clients of the registry that the settings name."""

    def client(actor: str) -> AsyncClient:
        return AsyncClient(settings.url, token=settings.bearer, actor=actor, attempts=1)

    return client
