"""Owns everything that is true of SQLite alone: opening the file safely, transactions, what its errors mean."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError

from setpoint.adapters.store import schema
from setpoint.adapters.store.audit import check_key
from setpoint.adapters.store.backend import cause
from setpoint.adapters.store.database import READERS, Database
from setpoint.adapters.store.files import HeldFiles
from setpoint.adapters.store.head import HeadFile
from setpoint.adapters.store.sealing import read_key, trail_key
from setpoint.domain.errors import StoreError

NAME = "STATE_AUDIT.db"
ERRORS = (DBAPIError, sqlite3.Error)
BUSY_TIMEOUT = 10.0
"""Seconds that a transaction waits for another process's."""

_HEAD_NAME = "audit.head"
_LOST = "objects, state versions and the audit trail"
_REMEDY = (
    "nothing was changed: put the file back from a backup; or, to start anew with nothing known of what was applied, "
    "move the whole folder away"
)
_STATEMENT_ALONE = {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
_UNCHANGING = "mode=ro&immutable=1"
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


class Source:
    """A file to read that can't be written, with what other connections have not yet moved into it.

    Such as those of a manager elsewhere, or of one that was killed: what is beside the file belongs to it. SQLite reads
    both where it can share them; else both are copied, as they are, into a folder that only we can read.
    """

    def __init__(self, path: Path) -> None:
        self._copied: tempfile.TemporaryDirectory[str] | None = None
        if not any(_has_content(path, suffix) for suffix in ("-wal", "-shm")):
            self.uri = _uri(path, _UNCHANGING)
        elif _can_be_read(_uri(path, "mode=ro")):
            self.uri = _uri(path, "mode=ro")
        else:
            self._copied = tempfile.TemporaryDirectory(prefix="setpoint-")
            copy = Path(self._copied.name) / path.name
            for suffix in ("", "-wal"):
                shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
            self.uri = _uri(copy, "mode=rw")

    def close(self) -> None:
        """Removes the copies."""
        if self._copied is not None:
            self._copied.cleanup()


def _has_content(path: Path, suffix: str) -> bool:
    beside = path.with_name(path.name + suffix)
    return beside.is_file() and beside.stat().st_size > 0


def _can_be_read(uri: str) -> bool:
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
        try:
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        except sqlite3.Error:
            return False
    return True


class SqliteBackend:
    """The Backend over one file, which other processes use at the same time."""

    errors = ERRORS

    def __init__(self, path: Path, *, readers: int, source: Source | None = None) -> None:
        """`source` is how a file is read that can't be written; then no write succeeds."""
        self._path = path
        self._source = source
        self.writes = _make_engine(_uri(path, _UNCHANGING if source else "mode=rw"), write=True, connections=1)
        self.reads = _make_engine(source.uri if source else _uri(path, "mode=rw"), write=False, connections=readers + 1)
        self._sentinel: Connection | None = None
        self._sentinel_lock = threading.Lock()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """A transaction begun and ended by the driver: SQLAlchemy's part costs a tenth of a commit of eight rows.

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

    def spoils_transaction(self, error: Exception) -> bool:
        """Full, damaged, unreadable."""
        return _code(error) not in _STATEMENT_ALONE

    def may_pass(self, error: Exception) -> bool:
        """Never: what can be waited for, SQLite has waited for."""
        del error
        return False

    def explain(self, error: Exception) -> StoreError:
        """The meaning of an error, with the file's path."""
        return _explained(error, self._path)

    def as_bytes(self, column: str) -> str:
        """SQL for a text as it is stored; the driver refuses to return one that is no UTF-8."""
        return f"CAST({column} AS BLOB)"

    def holds(self, column: str, part: str) -> str:
        """SQL that looks for bytes in a BLOB."""
        return f"instr({column}, :{part}) > 0"

    def data_version(self) -> int:
        """Moves when any other connection commits; only comparable with what the same connection said before."""
        with self._sentinel_lock:
            if self._sentinel is None:
                self._sentinel = self.reads.connect()
            # The transaction ends at once, else this connection would for ever see the file as it was.
            with self._sentinel.begin():
                return int(self._sentinel.exec_driver_sql("PRAGMA data_version").scalar_one())

    def close(self) -> None:
        """Closes all connections."""
        if self._sentinel is not None:
            self._sentinel.close()
        self.reads.dispose()
        self.writes.dispose()
        if self._source is not None:
            self._source.close()


def begin_sqlite(path: Path, *, beside: Sequence[Path] = ()) -> None:
    """Begins a database that is to be made; does nothing where there is one. Before a key is made for it.

    Raises StoreError where there was one that is gone: by its head, or by `beside`, files and folders that are there,
    or filled, only where there was one.
    """
    head = HeadFile(path.with_name(_HEAD_NAME), b"")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with schema.alone(path):
            _begin(path, head, beside)
    except OSError as error:
        raise _opening_error(error, path) from None


def open_sqlite(path: Path, key_file: Path, *, held: Sequence[Path] = (), check: bool = True) -> Database:
    """Opens the file; creates or migrates it where needed. Blocks: milliseconds, half a second where it creates.

    The trail's rows are sealed with the home's key. `held` are files that have to stay where they are, as the database
    has to, for anything to be applied. `check` reads the whole file, about a second per GB. Raises StoreError, and
    changes nothing, for a file that is damaged, is no database of ours, comes from a newer Setpoint, was sealed with
    another key, or is gone although `audit.head` is there.
    """
    key = trail_key(read_key(key_file))
    backend, head = SqliteBackend(path, readers=READERS), HeadFile(path.with_name(_HEAD_NAME), key)
    files = HeldFiles()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with schema.alone(path):
            _prepare(path, head, backend)
        files.hold(path, *held)
        with backend.reads.begin() as connection:
            if check:
                _check(connection, path)
            check_key(connection, key, name=str(path), key_name=str(key_file))
    except (*ERRORS, OSError, StoreError) as error:
        backend.close()
        files.close()
        raise _opening_error(error, path) from None
    return Database(backend, head, key, files)


def read_sqlite(path: Path, key_file: Path) -> Database:
    """Opens a file that can't be written. Makes nothing beside it, and no write to it succeeds.

    Raises StoreError as `open_sqlite` does, and where the file has to be brought up to date first.
    """
    key = trail_key(read_key(key_file))
    if not _has_content(path, ""):
        raise StoreError(f"{path} is missing or empty, and this home can't be written")
    try:
        source = Source(path)
    except (*ERRORS, OSError) as error:
        raise _opening_error(error, path) from None
    backend = SqliteBackend(path, readers=READERS, source=source)
    try:
        with backend.reads.begin() as connection:
            _require_today(connection, path)
            check_key(connection, key, name=str(path), key_name=str(key_file))
    except (*ERRORS, OSError, StoreError) as error:
        backend.close()
        raise _opening_error(error, path) from None
    return Database(backend, HeadFile(path.with_name(_HEAD_NAME), key), key)


def _require_today(connection: Connection, path: Path) -> None:
    if schema.is_behind(connection, str(path)):
        raise StoreError(f"{path} is an earlier Setpoint's: run 'setpoint up' once where it can be written")


def _begin(path: Path, head: HeadFile, beside: Sequence[Path] = ()) -> bool:
    """Begins the head of a database that is to be made: before the file, which without a head is one that lost it.

    Whoever is killed in between begins anew. Returns whether the database is to be made.
    """
    if path.exists() and path.stat().st_size:
        return False
    if left := _left_of_another(path, head, beside):
        raise _missing(path, left)
    if not head.exists():
        head.begin()
    return True


def _prepare(path: Path, head: HeadFile, backend: SqliteBackend) -> None:
    if _begin(path, head):
        _create_file(path)
    with backend.reads.begin() as connection:
        behind = schema.is_behind(connection, str(path))
    if behind:
        with backend.writes.begin() as connection:
            schema.upgrade(connection)


def _opening_error(error: Exception, path: Path) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, ERRORS):
        return _explained(error, path)
    return StoreError(f"{path} can't be opened: {getattr(error, 'strerror', None) or error}")


