"""Owns bringing a database to this program's schema: by migrations from the first table on, never by create_all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from setpoint.domain.errors import StoreError

HEAD = "0001"
"""The newest revision. Kept here so that a database that is up to date is opened without loading Alembic."""
_MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(reads: Engine, writes: Engine, path: Path) -> None:
    """Creates or upgrades the tables, in one transaction, while `alone` with the file.

    Raises StoreError for a schema that is newer than HEAD and for a database of another program.
    """
    with reads.begin() as connection:
        found = _revision(connection, path)
    if found == HEAD:
        return
    if found > HEAD:
        msg = f"{path} was written by a newer Setpoint: its schema is {found}, and this one knows {HEAD}; upgrade it"
        raise StoreError(msg)
    with writes.begin() as connection:
        _upgrade(connection)


def _revision(connection: Connection, path: Path) -> str:
    """The revision of a database, empty before the first."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() or "")
    if tables:
        msg = f"{path} is the database of another program: it was left as it is"
        raise StoreError(msg)
    return ""


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 0.3 s to load, and needed once per database
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time opens or creates the database at `path`, by a lock file beside it.

    Not by the database itself: closing a second handle to it would drop SQLite's own locks.
    """
    handle = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
