"""SQLite's file: opening it safely, sharing commits, surviving full disks and other processes."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from tests.fakes.store import make_fresh, open_at

from setpoint.adapters.store import NAME, Database, SqlFences, begin_sqlite, schema, tables
from setpoint.domain.errors import NotFoundError, StoreError


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    opened = open_at(make_fresh(tmp_path))
    yield opened
    await opened.close()


def set_counter(value: int) -> text:
    return text("UPDATE counter SET value = :value WHERE name = 'objects'").bindparams(value=value)


def counter(connection: Connection) -> int:
    return connection.execute(text("SELECT value FROM counter WHERE name = 'objects'")).scalar_one()


async def test_the_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    database = open_at(tmp_path / NAME)
    differences = await database.read(
        lambda c: compare_metadata(
            MigrationContext.configure(c, opts={"compare_type": True}), tables.AUDIT_ROW.metadata
        )
    )
    await database.close()
    assert differences == []


def test_the_newest_migration_is_the_schema_that_is_known() -> None:
    assert ScriptDirectory(str(Path(schema.__file__).parent / "migrations")).get_heads() == [schema.HEAD]


async def test_a_new_file_is_its_owners_alone_and_durable(tmp_path: Path) -> None:
    database = open_at(tmp_path / "new" / NAME)
    pragmas = [
        await database.write(lambda c, name=name: c.exec_driver_sql(f"PRAGMA {name}").scalar())
        for name in ("journal_mode", "synchronous")
    ]
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new").rglob("*") if file.is_file()}
    await database.close()
    assert (pragmas, modes) == (["wal", 2], {0o600})


async def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    for value in (1, 2):
        database = open_at(tmp_path / NAME)
        assert await database.read(counter) == value - 1
        await database.write(lambda c, value=value: c.execute(set_counter(value)))
        await database.close()


@pytest.mark.parametrize("size", [None, 0], ids=["missing", "empty"])
def test_a_file_that_is_gone_is_not_made_anew(tmp_path: Path, size: int | None) -> None:
    path = make_fresh(tmp_path)
    (tmp_path / "audit.head").write_text('{"size": 7, "hash": "00"}')
    path.unlink()
    if size == 0:
        path.touch()
    with pytest.raises(StoreError, match=r"missing or empty.* at least 7 audit rows.*state versions"):
        open_at(path)
    assert not path.exists() or path.stat().st_size == 0


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize(
    ("offset", "data"),
    [(0, b"this is no database, this is prose"), (4096, b"\xff" * 4096), (100, b"\xff" * 200)],
    ids=["no database", "second page", "schema page"],
)
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, offset: int, data: bytes) -> None:
    path = make_fresh(tmp_path)
    overwrite(path, offset, data)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"damaged.*objects, state versions and the audit trail"):
        open_at(path)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = make_fresh(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer Setpoint: its schema is 9999"):
        open_at(path)


async def test_a_store_of_an_earlier_setpoint_is_brought_up_to_date(tmp_path: Path) -> None:
    path = make_fresh(tmp_path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER audit_row_sealed")
        connection.execute("ALTER TABLE audit_row DROP COLUMN mac")
        for table in ("trail", "look", "fence", "blob_piece", "blob"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.execute("UPDATE counter SET value = 7 WHERE name = 'objects'")
    connection.close()
    database = open_at(path)
    assert await SqlFences(database).acquire("") == 1
    assert await database.read(counter) == 7
    await database.close()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("CREATE TABLE mails (id)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        open_at(tmp_path / NAME)


def test_a_folder_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="can't be opened"):
        begin_sqlite(tmp_path / "file" / NAME)


async def test_writes_that_wait_share_a_commit_and_fail_alone(database: Database) -> None:
    def add(connection: Connection) -> int:
        connection.execute(text("UPDATE counter SET value = value + 1 WHERE name = 'objects'"))
        return counter(connection)

    def fail(connection: Connection) -> int:
        add(connection)
        raise NotFoundError("no such thing")

    def clash(connection: Connection) -> None:
        add(connection)
        connection.execute(text("INSERT INTO counter VALUES ('objects', 1)"))

    before = await database.data_version()
    results = await asyncio.gather(*(database.write(fn) for fn in (add, fail, add, clash, add)), return_exceptions=True)
    assert [type(result) for result in results] == [int, NotFoundError, int, StoreError, int]
    assert [result for result in results if isinstance(result, int)] == [1, 2, 3]
    assert await database.read(counter) == 3
    assert await database.data_version() == before + 1


async def test_items_of_one_batch_function_share_a_call(database: Database) -> None:
    calls: list[list[int]] = []

    def batch(_connection: Connection, items: list[int]) -> list[int]:
        calls.append(list(items))
        return [item * 2 for item in items]

    writes = [database.write_batched(batch, item) for item in (1, 2)]
    writes += [database.write(counter), database.write_batched(batch, 3)]
    assert await asyncio.gather(*writes) == [2, 4, 0, 6]
    assert calls == [[1, 2], [3]]


async def test_a_full_disk_fails_those_who_wait_and_no_one_later(database: Database) -> None:
    def limit(pages: int) -> None:
        connection = database.backend.writes.pool.connect()
        connection.execute(f"PRAGMA max_page_count={pages}")
        connection.close()

    def fill(connection: Connection) -> None:
        connection.execute(
            text("INSERT INTO state_lock VALUES ('t', 'i', 'r', :text, '')").bindparams(text="x" * 10**6)
        )

    def add(connection: Connection) -> None:
        connection.execute(set_counter(7))

    await asyncio.to_thread(limit, 1)
    results = await asyncio.gather(
        database.write(add), database.write(fill), database.write(add), return_exceptions=True
    )
    assert [type(result) for result in results] == [StoreError] * 3
    assert all("the disk is full" in result.message for result in results)
    assert len({id(result) for result in results}) == 3
    assert await database.read(counter) == 0
    await asyncio.to_thread(limit, 1 << 20)
    await asyncio.gather(database.write(fill), database.write(add))
    assert await database.read(counter) == 7


async def test_an_error_holds_no_value_that_was_written(database: Database) -> None:
    def clash(connection: Connection) -> None:
        connection.execute(text("INSERT INTO counter VALUES (:name, 'hunter2')").bindparams(name="objects"))

    with pytest.raises(StoreError) as caught:
        await database.write(clash)
    assert "hunter2" not in str(caught.value)


async def test_reads_can_not_write(database: Database) -> None:
    with pytest.raises(StoreError, match="can't be written"):
        await database.read(lambda c: c.execute(set_counter(1)))


async def test_a_read_sees_one_moment(database: Database) -> None:
    loop = asyncio.get_running_loop()

    def twice(connection: Connection) -> tuple[int, int]:
        first = counter(connection)
        asyncio.run_coroutine_threadsafe(database.write(lambda c: c.execute(set_counter(5))), loop).result(10)
        return first, counter(connection)

    assert await database.read(twice) == (0, 0)
    assert await database.read(counter) == 5


async def test_other_processes_commits_are_seen(tmp_path: Path, database: Database) -> None:
    before = await database.data_version()
    assert await database.data_version() == before
    other = sqlite3.connect(tmp_path / NAME)
    with other:
        other.execute("UPDATE counter SET value = 9 WHERE name = 'objects'")
    other.close()
    assert await database.data_version() != before
    assert await database.read(counter) == 9


async def test_a_cancelled_writer_takes_no_other_down(database: Database) -> None:
    writes = [asyncio.ensure_future(database.write(counter)) for _ in range(3)]
    await asyncio.sleep(0)
    writes[1].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [int, asyncio.CancelledError, int]


async def test_close_writes_what_was_asked_for_and_then_no_more(tmp_path: Path) -> None:
    database = open_at(make_fresh(tmp_path))
    write = asyncio.ensure_future(database.write(lambda c: c.execute(set_counter(3))))
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert write.done() or await write
    for call in (database.write(counter), database.read(counter), database.data_version()):
        with pytest.raises(StoreError, match="closed"):
            await call
    again = open_at(tmp_path / NAME)
    assert await again.read(counter) == 3
    await again.close()
