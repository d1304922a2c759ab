"""Owns the rows of Terraform states and of the locks on them. What may follow what is state_versions."""

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from setpoint.adapters.store.audit import AuditTrail, NewRows
from setpoint.adapters.store.database import Database
from setpoint.adapters.store.state_versions import (
    StateFacts,
    StateIdentity,
    StateLock,
    StateVersion,
    identity,
    is_new_version,
)
from setpoint.adapters.store.tables import STATE_LOCK, STATE_VERSION
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import ConflictError, LostBlobError, NotFoundError
from setpoint.ports import BlobStore, Clock

# Made once: to build a statement takes longer than to run it.
_VERSIONS = select(STATE_VERSION).where(STATE_VERSION.c.target == bindparam("target"))
_NEWEST = _VERSIONS.order_by(STATE_VERSION.c.version.desc()).limit(1)
_NEWEST_OF_RUN = _NEWEST.where(STATE_VERSION.c.run == bindparam("run"))
_ONE_VERSION = _VERSIONS.where(STATE_VERSION.c.version == bindparam("version"))
_ADD_VERSION = insert(STATE_VERSION)
_LOCK = select(STATE_LOCK).where(STATE_LOCK.c.target == bindparam("target"))
_LOCKS = select(STATE_LOCK).order_by(STATE_LOCK.c.target)
_TAKE_LOCK = insert(STATE_LOCK)
_FREE_LOCK = delete(STATE_LOCK).where(STATE_LOCK.c.target == bindparam("target"))
_FREE_RUN = delete(STATE_LOCK).where(STATE_LOCK.c.run == bindparam("run"))


class SqlStateStore:
    """The StateStore over the home's database and blobs. `parse` raises InvalidError for what is no state."""

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        trail: AuditTrail,
        clock: Clock,
        parse: Callable[[bytes], StateFacts],
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._trail = trail
        self._clock = clock
        self._parse = parse
        self._parser = ThreadPoolExecutor(1, thread_name_prefix="setpoint-states")

    async def head(self, target: str, *, run: str | None = None) -> StateVersion | None:
        """The newest version, where `run` is given of those that it wrote."""
        query = _NEWEST if run is None else _NEWEST_OF_RUN
        row = await self._database.read(
            lambda connection: connection.execute(query, {"target": target, "run": run}).first()
        )
        return _version(row) if row else None

    async def read(self, target: str, version: int | None = None) -> bytes:
        """The bytes of a version, the newest where None. Raises NotFoundError, StoreError."""
        row = await self._database.read(lambda connection: _find(connection, target, version))
        if row is None:
            raise NotFoundError(f"{target} has no state" + (f" of version {version}" if version is not None else ""))
        try:
            return await self._blobs.get(row.blob)
        except NotFoundError:
            # No state at all would be another thing: all that it knows would be made again.
            raise LostBlobError.gone(f"version {row.version} of the state of {target}", row.blob) from None

    async def append(
        self, target: str, data: bytes, *, run: str, lock: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> StateVersion:
        """Adds a version; see the port."""
        facts, found = await asyncio.get_running_loop().run_in_executor(self._parser, self._examine, data)
        values = {
            "serial": facts.serial,
            "lineage": facts.lineage,
            "terraform_version": facts.terraform_version,
            "sha256": found.sha256,
            "size": len(data),
            "resources": len(facts.instances),
            "blob": await self._blobs.put(data),
            "run": run,
            "at": _instant(self._clock),
        }
        rows = self._trail.rows_of(audit)

        def add(connection: Connection) -> StateVersion:
            if lock is not None:
                _check_lock(connection, target, lock, run)
            return _append(connection, target, found, values, rows)

        return await self._database.write(add)

    async def blobs(self) -> frozenset[str]:
        """The blobs that hold states."""
        query = select(STATE_VERSION.c.blob)
        return await self._database.read(lambda connection: frozenset(connection.execute(query).scalars()))

    def _examine(self, data: bytes) -> tuple[StateFacts, StateIdentity]:
        facts = self._parse(data)
        return facts, identity(facts, data)

    def close(self) -> None:
        """Ends the thread."""
        self._parser.shutdown(wait=False)


class SqlStateLocks:
    """The StateLocks over the home's database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def acquire(self, lock: StateLock) -> StateLock:
        """Takes a free lock. Returns the one that now stands."""
        since = _instant(self._clock)

        def take(connection: Connection) -> StateLock:
            standing = _lock(connection, lock.target)
            if standing is None:
                values = {"id": lock.id, "run": lock.run, "holder": lock.holder, "since": since}
                connection.execute(_TAKE_LOCK, {"target": lock.target, **values})
            return standing or lock

        return await self._database.write(take)

    async def release(self, target: str, *, id: str, run: str) -> StateLock | None:  # noqa: A002 Terraform's word
        """Frees this lock of this run. Returns another's that stands instead and stays, else None."""

        def free(connection: Connection) -> StateLock | None:
            standing = _lock(connection, target)
            if standing is not None and (standing.id, standing.run) != (id, run):
                return standing
            connection.execute(_FREE_LOCK, {"target": target})
            return None

        return await self._database.write(free)

    async def release_run(self, run: str) -> int:
        """Frees what a run that is over still holds; returns how many."""
        return await self._database.write(lambda connection: connection.execute(_FREE_RUN, {"run": run}).rowcount)

    async def held(self) -> tuple[StateLock, ...]:
        """All locks, by target."""
        return await self._database.read(lambda connection: tuple(map(_as_lock, connection.execute(_LOCKS))))


def _instant(clock: Clock) -> str:
    return clock.now().astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _find(connection: Connection, target: str, version: int | None) -> Row[Any] | None:
    if version is None:
        return connection.execute(_NEWEST, {"target": target}).first()
    return connection.execute(_ONE_VERSION, {"target": target, "version": version}).first()


def _append(
    connection: Connection, target: str, new: StateIdentity, values: dict[str, Any], rows: NewRows
) -> StateVersion:
    row = _find(connection, target, None)
    head = StateIdentity(row.lineage, row.serial, row.sha256) if row else None
    if row is not None and not is_new_version(head, new):
        return _version(row)
    connection.execute(_ADD_VERSION, {"target": target, "version": row.version + 1 if row else 1, **values})
    rows.record(connection)
    added = _find(connection, target, None)
    assert added is not None  # noqa: S101 it was just written
    return _version(added)


def _version(row: Row[Any]) -> StateVersion:
    return StateVersion(
        version=row.version,
        serial=row.serial,
        lineage=row.lineage,
        terraform_version=row.terraform_version,
        sha256=row.sha256,
        size=row.size,
        resources=row.resources,
        run=row.run,
    )


def _lock(connection: Connection, target: str) -> StateLock | None:
    row = connection.execute(_LOCK, {"target": target}).first()
    return _as_lock(row) if row else None


def _as_lock(row: Row[Any]) -> StateLock:
    return StateLock(target=row.target, id=row.id, run=row.run, holder=row.holder)


def _check_lock(connection: Connection, target: str, lock: str, run: str) -> None:
    standing = _lock(connection, target)
    if standing is None or (standing.id, standing.run) != (lock, run):
        msg = f"the state of {target} is not locked by run {run}, so it may not be written by it"
        raise ConflictError(msg)
