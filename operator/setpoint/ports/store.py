"""Owns the ports for what is kept: objects, audit trail, sealed blobs, terms and observations. Declarations only."""

import dataclasses
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol

from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.freshness import LastObservation


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the ObjectStore keeps it. `body` is the JSON text of the whole object.

    `version` is the store-wide number of the write that made this row; it, and not what `body` says, is the
    object's resourceVersion. `deleted` marks a tombstone, whose body is the last one. `source` is the path of the
    manifest that declares the object, empty where none does.
    """

    ref: ObjectRef
    uid: str
    generation: int
    body: str = dataclasses.field(repr=False)
    source: str = ""
    version: int = 0
    deleted: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class StoredObjects:
    """Rows, and the version up to which they are complete: where `changes` goes on."""

    items: tuple[StoredObject, ...]
    version: int


class ObjectStore(Protocol):
    """Rows of objects with conditional writes, each in one transaction with its audit entries, shared by processes.

    It knows no generation, finalizer or status rules: those are the local home's. All methods raise StoreError.
    """

    async def get(self, ref: ObjectRef) -> StoredObject:
        """One live object. Raises NotFoundError."""
        ...

    async def list(self, kind: str, namespace: str | None = None) -> StoredObjects:
        """All live objects of a kind (of all namespaces where None) in order of their key."""
        ...

    async def put(self, obj: StoredObject, *, expected_version: int | None, audit: Sequence[AuditEntry] = ()) -> int:
        """Writes a row and returns its new version; `obj.version` and `obj.deleted` are not looked at.

        `expected_version` None creates: AlreadyExistsError where a live row stands. Else NotFoundError where none
        does, ConflictError where it has another version. A row that changes nothing is no write: the version
        stays; its audit entries are recorded all the same.
        """
        ...

    async def remove(
        self, ref: ObjectRef, *, expected_version: int | None = None, audit: Sequence[AuditEntry] = ()
    ) -> int:
        """Leaves a tombstone and returns its version. None: whatever the version. Raises as `put` does."""
        ...

    async def changes(self, after: int, kinds: Sequence[str], *, limit: int = 1000) -> StoredObjects:
        """Live rows and tombstones of these kinds with a later version, in the order of their writes.

        Raises GoneError when tombstones after that version are no longer kept, or the version lies ahead.
        """
        ...

    async def version(self) -> int:
        """The version of the newest write."""
        ...

    async def data_version(self) -> int:
        """A number that moves with every commit of objects or audit rows, of any process; cheap enough to poll."""
        ...


class AuditLog(Protocol):
    """The append-only trail."""

    async def append(self, *entries: AuditEntry) -> tuple[int, ...]:
        """Records entries, all or none; they are durable when this returns. Raises StoreError."""
        ...

    async def rows(self, *, after: int = 0, limit: int = 1000, target: ObjectRef | None = None) -> tuple[AuditRow, ...]:
        """Rows with seq > after, oldest first."""
        ...

    async def applies_begun(self, target: ObjectRef, subject: str | None = None) -> int:
        """The number of applies that were begun on a target; with a subject, of those that carry it out.

        Raises StoreError, also where one of them can't be read.
        """
        ...

    async def last_apply(self, target: ObjectRef) -> tuple[AuditRow, ...]:
        """The rows of the apply that was begun last on a target, its intent first; none where none was.

        Raises StoreError, also where one of them can't be read.
        """
        ...

    async def open_intents(self) -> tuple[AuditRow, ...]:
        """Intents whose run has no outcome: what a crash left in doubt."""
        ...

    async def require_standing(self) -> None:
        """Asked before anything is applied. Raises StoreError.

        StoreSetBackError where this is not the trail that stood here, StoreMovedError where its files are no longer
        those that were opened.
        """
        ...


class BlobStore(Protocol):
    """Sealed bytes by the digest of their plain text, keyed by this home."""

    async def put(self, data: bytes) -> str:
        """Seals and stores bytes, durably; returns their digest. The same bytes again cost nothing."""
        ...

    async def get(self, digest: str) -> bytes:
        """The plain bytes. Raises NotFoundError, or StoreError when they are damaged."""
        ...

    async def renew(self, digest: str) -> None:
        """Makes a blob as young as if it was put now. Raises NotFoundError."""
        ...

    async def prune(self, find_kept: Callable[[], Awaitable[frozenset[str]]]) -> int:
        """Removes what is not to be kept and was last put or renewed two days before the call; returns how many.

        `find_kept` is called after that moment is fixed: what is put or renewed while it looks, or later, stays.
        """
        ...

    def digest(self, data: bytes) -> str:
        """The digest that `put` would return."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Fence:
    """One term of leadership over a shard of the targets. Stale once the shard's next term has begun.

    What writes within `runtime.fencing.fenced(fence)` writes for that term: every store checks it in the transaction.
    """

    shard: str
    epoch: int


class Fences(Protocol):
    """The terms of leadership, counted where the writes are, so that both are decided in one transaction."""

    async def acquire(self, shard: str) -> int:
        """Begins the shard's next term and returns its epoch, from 1; durable. All earlier terms' writes now fail.

        Raises StoreError, also where the term may have begun although its epoch was not learned: ask again.
        """
        ...


class ObservationStore(Protocol):
    """The last observation of each target that was at its setpoint, by ObjectRef.key. All methods raise StoreError."""

    async def of(self, targets: Collection[str]) -> Mapping[str, LastObservation]:
        """The last observation of each of these that had one."""
        ...

    async def record(self, target: str, observation: LastObservation) -> None:
        """Keeps the observation, to the second, as the target's last."""
        ...

    async def forget(self, target: str) -> None:
        """The target is gone."""
        ...
