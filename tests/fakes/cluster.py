"""Owns InMemoryCluster: the ClusterClient without a home. It passes tests/conformance/."""

import asyncio
import datetime as dt
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.model import format_time
from setpoint.domain import objects
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import AlreadyExistsError, ConflictError, GoneError, InvalidError, NotFoundError
from setpoint.domain.objects import LabelSelector
from setpoint.ports import ObjectList, WatchEvent

_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class InMemoryCluster:
    """Objects in a dict, changes in a log of at most `keep` entries. `audit` holds what writes brought along.

    Every method yields to the loop once before it acts, so that tests meet other writers in between.
    """

    def __init__(self, *, now: Callable[[], dt.datetime] = lambda: _EPOCH, keep: int = 10_000) -> None:
        self.audit: list[AuditEntry] = []
        self.writes = 0
        self._now = now
        self._objects: dict[ObjectRef, tuple[int, JsonObject]] = {}
        self._log: deque[tuple[int, WatchEvent]] = deque(maxlen=keep)
        self._floor = 0
        self._uids = itertools.count(1)
        self._written = asyncio.Condition()

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object. Raises NotFoundError."""
        await asyncio.sleep(0)
        return _shown(*self._find(ref))

    async def list(self, kind: str, *, namespace: str | None = None, labels: LabelSelector | None = None) -> ObjectList:
        """All objects of a kind, in order of their key."""
        await asyncio.sleep(0)
        found = tuple(
            _shown(version, obj)
            for ref, (version, obj) in sorted(self._objects.items())
            if ref.kind == kind and namespace in {None, ref.namespace} and objects.has_labels(obj, labels)
        )
        return ObjectList(found, str(self.writes))

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object."""
        await asyncio.sleep(0)
        created = objects.create(_copy(obj), uid=f"uid-{next(self._uids)}", now=format_time(self._now()))
        ref = ObjectRef.of(created)
        if ref in self._objects:
            raise AlreadyExistsError(f"{ref} exists already")
        return await self._write("ADDED", ref, created, audit)

    async def add(self, obj: JsonObject) -> JsonObject:
        """Creates an object with the status that it has; no part of the port."""
        created = await self.create(obj)
        return await self.update_status({**created, "status": obj["status"]}) if "status" in obj else created

    async def plant(self, obj: JsonObject) -> None:
        """Puts an object there as it is, as one from before today's schema; no part of the port."""
        await self._write("ADDED", ObjectRef.of(obj), _copy(obj), ())

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces everything but the status."""
        await asyncio.sleep(0)
        version, current = self._find(ObjectRef.of(obj))
        objects.check_version(current, str(version), obj)
        return await self._replace(current, objects.update(current, _copy(obj)), audit)

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces the status."""
        await asyncio.sleep(0)
        version, current = self._find(ObjectRef.of(obj))
        objects.check_version(current, str(version), obj)
        return await self._replace(current, objects.update_status(current, _copy(obj)), audit)

    async def set_finalizers(
        self, obj: JsonObject, finalizers: Sequence[str], *, audit: Sequence[AuditEntry] = ()
    ) -> JsonObject:
        """Replaces the finalizers."""
        await asyncio.sleep(0)
        version, current = self._find(ObjectRef.of(obj))
        objects.check_version(current, str(version), obj)
        return await self._replace(current, objects.set_finalizers(current, finalizers), audit)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Sets annotations, removes those that are None."""
        await asyncio.sleep(0)
        _, current = self._find(ref)
        return await self._replace(current, objects.annotate(current, annotations), ())

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Deletes an object, or stamps it."""
        await asyncio.sleep(0)
        _, current = self._find(ref)
        deleted = objects.delete(current, now=format_time(self._now()))
        if deleted is None:
            await self._write("DELETED", ref, current, audit)
        else:
            await self._replace(current, deleted, audit)

    async def recall(self, ref: ObjectRef) -> None:
        """Takes a deletion back, as the local home does; no part of the port."""
        _, current = self._find(ref)
        await self._replace(current, objects.recall(current), ())

    async def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes after that version, for ever."""
        after = _number(resource_version)
        while True:
            if not self._floor <= after <= self.writes:
                raise GoneError(f"changes after version {after} are no longer kept")
            for version, event in [entry for entry in self._log if entry[0] > after]:
                after = version
                if event.object["kind"] in kinds:
                    yield WatchEvent(event.type, _copy(event.object))
            async with self._written:
                await self._written.wait_for(lambda seen=after: self.writes > seen)

    def forget(self) -> None:
        """Drops the log, as etcd's compaction does: older watches are Gone."""
        self._log.clear()
        self._floor = self.writes

    def _find(self, ref: ObjectRef) -> tuple[int, JsonObject]:
        if ref not in self._objects:
            raise NotFoundError(f"{ref} does not exist")
        return self._objects[ref]

    async def _replace(self, current: JsonObject, changed: JsonObject, audit: Sequence[AuditEntry]) -> JsonObject:
        ref = ObjectRef.of(current)
        version, stored = self._find(ref)
        if stored is not current:
            raise ConflictError(f"{ref} was changed since it was read")
        if changed == current:
            self.audit.extend(audit)
            return _shown(version, current)
        return await self._write("DELETED" if objects.is_gone(changed) else "MODIFIED", ref, changed, audit)

    async def _write(self, type_: str, ref: ObjectRef, obj: JsonObject, audit: Sequence[AuditEntry]) -> JsonObject:
        self.writes += 1
        self.audit.extend(audit)
        if type_ == "DELETED":
            del self._objects[ref]
        else:
            self._objects[ref] = (self.writes, obj)
        shown = _shown(self.writes, obj)
        if len(self._log) == self._log.maxlen:
            self._floor = self._log[0][0]
        self._log.append((self.writes, WatchEvent(type_, shown)))
        async with self._written:
            self._written.notify_all()
        return _copy(shown)


def _shown(version: int, obj: JsonObject) -> JsonObject:
    shown = _copy(obj)
    shown["metadata"]["resourceVersion"] = str(version)
    return shown


def _copy(obj: JsonObject) -> JsonObject:
    """The object as it comes back from JSON: tests that pass anything else fail here, as they would elsewhere."""
    return json.loads(json.dumps(obj, allow_nan=False))


def _number(resource_version: str) -> int:
    try:
        return int(resource_version)
    except ValueError:
        raise InvalidError("not a resourceVersion", field="metadata.resourceVersion") from None
