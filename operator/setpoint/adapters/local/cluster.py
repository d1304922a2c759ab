"""Owns LocalCluster: the ClusterClient port over the ObjectStore and the manifests of a home.

What a write does to an object is decided by domain.objects. Secrets and ConfigMaps of manifests are read from their
file when they are asked for and never stored; those that the manager makes are sealed.
"""

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from setpoint.adapters.local import rows
from setpoint.adapters.local.rows import DecodedRow
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.model import format_time
from setpoint.domain import objects
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import AlreadyExistsError, ConflictError, InvalidError
from setpoint.domain.kinds import SEALED_KINDS
from setpoint.domain.objects import LabelSelector
from setpoint.ports import BlobStore, Clock, ObjectList, ObjectStore, StoredObject, WatchEvent

POLL_SECONDS = 0.3
"""How often a watch looks for commits of other processes; its own process wakes it at once."""


class FileObjects(Protocol):
    """Secrets and ConfigMaps that stand in manifests; ManifestIndex is one."""

    async def serve(self, ref: ObjectRef) -> JsonObject | None:
        """The object as its file has it now; None where no manifest declares it."""
        ...

    async def summaries(self, kind: str) -> tuple[JsonObject, ...]:
        """The objects of a kind without their content."""
        ...


class LocalCluster:
    """Objects of a local home. Any number of processes may have one on the same home."""

    def __init__(self, store: ObjectStore, blobs: BlobStore, files: FileObjects, *, clock: Clock) -> None:
        self._store = store
        self._blobs = blobs
        self._files = files
        self._clock = clock
        self._watches: set[asyncio.Event] = set()

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object. Raises NotFoundError, StoreError; InvalidError for a Secret whose manifest can't be read."""
        if ref.kind in SEALED_KINDS and (found := await self._files.serve(ref)) is not None:
            return found
        return (await self._read(ref)).shown()

    async def list(self, kind: str, *, namespace: str | None = None, labels: LabelSelector | None = None) -> ObjectList:
        """All objects of a kind; Secrets and ConfigMaps without their content."""
        found = await self._store.list(kind, namespace)
        listed = {row.ref: rows.decode(row).shown() for row in found.items}
        if kind in SEALED_KINDS:
            listed |= {ObjectRef.of(obj): obj for obj in await self._files.summaries(kind)}
        items = tuple(
            obj
            for ref, obj in sorted(listed.items(), key=lambda item: item[0])
            if namespace in {None, ref.namespace} and objects.has_labels(obj, labels)
        )
        return ObjectList(items, str(found.version))

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object."""
        return await self.create_declared(obj, source="", audit=audit)

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces spec, data, labels, annotations and finalizers."""
        await self._refuse_file_object(ObjectRef.of(obj))
        current = await self._read(ObjectRef.of(obj))
        objects.check_version(current.object, str(current.row.version), obj)
        return await self._replace(current, objects.update(current.object, obj), audit)

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces the status."""
        current = await self._read(ObjectRef.of(obj))
        objects.check_version(current.object, str(current.row.version), obj)
        return await self._replace(current, objects.update_status(current.object, obj), audit)

    async def set_finalizers(
        self, obj: JsonObject, finalizers: Sequence[str], *, audit: Sequence[AuditEntry] = ()
    ) -> JsonObject:
        """Replaces the finalizers."""
        current = await self._read(ObjectRef.of(obj))
        objects.check_version(current.object, str(current.row.version), obj)
        return await self._replace(current, objects.set_finalizers(current.object, finalizers), audit)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Sets annotations, removes those that are None."""
        await self._refuse_file_object(ref)
        while True:
            current = await self._read(ref)
            # Someone else's write in between is no reason to fail: nothing was read that this write builds on.
            with contextlib.suppress(ConflictError):
                return await self._replace(current, objects.annotate(current.object, annotations), ())

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Deletes an object, or stamps its deletionTimestamp."""
        await self._refuse_file_object(ref)
        while True:
            current = await self._read(ref)
            with contextlib.suppress(ConflictError):
                await self._replace(current, objects.delete(current.object, now=self._now()), audit)
                return

    async def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes after that version, for ever. Secrets and ConfigMaps come without content, those of files never."""
        after = _number(resource_version)
        with self._notified() as written:
            while True:
                written.clear()
                seen = await self._store.data_version()
                found = await self._store.changes(after, kinds)
                for row in found.items:
                    yield _event(row, after)
                after = found.version
                if not found.items:
                    await self._wait_for_write(written, seen)

    # --- For the manifests' sync ---

    async def declared(self, kind: str) -> tuple[StoredObject, ...]:
        """The rows of a kind that come from manifests."""
        return tuple(row for row in (await self._store.list(kind)).items if row.source)

    async def create_declared(self, obj: JsonObject, *, source: str, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object that the manifest at `source` declares; none does where it is empty."""
        created = objects.create(obj, uid=str(uuid.uuid4()), now=self._now())
        ref = ObjectRef.of(created)
        if ref.kind in SEALED_KINDS and await self._files.serve(ref) is not None:
            raise AlreadyExistsError(f"{ref} exists already, in a manifest")
        before = await self._store.version()
        row = rows.encode(created, created_after=before, source=source, sealed=await rows.seal(created, self._blobs))
        version = await self._store.put(row, expected_version=None, audit=audit)
        self._notify()
        return rows.with_version(created, version)

    async def update_declared(self, ref: ObjectRef, change: Callable[[JsonObject], JsonObject], source: str) -> bool:
        """Updates an object by a function from what is to what shall be, as that manifest's; True where it changed.

        One that was being deleted is no longer: its manifest is there again.
        """
        while True:
            current = await self._read(ref)
            with contextlib.suppress(ConflictError):
                declared = objects.recall(current.object)
                changed = objects.update(declared, change(declared))
                await self._replace(current, changed, (), source=source)
                return changed != current.object

    async def blobs(self) -> frozenset[str]:
        """The blobs that hold content of objects: what `BlobStore.prune` must keep for this home."""
        found = [await self._store.list(kind) for kind in sorted(SEALED_KINDS)]
        decoded = map(rows.decode, itertools.chain.from_iterable(each.items for each in found))
        return frozenset(row.sealed for row in decoded if row.sealed)

    # --- Within ---

    def _now(self) -> str:
        return format_time(self._clock.now())

    async def _read(self, ref: ObjectRef) -> DecodedRow:
        return await rows.unseal(rows.decode(await self._store.get(ref)), self._blobs)

    async def _refuse_file_object(self, ref: ObjectRef) -> None:
        if ref.kind in SEALED_KINDS and await self._files.serve(ref) is not None:
            raise InvalidError(f"{ref} stands in a manifest: edit that file")

    async def _replace(
        self, current: DecodedRow, changed: JsonObject | None, audit: Sequence[AuditEntry], *, source: str | None = None
    ) -> JsonObject:
        """Writes what an object has become; None, or one without its last finalizer, removes it."""
        row = current.row
        if changed is None or objects.is_gone(changed):
            version = await self._store.remove(row.ref, expected_version=row.version, audit=audit)
            changed = changed or current.object
        else:
            written = rows.encode(
                changed,
                created_after=current.created_after,
                source=row.source if source is None else source,
                sealed=await rows.seal(changed, self._blobs),
            )
            version = await self._store.put(written, expected_version=row.version, audit=audit)
        self._notify()
        return rows.with_version(changed, version)

    def _notify(self) -> None:
        for watch in self._watches:
            watch.set()

    @contextlib.contextmanager
    def _notified(self) -> Iterator[asyncio.Event]:
        watch = asyncio.Event()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def _wait_for_write(self, written: asyncio.Event, seen: int) -> None:
        """Returns once this process has written, or any other one has since `seen`."""
        while await self._store.data_version() == seen:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await written.wait()
                    return


def _event(row: StoredObject, after: int) -> WatchEvent:
    """The event of a row for a watch that has seen all up to `after`."""
    decoded = rows.decode(row)
    type_: Literal["ADDED", "MODIFIED", "DELETED"] = "ADDED" if decoded.created_after >= after else "MODIFIED"
    return WatchEvent("DELETED" if row.deleted else type_, decoded.shown())


def _number(resource_version: str) -> int:
    try:
        return int(resource_version)
    except ValueError:
        raise InvalidError("not a resourceVersion", field="metadata.resourceVersion") from None
