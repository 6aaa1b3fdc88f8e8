"""The interpreter, the packages that are really loaded, and the hardware. No host name, no environment variable."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

_SECONDS = 10


def python_version() -> str:
    """Such as ``CPython 3.12.4``."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def loaded_packages() -> dict[str, str]:
    """Versions of the distributions that any loaded module belongs to: what took part, not what lies around."""
    owners = _owners(_state_of_paths())
    modules = {name.partition(".")[0] for name in list(sys.modules)} - set(sys.stdlib_module_names)
    names = {name for module in modules for name in owners.get(module, ())}
    return {name: _version(name) for name in sorted(names, key=str.lower)}


def installed_packages() -> dict[str, str]:
    """Versions of all distributions that are installed."""
    found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions() if dist.metadata["Name"]}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def hardware() -> dict[str, str]:
    """CPU, cores, memory, GPUs and system, by name."""
    found = {
        "cpu": _cpu(),
        "cores": str(_cores()),
        "memory": _memory(),
        "gpu": "; ".join(_gpus()),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}".strip(),
    }
    return {name: value for name, value in found.items() if value}


@lru_cache(maxsize=1)
def _owners(_state: tuple[tuple[str, int], ...]) -> Mapping[str, list[str]]:
    """The distributions of each top-level module. Half a second where many are installed: not for each run anew."""
    return metadata.packages_distributions()


def _state_of_paths() -> tuple[tuple[str, int], ...]:
    """What changes whenever something is installed or removed: when each folder of modules was last written."""
    folders = [(path, Path(path)) for path in sys.path]
    return tuple((path, folder.stat().st_mtime_ns if folder.is_dir() else 0) for path, folder in folders)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown"


def _cpu() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            models = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
            return next(models, "") or platform.processor() or platform.machine()
    except OSError:
        return platform.processor() or platform.machine()


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return ""
    return f"{size / 2**30:.1f} GiB"


def _gpus() -> Iterator[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return
    command = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - no shell
    except (OSError, subprocess.TimeoutExpired):
        return
    if done.returncode == 0:
        yield from (line.strip() for line in done.stdout.splitlines() if line.strip())
