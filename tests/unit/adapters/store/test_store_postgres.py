"""The store in PostgreSQL: opening it, sharing commits, replicas that take turns, servers and leaders that go."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from tests.fakes.postgres import Databases, OwnServer
from tests.fakes.store import FixedClock, SqlStores, StorePlace, make_fresh, open_postgres_at

from setpoint.adapters.store import AuditTrail, Database, SqlFences, postgres, tables
from setpoint.adapters.store.backend import InDoubtError
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, Phase, Verdict, VerifyReport
from setpoint.domain.errors import FencedError, InvalidError, NotFoundError, StoreError
from setpoint.ports import Fence
from setpoint.runtime.fencing import fenced

SECRET = "hunter2-very-secret"
ROWS = 12


@pytest.fixture
async def database(tmp_path: Path, postgres_url: str) -> AsyncIterator[Database]:
    opened = open_postgres_at(postgres_url, tmp_path)
    yield opened
    await opened.close()


@pytest.fixture
def bare_url(postgres_databases: Databases) -> Iterator[str]:
    """A database without a table."""
    with postgres_databases.database(fresh=False) as url:
        yield url


@pytest.fixture
def place(tmp_path: Path, postgres_url: str) -> StorePlace:
    return StorePlace(tmp_path, postgres_url)


def run_sql(url: str, *statements: str) -> None:
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def set_counter(value: int) -> text:
    return text("UPDATE counter SET value = :value WHERE name = 'objects'").bindparams(value=value)


def counter(connection: Connection) -> int:
    return connection.execute(text("SELECT value FROM counter WHERE name = 'objects'")).scalar_one()


def add(connection: Connection) -> int:
    connection.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'objects'"))
    return counter(connection)


def entry(number: int) -> AuditEntry:
    return AuditEntry("Apply", Phase.INTENT, "me", ObjectRef("K", "n", "x"), f"run-{number}", payload={"n": number})


async def record(stores: SqlStores, count: int = ROWS) -> None:
    await stores.trail.append(*(entry(number) for number in range(count)))


class TestOpening:
    async def test_the_migrations_make_what_the_models_say(self, tmp_path: Path, bare_url: str) -> None:
        database = open_postgres_at(bare_url, tmp_path)
        differences = await database.read(
            lambda c: compare_metadata(
                MigrationContext.configure(c, opts={"compare_type": True}), tables.AUDIT_ROW.metadata
            )
        )
        await database.close()
        assert differences == []

    async def test_replicas_that_start_at_once_make_the_tables_once(self, tmp_path: Path, bare_url: str) -> None:
        with ThreadPoolExecutor(4) as threads:
            opened = list(threads.map(lambda _: open_postgres_at(bare_url, tmp_path), range(4)))
        for database in opened:
            assert await database.write(add) > 0
            await database.close()

    async def test_what_was_written_is_there_when_it_is_opened_again(self, tmp_path: Path, postgres_url: str) -> None:
        for value in (1, 2):
            database = open_postgres_at(postgres_url, tmp_path)
            assert await database.read(counter) == value - 1
            await database.write(lambda c, value=value: c.execute(set_counter(value)))
            await database.close()

    def test_a_newer_schema_is_refused(self, tmp_path: Path, postgres_url: str) -> None:
        run_sql(postgres_url, "UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(StoreError, match="newer Setpoint: its schema is 9999"):
            open_postgres_at(postgres_url, tmp_path)

    @pytest.mark.parametrize(
        "statements",
        [
            ["CREATE TABLE mails (id int)"],
            ["CREATE TABLE alembic_version (version_num text)", "INSERT INTO alembic_version VALUES ('ffff')"],
        ],
        ids=["other tables", "another program's migrations"],
    )
    def test_another_programs_database_is_refused(self, tmp_path: Path, bare_url: str, statements: list[str]) -> None:
        run_sql(bare_url, *statements)
        with pytest.raises(StoreError, match="another program"):
            open_postgres_at(bare_url, tmp_path)

    @pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
    def test_an_encoding_that_can_not_hold_all_texts_is_refused(
        self, tmp_path: Path, postgres_databases: Databases, encoding: str
    ) -> None:
        options = f"ENCODING '{encoding}' LOCALE 'C'"
        with (
            postgres_databases.database(fresh=False, options=options) as url,
            pytest.raises(StoreError, match=f"encoding is {encoding}"),
        ):
            open_postgres_at(url, tmp_path)

    def test_a_server_that_is_too_old_is_refused(
        self, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres, "LEAST_VERSION", 990_000)
        with pytest.raises(StoreError, match="needs PostgreSQL 99 or newer"):
            open_postgres_at(postgres_url, tmp_path)

    @pytest.mark.parametrize(
        ("url", "why"),
        [
            (
                f"postgresql://me:{SECRET}@127.0.0.1:9/x",
                r"PostgreSQL at 127.0.0.1:9/x: the connection failed: .*refused",
            ),
            (
                f"postgresql://me:{SECRET}@nowhere.invalid/x?connect_timeout=2",
                "PostgreSQL at nowhere.invalid/x: the con",
            ),
        ],
        ids=["nothing listens", "no such host"],
    )
    def test_a_server_that_is_not_there_is_named_without_the_password(self, tmp_path: Path, url: str, why: str) -> None:
        with pytest.raises(StoreError, match=why) as caught:
            open_postgres_at(url, tmp_path)
        assert SECRET not in caught.value.message
        assert caught.value.__suppress_context__

    @pytest.mark.parametrize(
        "url",
        [f"mysql://me:{SECRET}@db/x", SECRET, f"postgresql://me:{SECRET}@db", f"postgresql://me:{SECRET}@db:port/x"],
        ids=["another database", "no url", "no database", "no port"],
    )
    def test_what_is_no_url_is_not_repeated(self, url: str) -> None:
        with pytest.raises(InvalidError, match="SETPOINT_STORE_URL: this is not postgresql://") as caught:
            postgres.parse_url(url)
        assert SECRET not in caught.value.message

    @pytest.mark.parametrize(
        ("url", "name"),
        [
            (f"postgres://me:{SECRET}@db:5433/x", "PostgreSQL at db:5433/x"),
            ("postgresql+psycopg://me@/x?host=/run/pg", "PostgreSQL at /run/pg/x"),
            ("postgresql:///x?host=a:1&host=b:2", "PostgreSQL at a:1,b:2/x"),
        ],
        ids=["short scheme", "socket", "several hosts"],
    )
    def test_messages_call_it_by_its_address(self, url: str, name: str) -> None:
        assert postgres.name_of(postgres.parse_url(url)) == name

    async def test_a_session_is_durable_and_waits_for_nothing_for_ever(
        self, tmp_path: Path, postgres_url: str, postgres_databases: Databases
    ) -> None:
        name = psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
        run_sql(postgres_url, f"ALTER DATABASE {name} SET synchronous_commit = 'off'")
        database = open_postgres_at(postgres_url, tmp_path)
        settings = ("synchronous_commit", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        found = await database.write(lambda c: [c.exec_driver_sql(f"SHOW {name}").scalar() for name in settings])
        await database.close()
        assert found == ["on", "1min", "10s", "5s"]


class TestWriting:
    async def test_writes_that_wait_share_a_commit_and_fail_alone(self, database: Database) -> None:
        def transaction(connection: Connection) -> int:
            add(connection)
            return connection.exec_driver_sql("SELECT pg_current_xact_id()::text::bigint").scalar_one()

        def fail(connection: Connection) -> int:
            add(connection)
            raise NotFoundError("no such thing")

        def clash(connection: Connection) -> None:
            add(connection)
            connection.execute(text("INSERT INTO counter VALUES ('objects', 1)"))

        writes = (transaction, fail, transaction, clash, transaction)
        results = await asyncio.gather(*(database.write(fn) for fn in writes), return_exceptions=True)
        assert [type(result) for result in results] == [int, NotFoundError, int, StoreError, int]
        assert len({result for result in results if isinstance(result, int)}) == 1
        assert await database.read(counter) == 3

    @pytest.mark.parametrize(
        "statement",
        [
            "INSERT INTO counter VALUES ('objects', 'hunter2')",
            "INSERT INTO counter VALUES ('hunter2', 1), ('hunter2', 1)",
            "SELECT 1 FROM hunter2",
        ],
        ids=["wrong type", "constraint", "syntax"],
    )
    async def test_an_error_holds_no_value_that_was_written(self, database: Database, statement: str) -> None:
        with pytest.raises(StoreError, match="PostgreSQL at ") as caught:
            await database.write(lambda c: c.exec_driver_sql(statement))
        assert "hunter2" not in str(caught.value)

    async def test_reads_can_not_write_and_see_one_moment(self, database: Database) -> None:
        with pytest.raises(StoreError, match="can't be written"):
            await database.read(lambda c: c.execute(set_counter(1)))
        loop = asyncio.get_running_loop()

        def twice(connection: Connection) -> tuple[int, int]:
            first = counter(connection)
            asyncio.run_coroutine_threadsafe(database.write(lambda c: c.execute(set_counter(5))), loop).result(10)
            return first, counter(connection)

        assert await database.read(twice) == (0, 0)
        assert await database.read(counter) == 5

    @pytest.mark.parametrize("state", ["40001", "40P01"], ids=["serialization", "deadlock"])
    async def test_a_conflict_is_tried_again_with_all_that_share_the_commit(
        self, database: Database, state: str
    ) -> None:
        tries: list[int] = []

        def conflict(connection: Connection) -> int:
            tries.append(1)
            if len(tries) < 3:
                connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$")
            return add(connection)

        results = await asyncio.gather(database.write(add), database.write(conflict), database.write(add))
        assert (results, len(tries)) == ([1, 2, 3], 3)

    async def test_a_conflict_that_stays_is_an_error_and_the_next_write_is_not(self, database: Database) -> None:
        def conflict(connection: Connection) -> None:
            connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$")

        with pytest.raises(StoreError, match="SerializationFailure 40001"):
            await database.write(conflict)
        assert await database.write(add) == 1

    async def test_a_failure_that_a_write_keeps_to_itself_is_not_committed(self, database: Database) -> None:
        """PostgreSQL answers such a COMMIT with a rollback, and no error."""

        def batch(connection: Connection, items: list[int]) -> list[int]:
            cursor = connection.connection.cursor()
            try:
                cursor.execute("SELECT 1 FROM nowhere")
            except psycopg.Error:
                return items
            raise AssertionError

        with pytest.raises(StoreError, match="InFailedSqlTransaction"):
            await database.write_batched(batch, 1)

    async def test_replicas_take_turns_and_lose_no_update(self, tmp_path: Path, postgres_url: str) -> None:
        replicas = [open_postgres_at(postgres_url, tmp_path) for _ in range(3)]
        results = await asyncio.gather(*(replica.write(add) for replica in replicas * 20))
        assert sorted(results) == list(range(1, 61))
        for replica in replicas:
            await replica.close()

    async def test_a_replica_that_waits_too_long_for_its_turn_is_told(
        self, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres, "_SETTINGS", "SELECT set_config('lock_timeout', '50ms', false)")
        database = open_postgres_at(postgres_url, tmp_path)
        with psycopg.connect(postgres_url) as other:
            other.execute(postgres.TURN)
            with pytest.raises(StoreError, match="another replica kept it locked"):
                await database.write(add)
        assert await database.write(add) == 1
        await database.close()


def end_sessions(url: str, kind: str = "") -> None:
    """As a server that is shut down, or a fail-over, ends them."""
    query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> %s"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(query + kind, [connection.info.backend_pid])


class TestLostConnections:
    async def test_idle_connections_are_replaced_and_no_one_is_told(
        self, database: Database, postgres_url: str
    ) -> None:
        assert await database.write(add) == 1
        assert await database.read(counter) == 1
        end_sessions(postgres_url)
        assert await database.read(counter) == 1
        assert await database.write(add) == 2

    async def test_one_that_is_lost_before_commit_is_tried_again(self, database: Database, postgres_url: str) -> None:
        tries: list[int] = []

        def lose(connection: Connection) -> int:
            tries.append(add(connection))
            if len(tries) == 1:
                end_sessions(postgres_url)
            return add(connection)

        assert await asyncio.gather(database.write(add), database.write(lose)) == [1, 3]
        assert tries == [2, 2]
        assert await database.read(counter) == 3

    async def test_one_that_is_lost_in_the_middle_of_commit_leaves_a_doubt(
        self, database: Database, postgres_url: str
    ) -> None:
        """The server waits in COMMIT, for a trigger that only then runs; there the session is ended."""
        run_sql(
            postgres_url,
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'",
            "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON counter INITIALLY DEFERRED FOR EACH ROW "
            "EXECUTE FUNCTION wait()",
        )
        writing = asyncio.create_task(database.write(add))
        await self._until(postgres_url, "SELECT 1 FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'")
        end_sessions(postgres_url)
        with pytest.raises(StoreError, match="in the middle of COMMIT: whether this was written can't be known"):
            await writing
        run_sql(postgres_url, "DROP TRIGGER slow ON counter")
        assert await database.write(add) == 1

    async def _until(self, url: str, query: str) -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            while await (await connection.execute(query)).fetchone() is None:
                await asyncio.sleep(0.01)

    async def test_a_doubt_is_no_reason_to_write_twice(self, database: Database) -> None:
        assert not database.backend.may_pass(InDoubtError())

    async def test_a_server_that_crashes_comes_back(
        self, request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str
    ) -> None:
        if "SETPOINT_TEST_POSTGRES_URL" in os.environ:
            pytest.skip("the server is not ours to crash")
        server: OwnServer = request.getfixturevalue("postgres_server")
        async with StorePlace(tmp_path, postgres_url).open() as stores:
            await record(stores)
            await stores.blobs.put(b"before")
            server.crash()
            try:
                for ask in (stores.trail.append(entry(0)), stores.trail.rows(), stores.blobs.put(b"meanwhile")):
                    with pytest.raises(StoreError, match="the connection failed"):
                        await ask
            finally:
                server.start()
            await record(stores)
            assert await stores.blobs.get(await stores.blobs.put(b"after")) == b"after"
            assert await stores.trail.verify() == VerifyReport(Verdict.INTACT, 2 * ROWS)


class TestTerms:
    async def test_a_leader_that_is_paused_in_a_transaction_is_put_out_and_writes_nothing(
        self, tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its fence was checked already; then it stops, and holds up all others until the server ends its session."""
        short = postgres._SETTINGS.replace("'5s'", "'300ms'")
        monkeypatch.setattr(postgres, "_SETTINGS", short)
        leader, successor = open_postgres_at(postgres_url, tmp_path), open_postgres_at(postgres_url, tmp_path)
        old = Fence("", await SqlFences(leader).acquire(""))
        paused, resume = threading.Event(), threading.Event()

        def pause(connection: Connection) -> None:
            add(connection)
            paused.set()
            resume.wait(30)
            add(connection)

        with fenced(old):
            writing = asyncio.create_task(leader.write(pause))
        await asyncio.to_thread(paused.wait, 30)
        new = Fence("", await SqlFences(successor).acquire(""))
        resume.set()
        with pytest.raises(FencedError):
            await writing
        with fenced(new):
            assert await successor.write(add) == 1
        await leader.close()
        await successor.close()

    async def test_a_process_that_is_stopped_past_its_term_writes_nothing_of_it(
        self, place: StorePlace, tmp_path: Path
    ) -> None:
        program = (
            "import asyncio, sys\nfrom pathlib import Path\n"
            "from setpoint.domain.errors import FencedError\nfrom setpoint.ports import Fence\n"
            "from setpoint.runtime.fencing import fenced\nfrom tests.fakes.store import open_sql_stores\n"
            "from tests.unit.adapters.store.test_store_postgres import entry\n"
            "async def main():\n"
            "    async with open_sql_stores(Path(sys.argv[1]), sys.argv[2]) as stores:\n"
            "        with fenced(Fence('', await stores.fences.acquire(''))):\n"
            "            while True:\n"
            "                try:\n"
            "                    print(*await stores.trail.append(entry(1)), flush=True)\n"
            "                except FencedError:\n"
            "                    return print('fenced', flush=True)\n"
            "asyncio.run(main())\n"
        )
        root = Path(__file__).parents[4]
        async with place.open() as stores:
            with subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path), place.url],
                stdout=subprocess.PIPE,
                env={"PYTHONPATH": f"{root}:{root}/operator"},
            ) as leader:
                assert leader.stdout is not None
                seen = [leader.stdout.readline() for _ in range(5)]
                leader.send_signal(signal.SIGSTOP)
                with fenced(Fence("", await stores.fences.acquire(""))):
                    (first,) = await stores.trail.append(entry(2))
                leader.send_signal(signal.SIGCONT)
                seen += leader.stdout.read().splitlines(keepends=True)
            assert seen.pop() == b"fenced\n"
            assert max(map(int, seen)) < first
            assert [row.seq for row in await stores.trail.rows(after=first - 1)] == [first]
            assert (await stores.trail.verify()).verdict is Verdict.INTACT


