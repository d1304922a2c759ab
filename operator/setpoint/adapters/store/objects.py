"""Owns the rows of objects: conditional writes, tombstones, changes since a version. Knows no Kubernetes semantics."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, Row, bindparam, delete, insert, select, update

from setpoint.adapters.store.audit import AuditTrail, NewRows
from setpoint.adapters.store.database import Database
from setpoint.adapters.store.tables import COUNTER, OBJECT
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import AlreadyExistsError, ConflictError, GoneError, NotFoundError
from setpoint.ports import StoredObject, StoredObjects

TOMBSTONES_FOR = 10_000
"""Writes for which a tombstone is kept. A watch that is further behind lists again."""
_PRUNE_EVERY = 256

# Made once: to build a statement takes longer than to run it. `of_` tells a key's values from those to be set.
_IS = tuple(OBJECT.c[name] == bindparam(f"of_{name}") for name in ("kind", "namespace", "name"))
_FIND = select(OBJECT).where(*_IS)
_LIVE = select(OBJECT).where(_IS[0], OBJECT.c.deleted.is_(False)).order_by(OBJECT.c.namespace, OBJECT.c.name)
_LIVE_IN = _LIVE.where(_IS[1])
_ADD = insert(OBJECT)
_SET = update(OBJECT).where(*_IS)
_DROP = delete(OBJECT).where(*_IS)
_LATER = (
    select(OBJECT)
    .where(OBJECT.c.version > bindparam("after"), OBJECT.c.kind.in_(bindparam("kinds", expanding=True)))
    .order_by(OBJECT.c.version)
    .limit(bindparam("most"))
)
_COUNTER = select(COUNTER.c.value).where(COUNTER.c.name == bindparam("counter"))
_RISE = update(COUNTER).where(COUNTER.c.name == "objects").values(value=COUNTER.c.value + 1).returning(COUNTER.c.value)


class SqlObjectStore:
    """The ObjectStore over the home's database."""

    def __init__(self, database: Database, trail: AuditTrail) -> None:
        self._database = database
        self._trail = trail

    async def get(self, ref: ObjectRef) -> StoredObject:
        """One live object. Raises NotFoundError."""
        row = await self._database.read(lambda connection: _find(connection, ref))
        if row is None or row.deleted:
            raise NotFoundError(f"{ref} does not exist")
        return _stored(row)

    async def list(self, kind: str, namespace: str | None = None) -> StoredObjects:
        """All live objects of a kind, in order of their key."""
        query, given = (
            (_LIVE, {"of_kind": kind})
            if namespace is None
            else (_LIVE_IN, {"of_kind": kind, "of_namespace": namespace})
        )
        return await self._database.read(lambda connection: StoredObjects(*_read(connection, query, given)))

    async def put(self, obj: StoredObject, *, expected_version: int | None, audit: Sequence[AuditEntry] = ()) -> int:
        """Writes a row; see the port."""
        rows = self._trail.rows_of(audit)
        version = await self._database.write(lambda connection: _put(connection, obj, expected_version, rows))
        self._trail.count_rows(len(rows))
        return version

    async def remove(
        self, ref: ObjectRef, *, expected_version: int | None = None, audit: Sequence[AuditEntry] = ()
    ) -> int:
        """Leaves a tombstone; see the port."""
        rows = self._trail.rows_of(audit)
        version = await self._database.write(lambda connection: _remove(connection, ref, expected_version, rows))
        self._trail.count_rows(len(rows))
        return version

    async def changes(self, after: int, kinds: Sequence[str], *, limit: int = 1000) -> StoredObjects:
        """Live rows and tombstones with a later version, in the order of their writes. Raises GoneError."""
        return await self._database.read(lambda connection: _changes(connection, after, kinds, limit))

    async def version(self) -> int:
        """The version of the newest write."""
        return await self._database.read(lambda connection: _counter(connection, "objects"))

    async def data_version(self) -> int:
        """Moves with every commit to the file."""
        return await self._database.data_version()


