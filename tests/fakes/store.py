"""Owns opening a real store in a test, and the in-memory stores, which pass the same conformance suites."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import functools
import hashlib
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setpoint.adapters.store import (
    NAME,
    AuditTrail,
    Database,
    SealedBlobs,
    SqlFences,
    SqlObjectStore,
    SqlObservations,
    SqlStateLocks,
    SqlStateStore,
    open_sqlite,
)
from setpoint.adapters.store.postgres import open_postgres
from setpoint.adapters.store.sealing import load_key
from setpoint.adapters.store.shared_blobs import open_shared_blobs
from setpoint.adapters.store.state_versions import StateIdentity, StateLock, StateVersion, identity, is_new_version
from setpoint.api.meta import ObjectRef
from setpoint.domain import audit
from setpoint.domain.audit import GENESIS, AuditEntry, AuditRow, Phase, Record
from setpoint.domain.audit_actions import is_begun_apply
from setpoint.domain.errors import (
    AlreadyExistsError,
    ConflictError,
    FencedError,
    GoneError,
    LostBlobError,
    NotFoundError,
    StoreSetBackError,
)
from setpoint.domain.freshness import LastObservation
from setpoint.ports import AuditLog, BlobStore, Fences, ObjectStore, ObservationStore, StoredObject, StoredObjects
from setpoint.runtime.fencing import current_fence
from setpoint.targets.environment.plan import state
from setpoint.targets.environment.state_ports import StateLocks, StateStore

AT = "2026-01-01T00:00:00.000000Z"


class FixedClock:
    """Always the same instant."""

    def now(self) -> dt.datetime:
        return dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


@dataclasses.dataclass(frozen=True)
class Stores:
    """One of each port, over one home."""

    trail: AuditLog
    blobs: BlobStore
    states: StateStore
    locks: StateLocks
    objects: ObjectStore
    fences: Fences
    observations: ObservationStore


@dataclasses.dataclass(frozen=True)
class SqlStores(Stores):
    """The real ones, with their database."""

    database: Database


def open_at(path: Path, **options: Any) -> Database:
    """Opens a database with the key beside it, which is made where there is none."""
    key = path.parent / "keys" / "blobs.key"
    load_key(key, guards="")
    return open_sqlite(path, key, **options)


@functools.cache
def _fresh_files() -> tuple[tuple[str, bytes], ...]:
    """An empty store: made once and copied, since making it takes 0.2 s."""
    with tempfile.TemporaryDirectory() as folder:
        with ThreadPoolExecutor(1) as thread:  # a loop of its own, away from the test's
            thread.submit(asyncio.run, open_at(Path(folder) / NAME).close()).result()
        return tuple((file.name, file.read_bytes()) for file in Path(folder).iterdir() if file.is_file())


def make_fresh(folder: Path) -> Path:
    """Puts an empty store into a folder; returns the database's path."""
    for name, data in _fresh_files():
        (folder / name).write_bytes(data)
    return folder / NAME


@contextlib.asynccontextmanager
async def open_sql_stores(folder: Path, url: str = "") -> AsyncIterator[SqlStores]:
    """The stores of a home: in SQLite, which is made where it is not there, or in the PostgreSQL database of a URL."""
    database, blobs = _open_postgres(folder, url) if url else _open_sqlite(folder)
    trail = AuditTrail(database, FixedClock())
    states = SqlStateStore(database, blobs, trail, FixedClock(), state.parse)
    locks, objects = SqlStateLocks(database, FixedClock()), SqlObjectStore(database, trail)
    try:
        yield SqlStores(trail, blobs, states, locks, objects, SqlFences(database), SqlObservations(database), database)
    finally:
        states.close()
        await blobs.close()
        await database.close()


@dataclasses.dataclass(frozen=True)
class StorePlace:
    """The place of a store: in a folder, or where there is a URL in that PostgreSQL database."""

    folder: Path
    url: str = ""

    def open(self) -> contextlib.AbstractAsyncContextManager[SqlStores]:
        return open_sql_stores(self.folder, self.url)


