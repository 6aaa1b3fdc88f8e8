"""One upload into a folder, from its temporary file to its final name."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from regista.artifacts.blob_store import blob_key
from regista.artifacts.digests import hex_of
from regista.artifacts.intake import Intake
from regista.artifacts.local_files import fsync_folder, make_folders, storage_errors
from regista.domain.errors import Damaged


class UnfinishedBlob:
    """The temporary file of an upload: write, :meth:`finish`, and always :meth:`close`, which removes what is left.

    With ``present`` the bytes are only checked, for the blob is there already.
    """

    def __init__(self, root: Path, digest: str, size: int | None, *, present: bool) -> None:
        self._digest, self._intake = digest, Intake(digest, size)
        self._target = root / blob_key(digest)
        self._root, self._present = root, present
        self._temporary: Path | None = None
        self._descriptor = -1

    def write(self, data: bytes | bytearray) -> None:
        """Check and write the next bytes."""
        self._intake.take(data)
        if self._present:
            return
        view = memoryview(data)
        with storage_errors():
            if self._descriptor < 0:
                self._begin()
            while view:
                view = view[os.write(self._descriptor, view) :]

    def finish(self) -> bool:
        """Give the bytes their final name, durably; False when somebody has done so before."""
        self._intake.finish()
        with storage_errors():
            created = self._temporary is not None and self._link(self._temporary)
            fsync_folder(self._target.parent)  # where it was there, too: who made it may not have come this far yet
            stored = self._target.stat().st_size
        if stored != self._intake.size:
            raise Damaged(
                f"{self._digest} is stored with {stored} bytes instead of {self._intake.size}.",
                hint=f"Restore {self._target} from a backup, or remove it and upload again.",
            )
        return created

    def close(self) -> None:
        """Remove the temporary file; the blob, where it was finished, keeps its bytes under its own name."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            with storage_errors():
                self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _begin(self) -> None:
        folder = self._root / "unfinished"
        make_folders(folder, self._root)
        self._descriptor, name = tempfile.mkstemp(dir=folder, prefix=f"{hex_of(self._digest)[:16]}-")
        self._temporary = Path(name)

    def _link(self, temporary: Path) -> bool:
        os.fchmod(self._descriptor, 0o444)
        os.utime(
            self._descriptor, ns=(time.time_ns(),) * 2
        )  # its age counts from here, not from the last byte of a slow upload
        os.fsync(self._descriptor)
        make_folders(self._target.parent, self._root)
        try:
            os.link(temporary, self._target)
        except FileExistsError:
            return False
        return True
