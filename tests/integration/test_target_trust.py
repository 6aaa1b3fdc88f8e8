"""Who may register a target is not thereby allowed to run programs, to read files, or to have secrets told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.model_doubles import free_port
from tests.support.target_subjects import SUBJECTS, Nginx, variant, wanted
from tests.support.working import eventually

from regista.deployer.targets import TargetFailed
from regista.deployer.targets.nginx.process import Nginx as Process

ALL = variant(1, 10_000)


@pytest.fixture
async def subject(tmp_path: Path) -> AsyncIterator[Nginx]:
    async with SUBJECTS["nginx"](tmp_path) as subject:
        assert isinstance(subject, Nginx)
        yield subject


async def refusal(subject: Nginx, configuration: Path, pid: Path) -> TargetFailed:
    """What is said of a configuration that is said to be that of an nginx by a file with its id."""
    subject.settings["existing"] = {"configuration": str(configuration), "include": "x.conf", "pid": str(pid)}
    target = subject.open()
    with pytest.raises(TargetFailed) as failed:
        await target.apply(wanted(1, ALL))
    await target.aclose()
    return failed.value


@pytest.fixture
async def theirs(tmp_path: Path) -> AsyncIterator[Path]:
    """The file with the id of an nginx that somebody runs here."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    temporary = "".join(f"{n}_temp_path {folder}/{n}; " for n in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    server = f"server {{ listen 127.0.0.1:{free_port()}; }}"
    (folder / "nginx.conf").write_text(
        f"pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary} {server} }}\n"
    )
    started = await asyncio.create_subprocess_exec(
        "/usr/sbin/nginx", "-p", f"{folder}/", "-c", "nginx.conf", stderr=asyncio.subprocess.DEVNULL
    )
    assert await started.wait() == 0
    pid = folder / "nginx.pid"
    await eventually(lambda: Process("/usr/sbin/nginx", folder, folder / "nginx.conf", pid).master() is not None)
    yield pid
    os.kill(int((folder / "nginx.pid").read_text()), signal.SIGQUIT)


@pytest.mark.parametrize("running", [False, True])
async def test_nothing_is_done_by_a_configuration_that_only_a_target_names(
    subject: Nginx, theirs: Path, tmp_path: Path, running: bool
) -> None:
    """It writes files and loads programs where its configuration says so, in a mere test of it; anybody may upload one."""
    written = tmp_path / "written"
    configuration = tmp_path / "uploaded"
    configuration.write_text(f"error_log {written};\nevents {{}}\n")
    failed = await refusal(subject, configuration, theirs if running else tmp_path / "no.pid")
    assert failed.code == ("not_its_configuration" if running else "not_running")
    assert not written.exists()


async def test_no_file_is_told_that_a_target_names(subject: Nginx, theirs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct-horse; battery")
    assert "correct-horse" not in str(await refusal(subject, secret, theirs))


async def test_the_configuration_that_an_nginx_was_started_with_is_told_apart(theirs: Path) -> None:
    """Also where it was named relatively."""
    configuration = theirs.with_name("nginx.conf")
    await Process("/usr/sbin/nginx", theirs.parent, configuration, theirs).check_started_with()
    with pytest.raises(TargetFailed, match="was not started with"):
        await Process("/usr/sbin/nginx", theirs.parent, Path("/etc/nginx/nginx.conf"), theirs).check_started_with()
