"""A log that is healed or imported has no other writer: registrars that run, hang or come back are kept away from it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from tests.support.chained_log import Writer, filled
from tests.support.server import running_server

from regista.domain.chain import Row
from regista.domain.errors import RegistaError, Unavailable
from regista.offline import offline_import
from regista.settings import Settings
from regista.store.birth import Importer
from regista.store.export import export_lines
from regista.store.heal import Copy, heal
from regista.store.log import LogReader, LogStore
from regista.store.postgres import PostgresLogReader, PostgresLogStore
from regista.store.sqlite import SQLiteLogStore
from regista.store.verify import verify

PATIENCE = 20.0
BY = Importer("admin", "asserted", datetime(2026, 5, 1, tzinfo=UTC), "the database fell back")
HOLDER = """
import sys
from pathlib import Path
from regista.store.sqlite import SQLiteLogStore
store = SQLiteLogStore(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


def aside(rows: Iterable[Row]) -> None:
    raise AssertionError(f"nothing is to be put aside: {list(rows)}")


def copy_of(log: LogReader) -> Copy:
    """What another copy has, as it is now."""
    kept = log.read(1, 1000)
    return Copy("kafka", log.log_id, lambda: iter(kept))


def fall_back(url: str) -> None:
    """The database loses the newest event, as one does that a lagging standby takes the place of."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table in ("events", "commands"):
            connection.execute(
                f"DELETE FROM regista.{table} WHERE position = (SELECT max(position) FROM regista.{table})"
            )


def sessions_of(hint: str) -> list[int]:
    """The numbers of sessions that an error names."""
    return [int(word) for word in hint.replace("(", " ").split() if word.isdecimal()]


def end(url: str, *sessions: int) -> None:
    """End sessions of others; all of those that are not this one where none is named."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND (%s::int[] = '{}' OR pid = ANY(%s::int[]))",
            (list(sessions), list(sessions)),
        )
        assert all(ended for (ended,) in found.fetchall())


@pytest.mark.engine("postgres")
def test_a_registrar_that_was_frozen_through_a_heal_neither_lets_it_begin_nor_writes_after_it(
    postgres_database: str, tmp_path: Path
) -> None:
    with running_server(tmp_path, database=postgres_database) as server, server.client() as client:
        for model in ("fraud", "churn"):
            client.post("/v1/models", json={"name": model}).raise_for_status()
        with closing(PostgresLogReader(postgres_database)) as reader:
            copy, before = copy_of(reader), reader.read(1, 1000)
        fall_back(postgres_database)
        server.process.send_signal(signal.SIGSTOP)
        with closing(PostgresLogStore(postgres_database)) as log:
            with pytest.raises(Unavailable) as refused, log.alone():
                raise AssertionError("a registrar is there that may write")
            assert refused.value.code == "log_in_use"
            assert "(regista, from " in refused.value.detail
            assert "Stop the registrars" in str(refused.value.hint)
            end(postgres_database, *sessions_of(refused.value.detail))
            with log.alone():
                heal(log, copy, BY, aside)
            *restored, healed = log.read(1, 1000)
            assert restored == before
            server.process.send_signal(signal.SIGCONT)
            answer = client.post("/v1/models", json={"name": "late"})
            assert (answer.status_code, answer.json()["code"]) == (503, "log_replaced")
            deadline = monotonic() + PATIENCE
            while (ready := client.get("/readyz")).status_code != 503 or "log_replaced" not in ready.text:
                assert monotonic() < deadline, ready.text
            assert log.last() == healed
        server.terminate()
        server.restart()
        with server.client() as again:
            position = again.post("/v1/models", json={"name": "late"}).raise_for_status().json()["position"]
    assert position == healed.position + 1
    with closing(PostgresLogReader(postgres_database)) as reader:
        assert verify(reader).ok


@pytest.mark.engine("postgres")
@pytest.mark.parametrize(
    "replace",
    [
        lambda log: log.restore(1, [], log.log_id, end=log.max_position()),
        lambda log: log.adopt([], log.log_id),
        lambda log: log.forget_queues({}),
    ],
    ids=["restore", "adopt", "forget_queues"],
)
def test_nothing_is_replaced_while_another_may_write_and_what_was_asked_for_can_be_asked_again(
    postgres_database: str, replace: Callable[[LogStore], None]
) -> None:
    with closing(PostgresLogStore(postgres_database)) as log:
        with closing(PostgresLogStore(postgres_database)) as other:
            for act in (replace, lambda each: each.alone().__enter__()):
                with pytest.raises(Unavailable) as refused:
                    act(log)
                assert refused.value.code == "log_in_use"
            assert [row.position for row in log.read(1, 10)] == [1]
            other.check_writable()
        with log.alone(), log.alone():
            replace(log)


