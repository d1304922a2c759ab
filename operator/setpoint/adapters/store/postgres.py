"""Owns everything that is true of PostgreSQL alone: connections, transactions, what its errors mean, opening one.

All writers of all replicas take turns, by an advisory lock that each transaction takes first: the audit trail is one
chain, and a transaction that waits for its turn costs less than one that is undone. What is read after the lock was
taken is the newest.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from setpoint.adapters.store import schema
from setpoint.adapters.store.audit import check_key
from setpoint.adapters.store.backend import InDoubtError, cause
from setpoint.adapters.store.database import READERS, Database
from setpoint.adapters.store.head import HeadFile
from setpoint.adapters.store.sealing import read_key, trail_key
from setpoint.domain.errors import InvalidError, StoreError

ERRORS = (DBAPIError, psycopg.Error, InDoubtError)
LEAST_VERSION = 140_000
LOCK_KEY = int.from_bytes(b"setpoint") >> 1
"""The advisory lock of the store's writers, and of whoever makes its tables."""

_SCHEMES = {"postgresql", "postgres", "postgresql+psycopg"}
_CONNECT = {
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
    "application_name": "setpoint",
    "client_encoding": "utf8",
}
"""How soon a server that is gone is noticed; what the URL says wins."""
_SESSION = {
    "statement_timeout": "60s",
    "lock_timeout": "10s",
    # A leader that is paused within a transaction must not keep the next one from beginning its term.
    "idle_in_transaction_session_timeout": "5s",
}
_SETTINGS = "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in _SESSION.items())
TURN = f"SELECT pg_advisory_xact_lock({LOCK_KEY})"
_DURABLE = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
_DATA_VERSION = (
    "SELECT (SELECT value FROM counter WHERE name = 'objects') + coalesce((SELECT max(seq) FROM audit_row), 0)"
)

_LOST_STATES = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
_PASSING_STATES = ("40001", "40P01")
_STATEMENT_ALONE = ("22", "23", "42", "44", "54", "P0")
_MEANINGS = {
    "25006": "it can't be written",
    "28": "it does not let us in",
    "3D": "there is no such database",
    "42501": "our role may not do that",
    "53100": "the disk is full",
    "53300": "it has too many connections",
    "55P03": f"another replica kept it locked for more than {_SESSION['lock_timeout']}",
    "57014": f"a statement took more than {_SESSION['statement_timeout']}",
}


class PostgresBackend:
    """The Backend over one database, or one schema of it, of a server that other replicas use at the same time."""

    errors = ERRORS

    def __init__(self, url: URL, *, readers: int) -> None:
        self.name = name_of(url)
        self.writes = make_engine(url, connections=1)
        reads = make_engine(url, connections=readers)
        self.reads = reads.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """A transaction of which every statement sees what others had committed before it got its turn."""
        with dropped_if_lost(connection):
            begun = connection.begin()
            connection.exec_driver_sql(TURN)
            yield
            if _driver(connection).info.transaction_status is not TransactionStatus.INTRANS:
                # COMMIT would undo it and say nothing.
                msg = "a statement of the transaction failed"
                raise psycopg.errors.InFailedSqlTransaction(msg)
            try:
                begun.commit()
            except ERRORS as error:
                if is_lost(error):
                    raise InDoubtError from error
                raise

    def spoils_transaction(self, error: Exception) -> bool:
        """Unless it is the statement's own fault."""
        return not _state(error).startswith(_STATEMENT_ALONE)

    def may_pass(self, error: Exception) -> bool:
        """A connection that was lost before COMMIT, a deadlock, a conflict of serializable transactions."""
        return is_lost(error) or _state(error) in _PASSING_STATES

    def explain(self, error: Exception) -> StoreError:
        """The meaning of an error, with the server's address."""
        return explained(error, self.name)

    def as_bytes(self, column: str) -> str:
        """SQL for a text's bytes; here no text is ever anything but UTF-8."""
        return f"convert_to({column}, 'UTF8')"

    def holds(self, column: str, part: str) -> str:
        """SQL that looks for bytes in a bytea."""
        return f"position(:{part} in {column}) > 0"

    def data_version(self) -> int:
        """How many writes of objects there were, and of audit rows."""
        with self.reads.connect() as connection:
            return int(connection.exec_driver_sql(_DATA_VERSION).scalar_one())

    def close(self) -> None:
        """Closes all connections."""
        self.reads.dispose()
        self.writes.dispose()