def _open_sqlite(folder: Path) -> tuple[Database, SealedBlobs]:
    if not (folder / NAME).exists():
        make_fresh(folder)
    blobs = SealedBlobs.open(folder / "blobs", folder / "keys" / "blobs.key")
    return open_at(folder / NAME), blobs


def _open_postgres(folder: Path, url: str) -> tuple[Database, SealedBlobs]:
    return open_postgres_at(url, folder), open_shared_blobs(url, folder / "blobs.key")


def open_postgres_at(url: str, folder: Path) -> Database:
    """Opens a database with the key in the folder, which is the same for all."""
    key = folder / "blobs.key"
    if not key.exists():
        key.write_bytes(bytes(32))
    return open_postgres(url, key, folder)


def memory_stores() -> Stores:
    """The in-memory stores, of one home."""
    fences = MemoryFences()
    trail, blobs, locks = MemoryAuditLog(fences), MemoryBlobs(), MemoryLocks(fences)
    return Stores(
        trail, blobs, MemoryStates(blobs, locks, trail), locks, MemoryObjects(trail), fences, MemoryObservations(fences)
    )


class MemoryFences:
    """The Fences in a dict; `check` is what every write of the other in-memory stores begins with."""

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}

    async def acquire(self, shard: str) -> int:
        self._epochs[shard] = self._epochs.get(shard, 0) + 1
        return self._epochs[shard]

    def check(self) -> None:
        fence = current_fence()
        if fence is not None and self._epochs.get(fence.shard) != fence.epoch:
            raise FencedError(f"term {fence.epoch} is over")


class MemoryAuditLog:
    """The AuditLog in a list; `records` may be tampered with."""

    def __init__(self, fences: MemoryFences | None = None) -> None:
        self.records: list[Record] = []
        self.set_back = ""
        self.fences = fences or MemoryFences()

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        if entries:
            self.fences.check()
        drafts = [audit.draft(entry, at=AT, salt=bytes(16)) for entry in entries]
        return tuple(self._chain(draft) for draft in drafts)

    def _chain(self, draft: audit.Draft) -> int:
        prev = self.records[-1].hash if self.records else GENESIS
        seq, digest = len(self.records) + 1, audit.chain_hash(prev, draft.leaf)
        columns = (draft.target, draft.run, draft.phase, draft.header, draft.leaf, prev, digest)
        payload = (None, None) if draft.body is None else (draft.salt, draft.body)
        self.records.append(Record(seq, *columns, *payload))
        return seq

    async def rows(self, *, after: int = 0, limit: int = 1000, target: ObjectRef | None = None) -> tuple[AuditRow, ...]:
        found = [r for r in self.records if r.seq > after and (target is None or r.target == target.key)]
        return tuple(audit.parse(record, vouched=True) for record in found[:limit])

    async def applies_begun(self, target: ObjectRef, subject: str | None = None) -> int:
        return sum(is_begun_apply(audit.parse(record).entry, target, subject) for record in self.records)

    async def last_apply(self, target: ObjectRef) -> tuple[AuditRow, ...]:
        return rows_of_last_apply(await self.rows(limit=len(self.records), target=target), target)

    async def open_intents(self) -> tuple[AuditRow, ...]:
        done = {record.run for record in self.records if record.phase == Phase.OUTCOME}
        left = [r for r in self.records if r.phase == Phase.INTENT and r.run not in done]
        return tuple(audit.parse(record) for record in left)

    async def require_standing(self) -> None:
        if self.set_back:
            raise StoreSetBackError(self.set_back)


def rows_of_last_apply(rows: Sequence[AuditRow], target: ObjectRef) -> tuple[AuditRow, ...]:
    """Those of these rows of a target that tell of the apply that was begun last."""
    begun = [row.entry.run for row in rows if is_begun_apply(row.entry, target)]
    return tuple(row for row in rows if begun and row.entry.run == begun[-1])


