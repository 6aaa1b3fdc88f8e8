"""All views, in the order in which they are listed."""

from __future__ import annotations

from regista.projections.views import (
    aliases,
    deployments,
    endpoints,
    environments,
    events,
    lineage,
    models,
    stages,
    subscriptions,
    targets,
    versions,
)

VIEWS = (
    models.VIEW,
    versions.VIEW,
    stages.VIEW,
    aliases.VIEW,
    lineage.VIEW,
    environments.VIEW,
    targets.VIEW,
    endpoints.VIEW,
    deployments.VIEW,
    subscriptions.VIEW,
    events.VIEW,
)
