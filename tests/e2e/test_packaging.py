"""Wheel, source distribution and editable install hold the same package; without extras it is light.

The light environment is made from requirements/client.txt, the set that ``pip install regista`` resolves to.
"""

import json
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from build import ProjectBuilder

ROOT = Path(__file__).parents[2]
CACHES = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}
SOURCE_ROOTS = ("services", "projections", "schemas")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

LIST_FILES = """
import json, pathlib, regista
found = [path.relative_to(root) for root in map(pathlib.Path, regista.__path__) for path in root.rglob("*")
         if path.is_file() and not {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"} & set(path.parts)]
print(json.dumps(sorted(path.as_posix() for path in found)))
"""
LIST_PACKAGES = """
import importlib.metadata, json
print(json.dumps(sorted(found.metadata["Name"].lower() for found in importlib.metadata.distributions())))
"""
# The site of the test environment is appended, so that what is tested is found first and its dependencies behind it.
IMPORT_ALL = """
import importlib, json, pathlib, sys
sys.path.append(sys.argv[1])
import regista
for name in json.loads(sys.stdin.read()):
    importlib.import_module(name)
print(json.dumps(sorted({str(pathlib.Path(root)) for root in regista.__path__})))
"""


def run(*command: str | Path, stdin: str | None = None) -> str:
    answer = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def environment(folder: Path, *installed: str | Path) -> Path:
    """A fresh virtual environment with what is named installed; its folder of programs."""
    venv.create(folder, with_pip=False, symlinks=True)
    programs = folder / "bin"
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        programs / "python",
        "--disable-pip-version-check",
        "install",
    ]
    if "-r" in installed:
        run(*pip, "--quiet", "--require-hashes", *installed[:2])
        installed = installed[2:]
    run(*pip, "--quiet", "--no-deps", "--no-index", *installed)
    return programs


def modules(files: set[str]) -> list[str]:
    names = [name.removesuffix(".py").removesuffix("/__init__") for name in files if name.endswith(".py")]
    return sorted("regista" if name == "__init__" else f"regista.{name.replace('/', '.')}" for name in names)


@pytest.fixture(scope="module")
def source() -> set[str]:
    """What the three source roots hold, relative to ``regista``."""
    return {
        path.relative_to(ROOT / root / "regista").as_posix()
        for root in SOURCE_ROOTS
        for path in (ROOT / root / "regista").rglob("*")
        if path.is_file() and not CACHES.intersection(path.parts)
    }


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it rather than from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory, distributions: tuple[Path, Path]) -> Path:
    """Where the programs of an environment are that holds the wheel without extras."""
    pinned = ROOT / "requirements" / "client.txt"
    return environment(tmp_path_factory.mktemp("light") / "venv", "-r", pinned, distributions[1])


def test_the_source_distribution_holds_the_same_package(distributions: tuple[Path, Path], source: set[str]) -> None:
    with tarfile.open(distributions[0]) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    found = {
        name.removeprefix(f"{root}/regista/")
        for name in names
        for root in SOURCE_ROOTS
        if name.startswith(f"{root}/regista/")
    }
    assert found >= source
    assert {"README.md", "pyproject.toml", "Makefile", "requirements/dev.txt", "tests/conftest.py"} <= set(names)
    assert {"Dockerfile", ".dockerignore", "docker-compose.yml", ".env.example"} <= set(names)
    assert {f"deploy/kubernetes/{path.name}" for path in (ROOT / "deploy" / "kubernetes").iterdir()} <= set(names)
    assert [name for name in names if "__pycache__" in name or name.endswith("uv.lock")] == []


def test_the_wheel_holds_the_same_package(light: Path, source: set[str]) -> None:
    found = set(json.loads(run(light / "python", "-I", "-c", LIST_FILES)))
    assert found == source
    assert {name for name in found if name.endswith(".avsc")} != set()
    assert {"py.typed", "domain/errors.py"} <= found


def test_an_editable_install_holds_the_same_package(tmp_path: Path, source: set[str]) -> None:
    editable = ProjectBuilder(ROOT).build("editable", str(tmp_path))
    programs = environment(tmp_path / "venv", editable)
    assert set(json.loads(run(programs / "python", "-I", "-c", LIST_FILES))) == source


def test_the_wheel_holds_nothing_but_the_package(distributions: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(distributions[1]) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    assert tops == {"regista", f"regista-{VERSION}.dist-info"}


def test_every_module_of_the_wheel_can_be_imported(light: Path, source: set[str]) -> None:
    names = [name for name in modules(source) if not name.endswith("__main__")]
    roots = run(light / "python", "-I", "-c", IMPORT_ALL, sysconfig.get_path("purelib"), stdin=json.dumps(names))
    assert [Path(root).is_relative_to(light.parent) for root in json.loads(roots)] == [True]


def test_without_extras_no_server_package_is_pulled(light: Path) -> None:
    found = set(json.loads(run(light / "python", "-I", "-c", LIST_PACKAGES)))
    assert (
        found & {"aiokafka", "boto3", "eventsourcing", "fastapi", "fastavro", "numpy", "sqlalchemy", "uvicorn"} == set()
    )
    assert {"regista", "httpx", "pydantic", "typer"} <= found


def test_the_public_names_work_without_extras(light: Path) -> None:
    program = "import regista; [getattr(regista, name) for name in regista.__all__]; print(regista.__version__)"
    assert run(light / "python", "-I", "-c", program).strip() == VERSION


def test_the_command_tells_its_version(light: Path) -> None:
    assert run(light / "regista", "--version").strip().endswith(VERSION)


@pytest.mark.parametrize("arguments", [["up"], ["serve"], ["verify", "--data", "."], ["rebuild", "--data", "."]])
def test_a_server_command_without_its_extra_tells_what_to_install(
    light: Path, tmp_path: Path, arguments: list[str]
) -> None:
    answer = subprocess.run(
        [light / "regista", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=30
    )
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert "pip install 'regista[server]'" in answer.stderr
    assert "Traceback" not in answer.stderr
