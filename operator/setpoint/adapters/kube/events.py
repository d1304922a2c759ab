"""Owns writing what happened as events.k8s.io/v1 Events, and reading them. Aggregation is runtime.recorder's."""

import hashlib
import json

from setpoint.adapters.kube.connection import KubeConnection, KubeRequest
from setpoint.adapters.kube.leases import micro_time
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import API_VERSION, JsonObject, ObjectRef
from setpoint.api.model import parse_time
from setpoint.domain.errors import AlreadyExistsError, NotFoundError
from setpoint.runtime.recorder import EventRecord

_MAX_NOTE = 1024
"""Bytes; the server calls them characters."""
_CLUSTER_NAMESPACE = "default"
"""The namespace of events about objects without one (KEP-383)."""
_CONTROLLER = "setpoint.dev/operator"


class KubeEvents:
    """The sink of the event recorder, and the reader of what it wrote. `instance` names this process."""

    def __init__(self, connection: KubeConnection, *, instance: str) -> None:
        self._connection = connection
        self._instance = instance

    async def __call__(self, record: EventRecord) -> None:
        """Writes an event; a repeat changes count and time alone, the rest of an Event can't change."""
        ref = _event_ref(record)
        resource = resource_of("Event")
        event = await self._event(ref, record)
        try:
            await self._ask("POST", resource.collection(ref.namespace), ref, event)
        except AlreadyExistsError:
            series = {"series": {"count": max(2, record.count), "lastObservedTime": micro_time(record.last_seen)}}
            await self._ask("PATCH", resource.item(ref), ref, series, "application/merge-patch+json")

    async def of(self, ref: ObjectRef) -> tuple[EventRecord, ...]:
        """The events of an object, oldest first."""
        namespace = ref.namespace or _CLUSTER_NAMESPACE
        query = {"fieldSelector": f"regarding.kind={ref.kind},regarding.name={ref.name}"}
        path = resource_of("Event").collection(namespace)
        found = await self._connection.request(KubeRequest("GET", path, "events", query))
        return tuple(sorted((_record(ref, item) for item in found["items"]), key=lambda one: one.last_seen))

    async def _event(self, ref: ObjectRef, record: EventRecord) -> JsonObject:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": ref.name, "namespace": ref.namespace},
            "eventTime": micro_time(record.first_seen),
            "regarding": await self._regarding(record.ref),
            "type": record.type,
            "reason": record.reason,
            "action": record.reason,
            "note": record.message.encode()[:_MAX_NOTE].decode(errors="ignore"),
            "reportingController": _CONTROLLER,
            "reportingInstance": self._instance[:128],
        }

    async def _regarding(self, ref: ObjectRef) -> JsonObject:
        """The object with its uid, by which kubectl describe finds its events; without it where it is gone."""
        about = {"apiVersion": API_VERSION, "kind": ref.kind, "name": ref.name, "namespace": ref.namespace}
        try:
            found = await self._ask("GET", resource_of(ref.kind).item(ref), ref)
        except NotFoundError:
            return about
        return about | {"uid": found["metadata"]["uid"]}

    async def _ask(
        self, method: str, path: str, ref: ObjectRef, body: JsonObject | None = None, content: str = "application/json"
    ) -> JsonObject:
        return await self._connection.request(
            KubeRequest(method, path, str(ref), body=body, content_type=content, seconds=10.0)
        )


def _event_ref(record: EventRecord) -> ObjectRef:
    """The same event has the same name, until its series begins anew."""
    said = json.dumps([record.ref.key, record.type, record.reason, record.message, record.first_seen.isoformat()])
    digest = hashlib.sha256(said.encode()).hexdigest()[:32]
    namespace = record.ref.namespace or _CLUSTER_NAMESPACE
    return ObjectRef("Event", namespace, f"{record.ref.name[:200].rstrip('.-')}.{digest}")


def _record(ref: ObjectRef, event: JsonObject) -> EventRecord:
    series = event.get("series") or {}
    first = event.get("eventTime") or event.get("deprecatedFirstTimestamp") or event["metadata"]["creationTimestamp"]
    last = series.get("lastObservedTime") or event.get("deprecatedLastTimestamp") or first
    return EventRecord(
        ref=ref,
        type="Warning" if event.get("type") == "Warning" else "Normal",
        reason=event.get("reason") or "",
        message=event.get("note") or "",
        count=series.get("count") or event.get("deprecatedCount") or 1,
        first_seen=parse_time(first),
        last_seen=parse_time(last),
    )
