"""Owns bringing a database to this program's schema: by migrations from the first table on, never by create_all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from setpoint.domain.errors import StoreError

HEAD = "0004"
"""The newest revision. Kept here so that a database that is up to date is opened without loading Alembic."""
_MIGRATIONS = Path(__file__).parent / "migrations"


def is_behind(connection: Connection, name: str) -> bool:
    """True where the database `name`, as messages call it, lacks tables that HEAD has.

    Raises StoreError for a schema that is newer than HEAD and for a database of another program.
    """
    found = _revision(connection, name)
    if found > HEAD:
        msg = f"{name} was written by a newer Setpoint: its schema is {found}, and this one knows {HEAD}; upgrade it"
        raise StoreError(msg)
    return found < HEAD


def _revision(connection: Connection, name: str) -> str:
    """The revision of a database, empty before the first."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return ""
    if not tables >= {"alembic_version", "audit_row"}:
        msg = f"{name} is the database of another program: it was left as it is"
        raise StoreError(msg)
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none() or "")


def upgrade(connection: Connection) -> None:
    """Creates or upgrades the tables, in the caller's transaction, which is alone with the database."""
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
