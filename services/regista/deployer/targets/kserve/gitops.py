"""InferenceServices as files, for a GitOps tool that brings them to a cluster: ``<path>/<namespace>/<name>.yaml``.

What runs cannot be seen from here. So a canary is written only beside a champion that the file before rolled out alone;
whether the cluster has come that far is the tool's to say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from regista.artifacts.local_files import in_thread
from regista.deployer.targets import files
from regista.deployer.targets.base import Applied, TargetFailed, Wanted
from regista.deployer.targets.guard import Guard
from regista.deployer.targets.kserve.options import KServeOptions
from regista.deployer.targets.kserve.plan import check_turn, plan, rendered, step_of
from regista.domain.endpoint.commands import ObservedVariant


class GitOpsTarget:
    """One directory."""

    def __init__(self, options: KServeOptions) -> None:
        assert options.path is not None
        self._root = Path(options.path)
        self._options = options
        self._guard = Guard(self._root / ".regista" / "newest")

    async def apply(self, wanted: Wanted) -> Applied:
        """Write the file, or take it away."""
        return await in_thread(self._apply, wanted)

    async def observe(self, environment: str, endpoint: str) -> tuple[ObservedVariant, ...] | None:
        """It cannot be told."""
        del environment, endpoint
        return None

    async def aclose(self) -> None:
        """Nothing is held."""

    def _apply(self, wanted: Wanted) -> Applied:
        place = self._root / self._options.namespace / f"{self._name(wanted)}.yaml"
        try:
            with self._guard.admitted(wanted):
                current = _read(place)
                if current is not None:
                    check_turn(current, wanted)
                if not wanted.variants:
                    files.remove(place)
                else:
                    content = yaml.safe_dump(self._next(current, wanted), sort_keys=False)
                    files.replace(place, content.encode(), self._root)
        except OSError as error:
            raise TargetFailed(
                f"{place} cannot be written: {error.strerror or error}", code="cannot_write", retryable=True
            ) from error
        return Applied((), f"{place} is written")

    def _next(self, current: dict[str, Any] | None, wanted: Wanted) -> dict[str, Any]:
        step = plan(step_of(current) if current else None, wanted, self._options)
        if not step.final:
            raise TargetFailed(
                f"KServe makes {step.latest.version} a champion by rolling it out alone first",
                code="champion_first",
                hint=f"Change the traffic to {step.latest.version}=100; when that runs, add the canary.",
                retryable=False,
            )
        return rendered(step, wanted, self._options)

    def _name(self, wanted: Wanted) -> str:
        return self._options.name_of(wanted.environment, wanted.endpoint)


def _read(place: Path) -> dict[str, Any] | None:
    try:
        value = yaml.safe_load(place.read_bytes())
    except FileNotFoundError:
        return None
    except yaml.YAMLError:
        value = None
    return value if isinstance(value, dict) else {}