class MemoryBlobs:
    """The BlobStore in a dict. All that is in it grows old at once, by `age`."""

    def __init__(self) -> None:
        self._blobs: dict[str, bytes] = {}
        self._old: set[str] = set()

    def forget_all(self) -> None:
        """Forgets all, as a disk does that is lost."""
        self._blobs.clear()

    def age(self) -> None:
        self._old = set(self._blobs)

    async def put(self, data: bytes) -> str:
        self._blobs[self.digest(data)] = data
        self._old.discard(self.digest(data))
        return self.digest(data)

    async def renew(self, digest: str) -> None:
        if digest not in self._blobs:
            raise NotFoundError(f"there is no blob {digest}")
        self._old.discard(digest)

    async def get(self, digest: str) -> bytes:
        if digest not in self._blobs:
            raise NotFoundError(f"there is no blob {digest}")
        return self._blobs[digest]

    async def prune(self, find_kept: Callable[[], Awaitable[frozenset[str]]]) -> int:
        old = frozenset(self._old)
        kept = await find_kept()
        gone = (old & self._old) - kept
        for digest in gone:
            del self._blobs[digest]
        self._old -= gone
        return len(gone)

    def digest(self, data: bytes) -> str:
        return "sha256:" + hashlib.sha256(data).hexdigest()


class MemoryObservations:
    """The ObservationStore in a dict."""

    def __init__(self, fences: MemoryFences | None = None) -> None:
        self._observations: dict[str, LastObservation] = {}
        self._fences = fences or MemoryFences()

    async def of(self, targets: Collection[str]) -> Mapping[str, LastObservation]:
        return {target: self._observations[target] for target in targets if target in self._observations}

    async def record(self, target: str, observation: LastObservation) -> None:
        self._fences.check()
        self._observations[target] = dataclasses.replace(observation, at=observation.at.replace(microsecond=0))

    async def forget(self, target: str) -> None:
        self._fences.check()
        self._observations.pop(target, None)


class MemoryLocks:
    """The StateLocks in a dict."""

    def __init__(self, fences: MemoryFences | None = None) -> None:
        self._locks: dict[str, StateLock] = {}
        self._fences = fences or MemoryFences()

    async def acquire(self, lock: StateLock) -> StateLock:
        self._fences.check()
        return self._locks.setdefault(lock.target, lock)

    async def release(self, target: str, *, id: str, run: str) -> StateLock | None:  # noqa: A002 Terraform's word
        self._fences.check()
        if self.holds(target, id, run):
            del self._locks[target]
        return self._locks.get(target)

    async def release_run(self, run: str) -> int:
        self._fences.check()
        theirs = [target for target, lock in self._locks.items() if lock.run == run]
        for target in theirs:
            del self._locks[target]
        return len(theirs)

    async def held(self) -> tuple[StateLock, ...]:
        return tuple(self._locks[target] for target in sorted(self._locks))

    def holds(self, target: str, lock_id: str, run: str) -> bool:
        lock = self._locks.get(target)
        return lock is not None and (lock.id, lock.run) == (lock_id, run)


class MemoryStates:
    """The StateStore in a dict of lists."""

    def __init__(self, blobs: MemoryBlobs, locks: MemoryLocks, trail: MemoryAuditLog) -> None:
        self._blobs = blobs
        self._locks = locks
        self._trail = trail
        self._versions: dict[str, list[tuple[StateVersion, str]]] = {}

    async def head(self, target: str, *, run: str | None = None) -> StateVersion | None:
        versions = [version for version, _ in self._versions.get(target, ()) if run in {None, version.run}]
        return versions[-1] if versions else None

    async def read(self, target: str, version: int | None = None) -> bytes:
        for found, blob in reversed(self._versions.get(target, [])):
            if version in {None, found.version}:
                try:
                    return await self._blobs.get(blob)
                except NotFoundError:
                    raise LostBlobError.gone(f"version {found.version} of {target}", blob) from None
        raise NotFoundError(f"{target} has no such state")

    async def append(
        self, target: str, data: bytes, *, run: str, lock: str | None = None, audit: Sequence[AuditEntry] = ()
    ) -> StateVersion:
        facts = state.parse(data)
        new = identity(facts, data)
        self._trail.fences.check()
        if lock is not None and not self._locks.holds(target, lock, run):
            raise ConflictError(f"the state of {target} is not locked by run {run}")
        head = await self.head(target)
        if head and not is_new_version(StateIdentity(head.lineage, head.serial, head.sha256), new):
            return head
        version = StateVersion(
            (head.version if head else 0) + 1, facts.serial, facts.lineage, facts.terraform_version, new.sha256,
            len(data), len(facts.instances), run,
        )  # fmt: skip
        await self._trail.append(*audit)
        self._versions.setdefault(target, []).append((version, await self._blobs.put(data)))
        return version

    async def blobs(self) -> frozenset[str]:
        return frozenset(blob for _, blob in itertools.chain.from_iterable(self._versions.values()))


