"""Opens the kind ``kserve``."""

from __future__ import annotations

from regista.deployer.targets.base import Target, TargetContext
from regista.deployer.targets.kserve.cluster import ClusterTarget
from regista.deployer.targets.kserve.gitops import GitOpsTarget
from regista.deployer.targets.kserve.options import KServeOptions
from regista.deployer.targets.options import read

_SECRETS = {"token": "for the Kubernetes API", "ca": "its certificate authority, PEM in base64"}


def open_kserve(context: TargetContext) -> Target:
    """The kind ``kserve``."""
    options = read(KServeOptions, context, secrets=_SECRETS)
    return ClusterTarget(context, options) if options.path is None else GitOpsTarget(options)
