"""Owns the events of a local home: a bounded number of them, so that people can see what happened to an object.

Events are told on a best-effort basis. They are objects of kind Event in the store, but the cluster does not write
them: they have no generations, conflicts or finalizers.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from setpoint.adapters.local import rows
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.api.model import format_time, parse_time
from setpoint.domain.errors import AlreadyExistsError, ConflictError, NotFoundError
from setpoint.domain.kinds import EVENT
from setpoint.ports import ObjectStore, StoredObject
from setpoint.runtime.recorder import EventRecord

MAX_EVENTS = 1000
MAX_PER_OBJECT = 50
_CLUSTER_NAMESPACE = "default"
"""The namespace of events about objects without one, as with Kubernetes."""


class StoredEvents:
    """The sink of the event recorder, and the reader of what it kept."""

    def __init__(
        self, store: ObjectStore, *, max_events: int = MAX_EVENTS, max_per_object: int = MAX_PER_OBJECT
    ) -> None:
        self._store = store
        self._max_events = max_events
        self._max_per_object = max_per_object
        self._kept: OrderedDict[ObjectRef, ObjectRef] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, record: EventRecord) -> None:
        """Keeps one event, in place of the same with a lower count; drops the oldest ones. Raises StoreError."""
        async with self._one_at_a_time:
            if self._kept is None:
                self._kept = await self._read_kept()
            ref = _event_ref(record)
            await self._put(ref, record)
            self._kept[ref] = record.ref
            self._kept.move_to_end(ref)
            for old in tuple(_surplus(self._kept, record.ref, self._max_events, self._max_per_object)):
                del self._kept[old]
                await self._remove(old)

    async def of(self, ref: ObjectRef) -> tuple[EventRecord, ...]:
        """The events of an object, oldest first."""
        found = await self._store.list(EVENT.name, _namespace(ref))
        records = (_record(rows.decode(row).object) for row in found.items)
        return tuple(sorted((one for one in records if one.ref == ref), key=lambda one: one.last_seen))

    async def _read_kept(self) -> OrderedDict[ObjectRef, ObjectRef]:
        """The events that are there, oldest first, with what they are about."""
        found = sorted((await self._store.list(EVENT.name)).items, key=lambda row: row.version)
        return OrderedDict((row.ref, _record(rows.decode(row).object).ref) for row in found)

    async def _put(self, ref: ObjectRef, record: EventRecord) -> None:
        row = _row(ref, record)
        try:
            await self._store.put(row, expected_version=None)
        except AlreadyExistsError:
            await self._replace(row)

    async def _replace(self, row: StoredObject) -> None:
        while True:
            try:
                await self._store.put(row, expected_version=(await self._store.get(row.ref)).version)
            except ConflictError:
                continue
            except NotFoundError:
                await self._store.put(row, expected_version=None)
            return

    async def _remove(self, ref: ObjectRef) -> None:
        try:
            await self._store.remove(ref)
        except NotFoundError:
            # Another process was faster: what matters is that it is gone.
            return


def _surplus(
    kept: "OrderedDict[ObjectRef, ObjectRef]", about: ObjectRef, most: int, most_per_object: int
) -> Iterable[ObjectRef]:
    """The oldest events beyond the bounds."""
    mine = [event for event, of in kept.items() if of == about]
    too_many_of_it = mine[: max(0, len(mine) - most_per_object)]
    rest = [event for event in kept if event not in set(too_many_of_it)]
    return (*too_many_of_it, *rest[: max(0, len(rest) - most)])


def _namespace(ref: ObjectRef) -> str:
    return ref.namespace or _CLUSTER_NAMESPACE


def _event_ref(record: EventRecord) -> ObjectRef:
    """The same event has the same name."""
    said = json.dumps([record.ref.key, record.type, record.reason, record.message])
    digest = hashlib.sha256(said.encode()).hexdigest()[:32]
    return ObjectRef(EVENT.name, _namespace(record.ref), f"{record.ref.name[:200]}.{digest}")


def _row(ref: ObjectRef, record: EventRecord) -> StoredObject:
    uid = ref.name.rpartition(".")[2]
    metadata = {"name": ref.name, "namespace": ref.namespace, "uid": uid, "generation": 1}
    return rows.encode(_event(record, metadata), created_after=0, source="")


def _event(record: EventRecord, metadata: dict[str, Any]) -> JsonObject:
    about = {"kind": record.ref.kind, "namespace": record.ref.namespace, "name": record.ref.name}
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {**metadata, "creationTimestamp": format_time(record.first_seen)},
        "involvedObject": about,
        "type": record.type,
        "reason": record.reason,
        "message": record.message,
        "count": record.count,
        "firstTimestamp": format_time(record.first_seen),
        "lastTimestamp": format_time(record.last_seen),
        "source": {"component": "setpoint"},
    }


def _record(event: JsonObject) -> EventRecord:
    about = event["involvedObject"]
    return EventRecord(
        ref=ObjectRef(about["kind"], about["namespace"], about["name"]),
        type=event["type"],
        reason=event["reason"],
        message=event["message"],
        count=event["count"],
        first_seen=parse_time(event["firstTimestamp"]),
        last_seen=parse_time(event["lastTimestamp"]),
    )
