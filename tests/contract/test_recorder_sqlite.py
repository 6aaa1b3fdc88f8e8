"""The library's published recorder test cases, run over our recorder with text ids."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import uuid4

from regista.store.sqlite.datastore import LogDatastore
from regista.store.sqlite.recorder import SQLiteLogRecorder

if TYPE_CHECKING:
    from eventsourcing.tests import persistence as cases
else:
    # The module with the cases also holds some for encryption, which we never turn on, and imports its package.
    without_encryption = ModuleType("eventsourcing.cipher")
    without_encryption.AESCipher = None
    sys.modules["eventsourcing.cipher"] = without_encryption
    from eventsourcing.tests import persistence as cases

    del sys.modules["eventsourcing.cipher"]


class _OnFile(cases.RecorderTestCase):
    """A recorder over a new file for each test."""

    def new_originator_id(self) -> str:
        return f"model/{uuid4()}"

    def create_recorder(self) -> SQLiteLogRecorder:
        directory = TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        datastore = LogDatastore(Path(directory.name) / "log.db", lock_timeout=30)
        self.addCleanup(datastore.close)
        recorder = SQLiteLogRecorder(datastore)
        recorder.create_table()
        return recorder


class TestApplicationRecorder(_OnFile, cases.ApplicationRecorderTestCase[SQLiteLogRecorder]):
    pass


class TestNonInterleaving(_OnFile, cases.NonInterleavingNotificationIDsBaseCase):
    pass
