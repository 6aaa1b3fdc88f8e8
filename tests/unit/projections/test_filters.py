"""``filter=``: its grammar, its meaning over real rows, and that nothing in it reaches SQL but as a value."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.domain.errors import Malformed
from regista.projections.api.filter_sql import compile_filter
from regista.projections.api.filters import Comparison, parse_filter
from regista.projections.sqlite.dialect import SQLITE
from regista.projections.version_key import version_key


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute(
        "CREATE TABLE versions (model_key, ordinal, version, version_key, stage, author, format, created_at, tags, metrics, params)"
    )
    connection.execute("CREATE TABLE aliases_v1 (model_key, ordinal, alias, to_position)")
    rows = [
        (
            "fraud",
            1,
            "1.9.0",
            "candidate",
            "ada",
            "onnx",
            '{"team":"risk","o\'k":"y"}',
            '{"auc":0.8,"log loss":2}',
            "{}",
        ),
        ("fraud", 2, "1.10.0-rc.1", "production", "bob", "joblib", '{"team":"cards"}', '{"auc":0.9}', '{"deep":true}'),
        (
            "churn",
            1,
            "2.0.0",
            "staging",
            None,
            "onnx",
            '{"team":"50%_risk"}',
            '{"auc":1}',
            '{"booster":"gbtree","n":7}',
        ),
    ]
    for i, (model, ordinal, version, stage, author, format_, tags, metrics, params) in enumerate(rows):
        created = i * 86_400_000_000
        row = (model, ordinal, version, version_key(version), stage, author, format_, created, tags, metrics, params)
        connection.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO aliases_v1 VALUES ('fraud', 2, 'champion', 9223372036854775807)")
    connection.execute("INSERT INTO aliases_v1 VALUES ('fraud', 1, 'champion', 12)")
    yield connection
    connection.close()


def found(database: sqlite3.Connection, text: str) -> list[str]:
    condition, values = compile_filter(text, SQLITE)
    query = f"SELECT version FROM versions v WHERE {condition} ORDER BY version_key"
    return [version for (version,) in database.execute(query, values)]


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("tags.team = 'risk' AND metrics.auc > 0.5", ["1.9.0"]),
        ("metrics.auc >= 0.9", ["1.10.0-rc.1", "2.0.0"]),
        ("metrics.auc = 1", ["2.0.0"]),
        ("metrics.`log loss` < 3", ["1.9.0"]),
        ('metrics."log loss" < 3', ["1.9.0"]),
        ("tags.`o'k` = 'y'", ["1.9.0"]),
        ("version > '1.9.0'", ["1.10.0-rc.1", "2.0.0"]),
        ("version < '1.10.0'", ["1.9.0", "1.10.0-rc.1"]),
        ("version = 'v2.0.0'", ["2.0.0"]),
        ("version LIKE '1.%'", ["1.9.0", "1.10.0-rc.1"]),
        ("name = 'FRAUD'", ["1.9.0", "1.10.0-rc.1"]),
        ("name != 'fraud'", ["2.0.0"]),
        ("name like 'fr%'", ["1.9.0", "1.10.0-rc.1"]),
        ("stage IN ('production', 'staging')", ["1.10.0-rc.1", "2.0.0"]),
        ("alias = 'Champion'", ["1.10.0-rc.1"]),
        ("author = 'ada'", ["1.9.0"]),
        ("author != 'ada'", ["1.10.0-rc.1"]),
        ("format ILIKE 'ONN_'", ["1.9.0", "2.0.0"]),
        ("format LIKE 'ONN_'", []),
        (r"tags.team LIKE '50\%\_%'", ["2.0.0"]),
        ("tags.team != 'risk'", ["1.10.0-rc.1", "2.0.0"]),
        ("tags.absent != 'x'", []),
        ("params.deep = TRUE", ["1.10.0-rc.1"]),
        ("params.deep = 1", []),
        ("params.n IN (6, 7)", ["2.0.0"]),
        ("params.booster = 'gbtree'", ["2.0.0"]),
        ("params.n = '7'", []),
        ("created_at > '1970-01-01T12:00:00Z'", ["1.10.0-rc.1", "2.0.0"]),
        ("created_at <= '1970-01-02T02:00:00+02:00'", ["1.9.0", "1.10.0-rc.1"]),
        ("", ["1.9.0", "1.10.0-rc.1", "2.0.0"]),
    ],
)
def test_a_filter_finds_what_it_says(database: sqlite3.Connection, text: str, versions: list[str]) -> None:
    assert found(database, text) == versions


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("owner = 'x'", 1, "is not a field"),
        ("name", 5, "an operator expected"),
        ("name =", 7, "a value expected"),
        ("name = fraud", 8, "'…'"),
        ("name = 'x", 8, "cannot be read"),
        ("name = 'x' OR name = 'y'", 12, "AND expected"),
        ("name = 'x' AND", 15, "is not a field"),
        ("tags = 'x'", 5, "needs a key"),
        ("tags. = 'x'", 6, "a key expected"),
        ("tags.a = 1", 1, "tags are text"),
        ("metrics.a LIKE 2", 1, "compares text"),
        ("params.a < TRUE", 1, "never less"),
        ("params.a IN (1, 'x')", 1, "of one kind"),
        ("stage IN ()", 11, "a value expected"),
        ("stage IN ('a'", 14, ", or ) expected"),
        ("version > 'new'", 1, "not a version number"),
        ("created_at > '5'", 1, "is a time"),
        ("created_at > 'soon'", 1, "neither a position nor a time"),
        ("metrics.a > 1e999", 13, "too large"),
        ("name = 'x'; DROP TABLE versions", 11, "cannot be read"),
        ("(name = 'x')", 1, "is not a field"),
        ("1 = 1", 1, "is not a field"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, place: int, says: str) -> None:
    with pytest.raises(Malformed) as caught:
        compile_filter(text, SQLITE)
    assert caught.value.code == "bad_filter"
    assert f"character {place}:" in caught.value.detail
    assert says in caught.value.detail


INJECTIONS = (
    "' OR '1'='1",
    "x'; DROP TABLE versions; --",
    "x') OR 1=1 --",
    'x" OR "1"="1',
    "$.a\"'); DELETE FROM versions; --",
    "%' UNION SELECT sqlite_version() --",
    "?1",
    ":name",
)


@pytest.mark.parametrize("attack", INJECTIONS)
def test_an_attack_is_only_ever_a_value(database: sqlite3.Connection, attack: str) -> None:
    value, key = attack.replace("'", "''"), attack.replace("`", "``")
    for text in (f"tags.team = '{value}'", f"tags.`{key}` = 'x'", f"name LIKE '{value}'", f"author IN ('{value}')"):
        condition, values = compile_filter(text, SQLITE)
        assert attack not in condition
        assert attack in values or text.startswith("name")
        assert found(database, text) == []
    assert database.execute("SELECT count(*) FROM versions").fetchone() == (3,)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_either_a_filter_or_refused(text: str) -> None:
    try:
        condition, values = compile_filter(text, SQLITE)
    except Malformed as refused:
        code = refused.code
    else:
        assert condition.count("?") == len(values)
        return
    assert code == "bad_filter"


@given(st.text(max_size=20), st.text(min_size=1, max_size=20))
def test_quoting_carries_any_text(value: str, key: str) -> None:
    text = f"tags.`{key.replace('`', '``')}` = '{value.replace(chr(39), chr(39) * 2)}'"
    assert parse_filter(text) == (Comparison("tags", key, "=", (value,), 0),)