@pytest.fixture
def alone(postgres_database: str) -> Iterator[tuple[PostgresLogStore, PostgresLogStore]]:
    """A store that is alone, as in a heal, and that of a registrar whose session was ended for it."""
    with (
        closing(PostgresLogStore(postgres_database)) as log,
        closing(PostgresLogStore(postgres_database, lock_timeout=0.2)) as registrar,
    ):
        filled(registrar)
        end(postgres_database)
        with log.alone():
            yield log, registrar


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(RegistaError) as refused:
        act()
    assert refused.value.hint
    return refused.value.code


@pytest.mark.engine("postgres")
def test_a_registrar_comes_to_a_log_that_is_being_replaced_in_vain(
    alone: tuple[PostgresLogStore, PostgresLogStore], postgres_database: str
) -> None:
    _, registrar = alone
    for act in (
        lambda: Writer(registrar, "late").write("a"),
        registrar.check_writable,
        lambda: registrar.prune_outcomes(1, 1),
        lambda: PostgresLogStore(postgres_database, lock_timeout=0.2),
    ):
        assert refusal(act) == "log_being_replaced"
    assert registrar.max_position() == 12


@pytest.mark.engine("postgres")
def test_what_was_opened_before_a_log_was_replaced_never_writes_to_it_again(
    alone: tuple[PostgresLogStore, PostgresLogStore], postgres_database: str
) -> None:
    log, registrar = alone
    end(postgres_database)  # the heal loses its session as well, and has to be alone again to go on
    log.restore(11, [], log.log_id, end=12)
    end(postgres_database)
    late = Writer(registrar, "late")
    for _ in range(2):
        for act in (lambda: late.write("new"), registrar.check_writable, lambda: registrar.prune_outcomes(1, 1)):
            assert refusal(act) == "log_replaced"
    assert registrar.max_position() == 11
    assert Writer(log, "healer").write("a") == 13
    with closing(PostgresLogStore(postgres_database)) as again:
        assert Writer(again, "again").write("b") == 14


@pytest.mark.engine("postgres")
def test_a_registrar_that_starts_while_another_is_alone_waits_for_it(postgres_database: str) -> None:
    def open_and_write() -> int:
        with closing(PostgresLogStore(postgres_database, lock_timeout=PATIENCE)) as registrar:
            return Writer(registrar).write("a")

    with closing(PostgresLogStore(postgres_database)) as log, ThreadPoolExecutor(1) as threads:
        with log.alone():
            opening = threads.submit(open_and_write)
            deadline = monotonic() + PATIENCE
            while waiting_locks(postgres_database) == 0:
                assert monotonic() < deadline, "nobody waits"
            assert not opening.done()
            assert log.max_position() == 1
        assert opening.result(PATIENCE) == 2


def waiting_locks(url: str) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        [[count]] = connection.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        ).fetchall()
        return int(count)


@pytest.mark.engine("postgres")
def test_an_import_refuses_before_it_reads_anything_and_takes_place_once_the_registrars_are_gone(
    postgres_database: str, tmp_path: Path
) -> None:
    settings = Settings.model_validate({"data": tmp_path / "data", "database": postgres_database})
    with closing(SQLiteLogStore(tmp_path / "source")) as source:
        filled(source)
        lines = BytesIO("".join(export_lines(source)).encode())
    with closing(PostgresLogStore(postgres_database)) as registrar:
        assert refusal(lambda: offline_import(settings, lines, actor="ops")) == "log_in_use"
        assert lines.tell() == 0
        registrar.check_writable()
    assert offline_import(settings, lines, actor="ops").position == 12


def test_a_registrar_that_is_frozen_keeps_its_data_directory_from_being_healed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        holder.send_signal(signal.SIGSTOP)
        with pytest.raises(Unavailable) as refused:
            SQLiteLogStore(tmp_path)
        assert refused.value.code == "data_in_use"
        assert str(holder.pid) in str(refused.value.hint)
        holder.kill()
    with closing(SQLiteLogStore(tmp_path)) as log, log.alone():
        log.restore(1, [], log.log_id, end=1)
