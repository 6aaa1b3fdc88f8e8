"""What tests start ends with them, whatever ends them; and not before."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile

import leash

TOOLS = Path(leash.__file__).parent
STARTS_AND_DIES = """
import os, signal, sys
import leash
leash.start(["sleep", "60"], sys.stdout.buffer)
print("started", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    # The child holds the pipe too, so that it is read to its end only once both are gone.
    parent = subprocess.run(
        [sys.executable, "-c", STARTS_AND_DIES],
        env=os.environ | {"PYTHONPATH": str(TOOLS)},
        stdout=subprocess.PIPE,
        check=False,
        timeout=30,
    )
    assert parent.stdout == b"started\n"
    assert parent.returncode == -signal.SIGKILL


def test_a_child_outlives_the_thread_that_started_it() -> None:
    started: list[subprocess.Popen[bytes]] = []
    with TemporaryFile() as output:
        thread = threading.Thread(target=lambda: started.append(leash.start(["sleep", "60"], output)))
        thread.start()
        thread.join()
        (child,) = started
        assert child.poll() is None
        child.terminate()
        assert leash.ended(child, 10) == -signal.SIGTERM
