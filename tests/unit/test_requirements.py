"""The pinned files hold what pyproject.toml asks for, exactly, with hashes, and no address to fetch it from."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = ("build", "client", "dev", "image", "lock", "server")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())


def lines(name: str) -> list[str]:
    """The logical lines of a requirements file, continuation joined."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip()]


def pins(name: str) -> dict[str, set[str]]:
    """Each package of a requirements file with the versions pinned for some Python or platform."""
    found: dict[str, set[str]] = {}
    for line in lines(name):
        requirement = Requirement(line.partition("--hash")[0].strip())
        (specifier,) = requirement.specifier
        found.setdefault(canonicalize_name(requirement.name), set()).add(specifier.version)
    return found


def expanded(requirements: list[str]) -> list[Requirement]:
    """Requirements with the extras of Regista itself replaced by what they hold."""
    found = []
    for requirement in map(Requirement, requirements):
        if requirement.name == "regista":
            for extra in requirement.extras:
                found += expanded(PROJECT["project"]["optional-dependencies"][extra])
        else:
            found.append(requirement)
    return found


def grouped(name: str) -> list[Requirement]:
    members = PROJECT["dependency-groups"][name]
    return [
        requirement
        for member in members
        for requirement in (grouped(member["include-group"]) if isinstance(member, dict) else [Requirement(member)])
    ]


BASE = expanded(PROJECT["project"]["dependencies"])
WANTED = {
    "build": grouped("build"),
    "client": BASE,
    "server": [*BASE, *expanded(["regista[server]"])],
    "image": [*BASE, *expanded(["regista[server,kafka,postgres]"])],
    "dev": [*BASE, *expanded(["regista[all]"]), *grouped("dev")],
    "lock": grouped("lock"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_an_exact_version_with_its_hashes_and_nothing_else(name: str) -> None:
    exact = re.compile(r"[\w.-]+==[\w.]+( ; [^-]+?)?(\s+--hash=sha256:[0-9a-f]{64})+\s*")
    assert [line for line in lines(name) if not exact.fullmatch(line)] == []


@pytest.mark.parametrize("name", FILES)
def test_no_download_address_and_no_path_is_in_a_pinned_file(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert re.findall(r"://|--index|--extra-index|--find-links|\B/\w+|@", text) == []


@pytest.mark.parametrize("name", FILES)
def test_what_the_project_asks_for_is_pinned_at_a_version_that_it_allows(name: str) -> None:
    pinned = pins(name)
    stale = [
        str(wanted)
        for wanted in WANTED[name]
        if not (versions := pinned.get(canonicalize_name(wanted.name)))
        or not all(wanted.specifier.contains(version, prereleases=True) for version in versions)
    ]
    assert stale == [], "run make lock"


@pytest.mark.parametrize("name", ["build", "client", "image", "server"])
def test_every_file_pins_what_the_development_file_pins(name: str) -> None:
    development = pins("dev")
    assert {package: versions for package, versions in pins(name).items() if versions != development[package]} == {}


def test_the_client_is_light() -> None:
    assert (
        pins("client").keys() & {"fastapi", "starlette", "uvicorn", "sqlalchemy", "eventsourcing", "fastavro"} == set()
    )


def test_all_means_all_extras() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (requirement,) = map(Requirement, extras["all"])
    assert requirement.extras == extras.keys() - {"all"}


def test_no_other_lock_is_kept() -> None:
    assert not (ROOT / "uv.lock").exists()
