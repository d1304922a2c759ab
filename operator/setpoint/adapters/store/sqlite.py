"""Owns everything that is true of SQLite alone: the file, pragmas, transactions, triggers, what its errors mean."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from setpoint.domain.errors import StoreError

ERRORS = (DBAPIError, sqlite3.Error)
"""What a failing database raises, with SQLAlchemy in between and without."""
BUSY_TIMEOUT = 10.0
"""Seconds that a transaction waits for another process's."""

_LOST = "objects, state versions and the audit trail"
_REMEDY = "nothing was changed: restore the file from a backup, or move the whole folder away to start anew"
_STATEMENT_ALONE = {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def create_file(path: Path) -> None:
    """Makes an empty database that only its owner can read; the journals that SQLite adds inherit the mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def make_engine(path: Path, *, write: bool, connections: int) -> Engine:
    """An engine over that many connections, which take the write lock at once, or can't write at all.

    IMMEDIATE, because a deferred transaction that turns to writing fails on any concurrent commit instead of waiting.
    """
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"isolation_level": None, "check_same_thread": False, "timeout": BUSY_TIMEOUT},
    )
    pragmas = ["synchronous=FULL", "cell_size_check=ON", "trusted_schema=OFF"]
    pragmas.append("journal_mode=WAL" if write else "query_only=ON")

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not _driver(connection).in_transaction:
            _driver(connection).execute("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """One transaction, begun and ended by the driver: SQLAlchemy's part costs a tenth of a commit of eight rows.

    Statements that go through SQLAlchemy join it.
    """
    driver = _driver(connection)
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        (connection if connection.in_transaction() else driver).commit()
    except BaseException:
        (connection if connection.in_transaction() else driver).rollback()
        raise


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def check(connection: Connection, path: Path) -> None:
    """Reads the whole file. Raises StoreError when its structure is damaged."""
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise damaged(path, "; ".join(found)[:300])


def data_version(connection: Connection) -> int:
    """Moves when any other connection commits; only comparable with what the same connection said before."""
    return int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())


def as_bytes(column: str) -> str:
    """SQL for a text as it is stored; the driver refuses to return one that is no UTF-8."""
    return f"CAST({column} AS BLOB)"


def append_only(table: str, *, deletable: bool = False) -> tuple[str, ...]:
    """Triggers against our own mistakes; who owns the file can drop them, and the hash chain shows it."""
    return tuple(
        f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for verb in (("UPDATE",) if deletable else ("UPDATE", "DELETE"))
    )


def damaged(path: Path, why: str) -> StoreError:
    """A file that can't be read."""
    return StoreError(f"{path} is damaged, so {_LOST} in it can't be relied upon ({why}); {_REMEDY}")


def missing(path: Path, rows: int) -> StoreError:
    """A file that is gone or empty although it once was there."""
    return StoreError(
        f"{path} is missing or empty, though it once held at least {rows} audit rows: {_LOST} are lost; {_REMEDY}"
    )


def store_error(error: Exception, path: Path) -> StoreError:
    """What an error of the database means. The statement and its values, which may be secret, stay out of it."""
    code, said = _code(error), str(cause(error))
    if code in _DAMAGED:
        return damaged(path, said)
    meaning = {
        sqlite3.SQLITE_FULL: "the disk is full",
        sqlite3.SQLITE_BUSY: f"another process kept it locked for more than {BUSY_TIMEOUT:g} s",
        sqlite3.SQLITE_READONLY: "it can't be written",
        sqlite3.SQLITE_CANTOPEN: "it can't be opened",
        sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
    }.get(code, said)
    return StoreError(f"{path}: {meaning}")


def spoils_transaction(error: Exception) -> bool:
    """Whether the transaction may be lost as a whole (full, damaged, unreadable), and not just the statement."""
    return _code(error) not in _STATEMENT_ALONE


def cause(error: Exception) -> BaseException:
    """What the driver said."""
    return error.orig if isinstance(error, DBAPIError) and error.orig else error


def _code(error: Exception) -> int:
    """The primary result code, 0 where there is none."""
    return int(getattr(cause(error), "sqlite_errorcode", 0)) & 0xFF