def _create_file(path: Path) -> None:
    """Makes an empty database that only its owner can read; the journals that SQLite adds inherit the mode."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _uri(path: Path, how: str) -> str:
    # Never one by which the file would be made: in place of one that was removed, an empty one would pass for it.
    return f"{path.resolve().as_uri()}?{how}"


def _make_engine(uri: str, *, write: bool, connections: int) -> Engine:
    """An engine over that many connections, which take the write lock at once, or can't write at all.

    IMMEDIATE, because a deferred transaction that turns to writing fails on any concurrent commit instead of waiting.
    """
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(
            uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT
        ),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
    )
    pragmas = ["synchronous=FULL", "cell_size_check=ON", "trusted_schema=OFF"]
    pragmas.append("journal_mode=WAL" if write else "query_only=ON")

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not _driver(connection).in_transaction:
            _driver(connection).execute("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _driver(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _check(connection: Connection, path: Path) -> None:
    """Reads the whole file. Raises StoreError when its structure is damaged."""
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise _damaged(path, "; ".join(found)[:300])


def _damaged(path: Path, why: str) -> StoreError:
    """A file that can't be read."""
    return StoreError(f"{path} is damaged, so {_LOST} in it can't be relied upon ({why}); {_REMEDY}")


def _left_of_another(path: Path, head: HeadFile, beside: Sequence[Path]) -> str:
    """The evidence that there was a database already, as a clause; empty where there was none."""
    seen = head.look()
    if seen.head is not None:
        return f"it once held at least {seen.head.size} audit rows" if seen.head.size else ""
    if head.exists():
        return f"there was one: {seen.problem}"
    left = [str(each.relative_to(path.parent)) for each in beside if _is_filled(each)]
    return f"there was one, of which this is left: {', '.join(left)}" if left else ""


def _is_filled(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else os.path.lexists(path)


def _missing(path: Path, left: str) -> StoreError:
    """A file that is gone or empty although it once was there."""
    return StoreError(f"{path} is missing or empty, though {left}: {_LOST} are lost; {_REMEDY}")


def _explained(error: Exception, path: Path) -> StoreError:
    """The meaning of an error of the database."""
    code, said = _code(error), str(cause(error))
    if code in _DAMAGED:
        return _damaged(path, said)
    meaning = {
        sqlite3.SQLITE_FULL: "the disk is full",
        sqlite3.SQLITE_BUSY: f"another process kept it locked for more than {BUSY_TIMEOUT:g} s",
        sqlite3.SQLITE_READONLY: "it can't be written",
        sqlite3.SQLITE_CANTOPEN: "it can't be opened",
        sqlite3.SQLITE_IOERR: "reading or writing the disk failed",
    }.get(code, said)
    return StoreError(f"{path}: {meaning}")


def _code(error: Exception) -> int:
    """The primary result code, 0 where there is none."""
    return int(getattr(cause(error), "sqlite_errorcode", 0)) & 0xFF
