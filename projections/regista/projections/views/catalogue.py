"""All views, in the order in which they are listed."""

from __future__ import annotations

from regista.projections.views import aliases, events, lineage, models, stages, versions

VIEWS = (models.VIEW, versions.VIEW, stages.VIEW, aliases.VIEW, lineage.VIEW, events.VIEW)
