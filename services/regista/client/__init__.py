"""The SDK: ``Client`` and ``AsyncClient`` over one core, and ``capture`` for training runs.

::

    exchange    what an operation asks of the world (requests, waiting, files), and what it gets
    retry       when to ask again                   session   what the operations of one client share
    calls       an operation as a value             bind      an operation as a method of both clients
    reads, writes, register, transfer               the operations
    drivers     the two ways to perform them        clients   Client and AsyncClient
    capture/    what a training run can tell about itself
"""

from regista.client.clients import AsyncClient, Client
from regista.client.errors import Unreachable
from regista.client.settings import Settings

__all__ = ["AsyncClient", "Client", "Settings", "Unreachable"]