def open_postgres(url: str, key_file: Path, folder: Path) -> Database:
    """Opens a database; creates or migrates its tables where needed. Blocks, 10 s where the server is silent.

    The trail's rows are sealed with the key. `folder` is where this replica notes how far the audit trail had come, as
    soon as it first sees it. Raises StoreError, and changes nothing, for a server that can't be reached or is too old,
    a database of another program, one of a newer Setpoint and one that was sealed with another key; InvalidError for a
    URL that is none.
    """
    parsed, key = parse_url(url), trail_key(read_key(key_file))
    name = name_of(parsed)
    backend = PostgresBackend(parsed, readers=READERS)
    head = HeadFile(folder / f"audit-{hashlib.sha256(name.encode()).hexdigest()[:32]}.head", key)
    try:
        _migrate(backend)
        with backend.reads.begin() as connection:
            check_key(connection, key, name=name, key_name=f"the one in {key_file}")
            head.adopt(connection)
    except (*ERRORS, OSError, StoreError) as error:
        backend.close()
        raise _opening_error(error, name) from None
    return Database(backend, head, key)


def parse_url(url: str) -> URL:
    """The URL of a database. Raises InvalidError, which repeats nothing of it: there may be a password in it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    if parsed is None or parsed.drivername not in _SCHEMES or not parsed.database:
        msg = "this is not postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        raise InvalidError(msg, field="SETPOINT_STORE_URL")
    return parsed.set(drivername="postgresql+psycopg", query={**_CONNECT, **parsed.query})


def name_of(url: URL) -> str:
    """The name of the database in messages: no user, no password."""
    named = url.host or url.query.get("host") or "localhost"
    host = named if isinstance(named, str) else ",".join(named)
    return f"PostgreSQL at {host}{f':{url.port}' if url.port else ''}/{url.database}"


def make_engine(url: URL, *, connections: int) -> Engine:
    """An engine over that many connections."""
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=connections, max_overflow=0, isolation_level="READ COMMITTED"
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: "psycopg.Connection[Any]", _record: object) -> None:
        connection.autocommit = True
        connection.execute(_SETTINGS)
        connection.execute(_DURABLE)
        connection.autocommit = False

    return engine


def is_lost(error: BaseException) -> bool:
    """True where the connection failed, or could not be made."""
    found = _state(error)
    return found.startswith(_LOST_STATES) or (not found and isinstance(_origin(error), psycopg.OperationalError))


def explained(error: Exception, name: str) -> StoreError:
    """The meaning of an error of the database."""
    if isinstance(error, InDoubtError):
        msg = f"{name}: the connection was lost in the middle of COMMIT: whether this was written can't be known"
        return StoreError(msg)
    found, origin = _state(error), _origin(error)
    meaning = _MEANINGS.get(found) or _MEANINGS.get(found[:2])
    if meaning is None and found.startswith("P0") and isinstance(origin, psycopg.Error):
        # Our own triggers.
        meaning = origin.diag.message_primary
    if meaning is None and is_lost(error):
        meaning = f"the connection failed: {_first_line(origin)}"
    # Other messages repeat values.
    return StoreError(f"{name}: {meaning or f'{type(origin).__name__} {found}'.strip()}")


def _migrate(backend: PostgresBackend) -> None:
    with backend.reads.begin() as connection:
        _check_server(connection, backend.name)
        behind = schema.is_behind(connection, backend.name)
    if behind:
        with backend.writes.connect() as connection, backend.transaction(connection):
            # Another replica may have done it while this one waited for its turn.
            if schema.is_behind(connection, backend.name):
                schema.upgrade(connection)


def _check_server(connection: Connection, name: str) -> None:
    info = _driver(connection).info
    if info.server_version < LEAST_VERSION:
        raise StoreError(f"{name}: it is too old, the store needs PostgreSQL {LEAST_VERSION // 10_000} or newer")
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(f"{name}: the database's encoding is {encoding}, the store needs UTF8")


@contextmanager
def dropped_if_lost(connection: Connection) -> Iterator[None]:
    """A connection that was lost under the driver's own cursor is not seen by SQLAlchemy, and would be used again."""
    driver = _driver(connection)
    try:
        yield
    except BaseException:
        if driver.closed:
            connection.invalidate()
        raise


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection)


def _opening_error(error: Exception, name: str) -> StoreError:
    if isinstance(error, StoreError):
        return error
    if isinstance(error, ERRORS):
        return explained(error, name)
    return StoreError(f"{name}: its head file can't be written: {getattr(error, 'strerror', None) or error}")


def _origin(error: BaseException) -> BaseException:
    return cause(error) if isinstance(error, Exception) else error


def _state(error: BaseException) -> str:
    """The SQLSTATE, empty where the server said nothing."""
    return str(getattr(_origin(error), "sqlstate", None) or "")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
