"""The SDK: ``Client`` and ``AsyncClient`` over one core, and ``capture`` for training runs.

::

    exchange    what an operation asks of the world (requests, waiting, files), and what it gets
    retry       when to ask again                   session   what the operations of one client share
    calls       an operation as a value             bind      an operation as a method of both clients
    reads, writes, models, administration           the operations
    deployment_reads, deployments, subscriptions    those on what serves models, and on webhooks
    inference   live metrics of what is served
    register, push, pull, verify, follow                    those that take several requests
    drivers     the two ways to perform them        clients   Client and AsyncClient
    training/   what a training run can tell about itself
"""

from regista.client.clients import AsyncClient, Client
from regista.client.errors import Unreachable
from regista.client.inference import InferenceRecorder
from regista.client.pull import Pulled
from regista.client.push import Pushed
from regista.client.settings import Settings
from regista.client.training.run import Run, capture
from regista.client.verify import ArtifactChecked, VersionChecked
from regista.domain.commands import UNSET

__all__ = [
    "UNSET",
    "ArtifactChecked",
    "AsyncClient",
    "Client",
    "InferenceRecorder",
    "Pulled",
    "Pushed",
    "Run",
    "Settings",
    "Unreachable",
    "VersionChecked",
    "capture",
]