class TestAudit:
    @pytest.mark.parametrize(
        ("statements", "seq", "why"),
        [
            (["UPDATE audit_row SET header = header || '\\x20' WHERE seq = 5"], 5, "header"),
            (["UPDATE audit_row SET run = 'other' WHERE seq = 5"], 5, "search columns"),
            (["UPDATE audit_row SET hash = decode(repeat('00', 32), 'hex') WHERE seq = 5"], 5, "hash"),
            (["DELETE FROM audit_row WHERE seq = 5"], 5, "missing"),
            (["DELETE FROM audit_row WHERE seq > 9"], 10, "missing"),
            (["TRUNCATE audit_row"], 1, "missing"),
            (["DELETE FROM audit_row WHERE seq = 5", "UPDATE audit_row SET seq = -seq WHERE seq > 5",
              "UPDATE audit_row SET seq = -seq - 1 WHERE seq < 0"], 5, "follow"),
            (["UPDATE audit_payload SET body = '{}' WHERE seq = 5"], 5, "payload"),
            (["UPDATE audit_payload SET salt = decode(repeat('00', 16), 'hex') WHERE seq = 5"], 5, "payload"),
        ],
        ids=["header", "run", "hash", "delete", "truncate", "wipe", "delete and renumber", "payload", "salt"],
    )  # fmt: skip
    async def test_tampering_names_the_first_bad_row(
        self, place: StorePlace, statements: list[str], seq: int, why: str
    ) -> None:
        async with place.open() as stores:
            await record(stores)
        # As the owner of the tables, who can switch the triggers off.
        switched_off = [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in ("audit_row", "audit_payload")]
        run_sql(place.url, *switched_off, *statements)
        async with place.open() as stores:
            report = await stores.trail.verify()
        assert (report.verdict, report.seq) == (Verdict.TAMPERED, seq)
        assert why in report.reason

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit_row SET run = 'x'",
            "DELETE FROM audit_row",
            "TRUNCATE audit_row",
            "UPDATE audit_payload SET body = 'x'",
            "UPDATE state_version SET serial = 1",
        ],
    )
    async def test_the_database_refuses_rewriting(self, database: Database, statement: str) -> None:
        with pytest.raises(StoreError, match="append-only"):
            await database.write(lambda c: c.exec_driver_sql(statement))

    async def test_the_end_is_vouched_for_from_where_a_replica_first_saw_it(
        self, place: StorePlace, tmp_path: Path
    ) -> None:
        async with place.open() as stores:
            await record(stores)
        newcomer = StorePlace(tmp_path / "other", place.url)
        newcomer.folder.mkdir()
        async with newcomer.open() as stores:
            assert (await stores.trail.verify()).verdict is Verdict.INTACT
        (head,) = newcomer.folder.glob("audit-*.head")
        assert json.loads(head.read_text())["size"] == ROWS
        run_sql(place.url, "ALTER TABLE audit_row DISABLE TRIGGER ALL", "DELETE FROM audit_row WHERE seq > 9")
        async with newcomer.open() as stores:
            report = await stores.trail.verify()
        assert (report.verdict, report.seq) == (Verdict.TAMPERED, 10)

    async def test_a_head_of_a_home_on_sqlite_says_nothing_about_it(self, place: StorePlace) -> None:
        make_fresh(place.folder)
        async with place.open() as stores:
            await record(stores)
        async with place.open() as stores:
            assert await stores.trail.verify() == VerifyReport(Verdict.INTACT, ROWS)

    async def test_what_can_not_be_read_to_its_end_is_unverifiable(self, database: Database) -> None:
        trail = AuditTrail(database, FixedClock())
        await trail.append(entry(1))

        def verify(connection: Connection) -> VerifyReport:
            connection.connection.driver_connection.close()
            return trail._verify(connection)

        report = await database.read(verify)
        assert report.verdict is Verdict.UNVERIFIABLE
