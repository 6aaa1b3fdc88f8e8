"""Dependencies point inwards: the arrows between the parts that docs/architecture.md draws, and no others.

The whole tree is read with ``ast``, imports inside functions and under ``TYPE_CHECKING`` too: a type that points
outwards is an arrow like any other.
"""

import ast
import gc
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import regista

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = ("services", "projections", "schemas")
LONGEST_MODULE = 400

# What any part of a server may import beside what is named for it.
SMALL = ("regista.within", "regista.tasks", "regista.plain_route")
# What a part may import of ours; parts that are not named here may import any but the entry points.
INWARD = {
    "regista.domain": ("regista.domain",),
    "regista.schemas": ("regista.schemas",),
    "regista.wire": ("regista.wire", "regista.domain"),
    "regista.artifacts": ("regista.artifacts", "regista.domain"),
    "regista.client": ("regista.client", "regista.wire", "regista.domain", "regista.artifacts", "regista.__version__"),
    "regista.projections": ("regista.projections", "regista.domain", "regista.schemas", "regista.wire", *SMALL),
    "regista.store": ("regista.store", "regista.domain", "regista.schemas", "regista.projections.feed", *SMALL),
    "regista.registrar": (
        "regista.registrar", "regista.domain", "regista.schemas", "regista.store", "regista.artifacts", "regista.wire",
        "regista.http", *SMALL,
    ),
    "regista.bus": (
        "regista.bus", "regista.domain", "regista.schemas", "regista.store", "regista.registrar", "regista.client",
        "regista.wire", "regista.projections.feed", "regista.http.problems", *SMALL,
    ),
    "regista.http": (
        "regista.http", "regista.domain", "regista.wire", "regista.store", "regista.projections", "regista.settings",
        *SMALL,
    ),
    "regista.work": (
        "regista.work", "regista.domain", "regista.schemas", "regista.wire", "regista.client", "regista.store",
        "regista.projections", "regista.settings", *SMALL,
    ),
    "regista.deployer": (
        "regista.deployer", "regista.domain", "regista.wire", "regista.client", "regista.work", "regista.artifacts",
        "regista.serving", "regista.bus", "regista.projections.feed", "regista.http.parts", "regista.outbound", *SMALL,
    ),
    "regista.notifier": (
        "regista.notifier", "regista.domain", "regista.wire", "regista.work", "regista.store", "regista.projections",
        "regista.http.parts", "regista.outbound", *SMALL,
    ),
    "regista.metrics": (
        "regista.metrics", "regista.domain", "regista.wire", "regista.client", "regista.work", "regista.http.parts",
        *SMALL,
    ),
    "regista.serving": (
        "regista.serving", "regista.domain", "regista.client", "regista.artifacts", "regista.http.serving", *SMALL,
    ),
    "regista.outbound": ("regista.outbound", "regista.domain"),
}  # fmt: skip
# What a part must not import of ours, though it may import others.
FORBIDDEN = {"regista.client": ("regista.artifacts.routes",)}
# What only these may import.
RESERVED = {
    "eventsourcing": ("regista.store",),
    "aiokafka": ("regista.bus",),
    "psycopg": ("regista.store.postgres", "regista.projections.postgres"),
    "faust": ("regista.deployer.app",),
    "regista.server": ("regista.server", "regista.cli"),
    "regista.processes": ("regista.processes", "regista.server", "regista.cli"),
    "regista.cli": ("regista.cli",),
}
SERVER_PACKAGES = (
    "aiohttp", "aiokafka", "boto3", "eventsourcing", "fastapi", "fastavro", "faust", "jinja2", "lightkube", "orjson",
    "prometheus_client", "psycopg", "sqlalchemy", "standardwebhooks", "starlette", "uvicorn",
)  # fmt: skip
PURE = "regista.domain"  # the standard library alone
PYDANTIC_ONLY = "regista.wire"
LIGHT = ("regista.client", "regista.artifacts")  # installed without an extra
LIGHT_EXCEPT = ("regista.artifacts.routes",)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One import: from a module, at a line of its file, to a dotted name (a module, or a name inside one)."""

    source: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.source}:{self.line} imports {self.target}"


def within(name: str, parts: tuple[str, ...] | str) -> bool:
    """Whether a dotted name is one of ``parts`` or lies below one."""
    return any(name == part or name.startswith(f"{part}.") for part in ((parts,) if isinstance(parts, str) else parts))


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    for source_root in SOURCE_ROOTS:
        for path in sorted((root / source_root).rglob("*.py")):
            parts = path.relative_to(root / source_root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def arrows(module: str, path: Path) -> Iterator[Arrow]:
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        match node:
            case ast.Import(names=names):
                yield from (Arrow(module, alias.name, node.lineno) for alias in names)
            case ast.ImportFrom(names=names, level=level):
                package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
                base = [*package[: len(package) - level + 1], *([node.module] if node.module else [])] if level else []
                origin = ".".join(base) if level else node.module or ""
                yield from (Arrow(module, f"{origin}.{alias.name}", node.lineno) for alias in names)
            case ast.Call(func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module")):
                name = node.args[0] if node.args else None
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield Arrow(module, name.value, node.lineno)


def verdict(arrow: Arrow) -> str | None:
    """Why an arrow is wrong; None when it is right."""
    source, target = arrow.source, arrow.target
    top = target.partition(".")[0]
    for name, owners in RESERVED.items():
        if within(target, name) and not within(source, owners):
            return f"only {' and '.join(owners)} may"
    for part, others in FORBIDDEN.items():
        if within(source, part) and within(target, others):
            return f"{part} never does"
    if top == "regista":
        for part, allowed in INWARD.items():
            if within(source, part) and not within(target, allowed):
                return f"{part} imports of ours only {', '.join(allowed)}"
        return None
    return None if top in sys.stdlib_module_names else third_party_verdict(source, top)


def third_party_verdict(source: str, top: str) -> str | None:
    if within(source, PURE):
        return "the domain imports the standard library alone"
    if within(source, PYDANTIC_ONLY) and top not in {"pydantic", "pydantic_core", "annotated_types"}:
        return "the wire's types need pydantic alone"
    if within(source, LIGHT) and not within(source, LIGHT_EXCEPT) and top in SERVER_PACKAGES:
        return "it is installed without the server"
    return None


def wrong_arrows(root: Path) -> list[str]:
    return [
        f"{arrow}: {why}"
        for module, path in modules(root)
        for arrow in arrows(module, path)
        if (why := verdict(arrow)) is not None
    ]


def test_every_import_points_inwards() -> None:
    gc.collect()  # the end of what another test left, told with its source, makes ast.parse fail: python/cpython#106905
    assert wrong_arrows(ROOT) == []


def test_no_module_grows_beyond_its_limit() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for _, path in modules(ROOT)}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_only_one_init_lies_directly_under_a_regista_folder() -> None:
    found = [str(path.relative_to(ROOT)) for root in SOURCE_ROOTS for path in (ROOT / root / "regista").glob("*.py")]
    assert [name for name in found if name.endswith("__init__.py")] == ["services/regista/__init__.py"]


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("domain/model.py", "import pydantic"),
        ("domain/model.py", "from regista.wire import base"),
        ("domain/model.py", "from regista import Client"),
        ("domain/model.py", "from ..store import log"),
        ("domain/__init__.py", "from ..store import log"),
        (
            "domain/model.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from regista.store.log import LogStore",
        ),
        ("domain/model.py", "def late():\n    import httpx"),
        ("domain/model.py", "import importlib\nimportlib.import_module('regista.store')"),
        ("schemas/codec.py", "from regista.domain import events"),
        ("projections/runner.py", "import regista.store.feed"),
        ("projections/runner.py", "from regista import bus"),
        ("projections/api/routes.py", "from regista.registrar import service"),
        ("store/log.py", "from regista.registrar import service"),
        ("registrar/service.py", "import eventsourcing.domain"),
        ("work/database.py", "from regista.bus.settings import KafkaSettings"),
        ("deployer/deployer.py", "from regista.registrar.service import Registrar"),
        ("notifier/engine.py", "from regista.client import AsyncClient"),
        ("offline.py", "from regista.processes.workers import Worker"),
        ("store/feed.py", "from aiokafka import AIOKafkaConsumer"),
        ("projections/runner.py", "import psycopg"),
        ("deployer/reactions.py", "import faust"),
        ("registrar/routes.py", "from regista.server import build"),
        ("http/app.py", "from regista.cli import main"),
        ("artifacts/manifest.py", "from regista.wire import base"),
        ("artifacts/manifest.py", "import fastapi"),
        ("wire/base.py", "import httpx"),
        ("wire/base.py", "from regista.schemas import codec"),
        ("client/core.py", "from regista.artifacts.routes import router"),
        ("client/core.py", "from regista.artifacts import routes"),
        ("client/core.py", "from regista.settings import Settings"),
        ("client/core.py", "import sqlalchemy"),
    ],
)
def test_a_wrong_arrow_is_found(tmp_path: Path, module: str, line: str) -> None:
    path = tmp_path / "services" / "regista" / module
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert len(wrong_arrows(tmp_path)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("domain/model.py", "import dataclasses\nfrom . import errors\nfrom regista.domain.errors import Refused"),
        ("store/mapper.py", "import eventsourcing.domain\nfrom regista.schemas import codec"),
        ("store/feed.py", "from regista.projections.feed import Feed"),
        ("cli/serve.py", "from regista.server import build"),
        ("artifacts/routes.py", "import fastapi"),
        ("deployer/app.py", "import faust"),
        ("client/core.py", "import httpx\nfrom regista.wire import requests\nfrom regista.artifacts import manifest"),
    ],
)
def test_a_right_arrow_is_let_through(tmp_path: Path, module: str, line: str) -> None:
    path = tmp_path / "services" / "regista" / module
    path.parent.mkdir(parents=True)
    path.write_text(line)
    assert wrong_arrows(tmp_path) == []


def test_the_domain_loads_neither_an_http_client_nor_pydantic() -> None:
    program = (
        "import sys, regista, regista.domain; print(sorted({'httpx', 'pydantic', 'regista.client'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_every_public_name_resolves_and_is_listed() -> None:
    for name in regista.__all__:
        assert getattr(regista, name) is not None
    assert set(regista.__all__) <= set(dir(regista))
    assert regista.__all__ == sorted(regista.__all__)


def test_every_error_of_the_tree_is_public() -> None:
    from regista.domain import errors

    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert tree <= set(regista.__all__)


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Klient'"):
        getattr(regista, "Klient")  # noqa: B009  (the type checker would refuse the plain attribute)
