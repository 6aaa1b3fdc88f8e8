"""The library's published recorder test cases, run over our recorder in PostgreSQL with text ids."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from regista.store.postgres import PostgresLogStore
from regista.store.postgres.address import Address
from regista.store.postgres.datastore import LogDatastore
from regista.store.postgres.recorder import PostgresLogRecorder

if TYPE_CHECKING:
    from eventsourcing.tests import persistence as cases
else:
    # The module with the cases also holds some for encryption, which we never turn on, and imports its package.
    without_encryption = ModuleType("eventsourcing.cipher")
    without_encryption.AESCipher = None
    sys.modules["eventsourcing.cipher"] = without_encryption
    from eventsourcing.tests import persistence as cases

    del sys.modules["eventsourcing.cipher"]

pytestmark = pytest.mark.engine("postgres")


class _InDatabase(cases.RecorderTestCase):
    """A recorder over a new database for each test, without the event that a log begins with."""

    url: str

    @pytest.fixture(autouse=True)
    def _database(self, postgres_database: str) -> None:
        self.url = postgres_database

    def new_originator_id(self) -> str:
        return f"model/{uuid4()}"

    def create_recorder(self) -> PostgresLogRecorder:
        PostgresLogStore(self.url).close()
        datastore = LogDatastore(Address(self.url), lock_timeout=30)
        self.addCleanup(datastore.close)
        with datastore.writer() as connection:
            connection.execute("TRUNCATE regista.events RESTART IDENTITY")
        return PostgresLogRecorder(datastore)


class TestApplicationRecorder(_InDatabase, cases.ApplicationRecorderTestCase[PostgresLogRecorder]):
    pass


class TestNonInterleaving(_InDatabase, cases.NonInterleavingNotificationIDsBaseCase):
    pass
