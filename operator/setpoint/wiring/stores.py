"""Owns which store the operator gets: PostgreSQL, which replicas share, or one SQLite file for one replica."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from setpoint.adapters.local.home import current_user
from setpoint.adapters.store import (
    NAME,
    AuditTrail,
    Database,
    SealedBlobs,
    begin_sqlite,
    open_sqlite,
)
from setpoint.domain.errors import InvalidError, StoreError
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.process_lock import ProcessLock
from setpoint.settings import Settings, read_settings

_LOCK = "operator.lock"
_KEY = Path("keys", "blobs.key")


def open_database(
    stack: contextlib.AsyncExitStack, settings: Settings, *, identity: str, secrets: SecretFilter
) -> tuple[Database, SealedBlobs]:
    """Opens the database and the blobs that the settings name; the stack closes them.

    Raises StoreError for a store that can't be reached, is damaged, or on SQLite is another replica's already;
    InvalidError for settings that can't be used.
    """
    _private_folder(settings.state_dir)
    if settings.store_url is None:
        database, blobs = _open_sqlite(stack, settings, identity)
    else:
        database, blobs = _open_postgres(stack, settings.store_url.get_secret_value(), settings, secrets)
    stack.push_async_callback(blobs.close)
    return database, blobs


class OperatorStore:
    """The operator's store as somebody in its pod sees it, whether or not it is the one that stood here."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail

    async def store_problem(self) -> str:
        """The reason against the store being the one that stood here, as a clause; empty where there is none."""
        return await self._trail.contradiction()

    async def accept_store(self, reason: str) -> str:
        """Goes on with the store as it is, on record; returns what spoke against it."""
        return await self._trail.accept(f"user:{current_user()}", reason)


@contextlib.asynccontextmanager
async def open_operator_store() -> AsyncIterator[OperatorStore]:
    """Opens the store that the settings name, beside the operator that runs on it. Raises StoreError, InvalidError."""
    settings = read_settings()
    async with contextlib.AsyncExitStack() as stack:
        if settings.store_url is None:
            database, _ = _open_file(stack, settings)
        else:
            database, _ = _open_postgres(stack, settings.store_url.get_secret_value(), settings, SecretFilter())
        yield OperatorStore(AuditTrail(database, SystemClock()))


def _open_sqlite(stack: contextlib.AsyncExitStack, settings: Settings, identity: str) -> tuple[Database, SealedBlobs]:
    folder = settings.state_dir
    lock = ProcessLock(folder / _LOCK, identity)
    try:
        other = lock.acquire()
    except OSError as error:
        message = f"SETPOINT_STATE_DIR: files in {folder} can't be locked: {error.strerror}"
        raise StoreError(message) from None
    if other is not None:
        message = (
            f"another operator works on {folder}: {other}; a store on SQLite is one replica's, "
            "more of them share PostgreSQL by SETPOINT_STORE_URL"
        )
        raise StoreError(message)
    stack.callback(lock.release)
    return _open_file(stack, settings, held=[folder / _LOCK])


def _open_file(
    stack: contextlib.AsyncExitStack, settings: Settings, held: Sequence[Path] = ()
) -> tuple[Database, SealedBlobs]:
    folder = settings.state_dir
    key = settings.sealing_key_file or folder / _KEY
    # The key is made with the blobs, and the rows are sealed with it.
    begin_sqlite(folder / NAME, beside=[folder / name for name in ("blobs", "runs", "work", "errored", _KEY)])
    blobs = SealedBlobs.open(folder / "blobs", key)
    database = open_sqlite(folder / NAME, key, held=held)
    stack.push_async_callback(database.close)
    return database, blobs


def _open_postgres(
    stack: contextlib.AsyncExitStack, url: str, settings: Settings, secrets: SecretFilter
) -> tuple[Database, SealedBlobs]:
    # Loaded here: a home on SQLite does without the driver.
    from setpoint.adapters.store import postgres, shared_blobs  # noqa: PLC0415

    if settings.sealing_key_file is None:
        message = "it must name a file of 32 random bytes, the same for all replicas, since SETPOINT_STORE_URL is set"
        raise InvalidError(message, field="SETPOINT_SEALING_KEY_FILE")
    secrets.add(filter(None, [url, postgres.parse_url(url).password]))
    database = postgres.open_postgres(url, settings.sealing_key_file, settings.state_dir)
    stack.push_async_callback(database.close)
    return database, shared_blobs.open_shared_blobs(url, settings.sealing_key_file)


def _private_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"SETPOINT_STATE_DIR: {folder} can't be made: {error.strerror}"
        raise StoreError(message) from None
