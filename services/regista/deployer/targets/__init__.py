"""Targets: the systems that endpoints are deployed to, each a small plug-in."""

from regista.deployer.targets.base import (
    Applied,
    Registry,
    Target,
    TargetContext,
    TargetFailed,
    TargetKind,
    Wanted,
)
from regista.deployer.targets.registry import kinds, open_target

__all__ = [
    "Applied", "Registry", "Target", "TargetContext", "TargetFailed", "TargetKind", "Wanted", "kinds", "open_target",
]  # fmt: skip