def _find(connection: Connection, ref: ObjectRef) -> Row[Any] | None:
    return connection.execute(_FIND, _key(ref)).first()


def _key(ref: ObjectRef) -> dict[str, str]:
    return {"of_kind": ref.kind, "of_namespace": ref.namespace, "of_name": ref.name}


def _stored(row: Row[Any]) -> StoredObject:
    return StoredObject(
        ref=ObjectRef(row.kind, row.namespace, row.name),
        uid=row.uid,
        generation=row.generation,
        body=row.body,
        source=row.source,
        version=row.version,
        deleted=row.deleted,
    )


def _read(connection: Connection, query: Executable, given: Mapping[str, Any]) -> tuple[tuple[StoredObject, ...], int]:
    rows = tuple(_stored(row) for row in connection.execute(query, given))
    return rows, _counter(connection, "objects")


def _counter(connection: Connection, name: str) -> int:
    return int(connection.execute(_COUNTER, {"counter": name}).scalar_one())


def _next_version(connection: Connection) -> int:
    return int(connection.execute(_RISE).scalar_one())


def _current(connection: Connection, ref: ObjectRef, expected: int | None) -> Row[Any]:
    """The live row, which must have the expected version where there is one."""
    row = _find(connection, ref)
    if row is None or row.deleted:
        raise NotFoundError(f"{ref} does not exist")
    if expected is not None and row.version != expected:
        raise ConflictError(f"{ref} was changed by someone else: it is at version {row.version}, not {expected}")
    return row


def _put(connection: Connection, obj: StoredObject, expected: int | None, rows: NewRows) -> int:
    values = {
        "uid": obj.uid, "generation": obj.generation, "body": obj.body, "source": obj.source, "deleted": False
    }  # fmt: skip
    if expected is None:
        _make_room(connection, obj.ref)
        version = _next_version(connection)
        key = {"kind": obj.ref.kind, "namespace": obj.ref.namespace, "name": obj.ref.name}
        connection.execute(_ADD, {**key, **values, "version": version})
    else:
        row = _current(connection, obj.ref, expected)
        version = row.version
        if any(getattr(row, name) != value for name, value in values.items()):
            version = _next_version(connection)
            connection.execute(_SET, {**_key(obj.ref), **values, "version": version})
    rows.record(connection)
    return version


def _make_room(connection: Connection, ref: ObjectRef) -> None:
    row = _find(connection, ref)
    if row is not None and not row.deleted:
        raise AlreadyExistsError(f"{ref} exists already")
    if row is not None:
        connection.execute(_DROP, _key(ref))


def _remove(connection: Connection, ref: ObjectRef, expected: int | None, rows: NewRows) -> int:
    _current(connection, ref, expected)
    version = _next_version(connection)
    connection.execute(_SET, {**_key(ref), "deleted": True, "version": version})
    if version % _PRUNE_EVERY == 0:
        _prune(connection, version - TOMBSTONES_FOR)
    rows.record(connection)
    return version


def _prune(connection: Connection, through: int) -> None:
    """Forgets tombstones up to a version, and that they are forgotten is kept."""
    old = delete(OBJECT).where(OBJECT.c.deleted.is_(True), OBJECT.c.version <= through)
    if connection.execute(old).rowcount:
        connection.execute(update(COUNTER).where(COUNTER.c.name == "floor").values(value=through))


def _changes(connection: Connection, after: int, kinds: Sequence[str], limit: int) -> StoredObjects:
    if after < _counter(connection, "floor"):
        raise GoneError(f"changes after version {after} are no longer kept")
    items, version = _read(connection, _LATER, {"after": after, "kinds": [*kinds], "most": limit})
    if after > version:
        raise GoneError(f"version {after} lies ahead of the store's {version}: it was rolled back")
    return StoredObjects(items, items[-1].version if len(items) == limit else version)