class MemoryObjects:
    """The ObjectStore in a dict, all tombstones kept."""

    def __init__(self, trail: MemoryAuditLog) -> None:
        self._trail = trail
        self._rows: dict[ObjectRef, StoredObject] = {}
        self._version = 0

    async def get(self, ref: ObjectRef) -> StoredObject:
        row = self._rows.get(ref)
        if row is None or row.deleted:
            raise NotFoundError(f"{ref} does not exist")
        return row

    async def list(self, kind: str, namespace: str | None = None) -> StoredObjects:
        found = [
            self._rows[ref]
            for ref in sorted(self._rows)
            if ref.kind == kind and namespace in {None, ref.namespace} and not self._rows[ref].deleted
        ]
        return StoredObjects(tuple(found), self._version)

    async def put(self, obj: StoredObject, *, expected_version: int | None, audit: Sequence[AuditEntry] = ()) -> int:
        self._trail.fences.check()
        row = self._rows.get(obj.ref)
        if expected_version is None:
            if row is not None and not row.deleted:
                raise AlreadyExistsError(f"{obj.ref} exists already")
        else:
            row = await self._current(obj.ref, expected_version)
            if dataclasses.replace(obj, version=row.version, deleted=False) == row:
                await self._trail.append(*audit)
                return row.version
        return await self._write(dataclasses.replace(obj, deleted=False), audit)

    async def remove(
        self, ref: ObjectRef, *, expected_version: int | None = None, audit: Sequence[AuditEntry] = ()
    ) -> int:
        self._trail.fences.check()
        row = await self._current(ref, expected_version)
        return await self._write(dataclasses.replace(row, deleted=True), audit)

    async def changes(self, after: int, kinds: Sequence[str], *, limit: int = 1000) -> StoredObjects:
        if after > self._version:
            raise GoneError("that version lies ahead")
        later = [row for row in self._rows.values() if row.version > after and row.ref.kind in kinds]
        items = tuple(sorted(later, key=lambda row: row.version)[:limit])
        return StoredObjects(items, items[-1].version if len(items) == limit else self._version)

    async def version(self) -> int:
        return self._version

    async def data_version(self) -> int:
        return self._version + len(self._trail.records)

    async def _current(self, ref: ObjectRef, expected: int | None) -> StoredObject:
        row = await self.get(ref)
        if expected is not None and row.version != expected:
            raise ConflictError(f"{ref} was changed by someone else")
        return row

    async def _write(self, row: StoredObject, entries: Sequence[AuditEntry]) -> int:
        await self._trail.append(*entries)
        self._version += 1
        self._rows[row.ref] = dataclasses.replace(row, version=self._version)
        return self._version


def state_file(serial: int, *, lineage: str = "lineage-1", resources: int = 1, pad: int = 0) -> bytes:
    """A Terraform state of so many `terraform_data` resources, `pad` bytes larger."""
    named = {f"r{number}": {"id": str(number), "input": "x" * pad} for number in range(resources)}
    return state_of(serial, named, lineage=lineage)


def state_of(serial: int, resources: Mapping[str, Mapping[str, Any]], *, lineage: str = "lineage-1") -> bytes:
    """A Terraform state of `terraform_data` resources: name to attributes."""
    document = {
        "version": 4,
        "terraform_version": "1.11.4",
        "serial": serial,
        "lineage": lineage,
        "outputs": {},
        "resources": [
            {
                "mode": "managed", "type": "terraform_data", "name": name,
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": [{"schema_version": 0, "attributes": attributes}],
            }
            for name, attributes in resources.items()
        ],
        "check_results": None,
    }  # fmt: skip
    return json.dumps(document, indent=2).encode()
