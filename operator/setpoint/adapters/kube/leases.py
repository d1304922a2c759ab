"""Owns reading and writing one Lease. Who leads is decided in runtime.leader."""

import datetime as dt
from typing import Any

from setpoint.adapters.kube.connection import KubeConnection, KubeRequest
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.errors import AlreadyExistsError, ConflictError, NotFoundError
from setpoint.domain.sharding import MAX_SHARDS
from setpoint.ports import Clock, LeaseRecord

SHARDS_ANNOTATION = "setpoint.dev/shards"
WANTED_ANNOTATION = "setpoint.dev/wanted-by"
_SECONDS = 5.0
"""A renewal that takes longer is tried anew: the deadline is near."""


class KubeLease:
    """The LeaseLock port over the API server."""

    def __init__(self, connection: KubeConnection, namespace: str, name: str, *, clock: Clock) -> None:
        self._connection = connection
        self._ref = ObjectRef("Lease", namespace, name)
        self._clock = clock

    async def read(self) -> LeaseRecord | None:
        """The record; None where there is no Lease."""
        try:
            found = await self._ask("GET", resource_of("Lease").item(self._ref))
        except NotFoundError:
            return None
        return _record(found)

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Writes over the version that was read; creates where it is empty."""
        resource = resource_of("Lease")
        body = self._body(record)
        try:
            if record.version:
                return _record(await self._ask("PUT", resource.item(self._ref), body))
            return _record(await self._ask("POST", resource.collection(self._ref.namespace), body))
        except (AlreadyExistsError, NotFoundError) as error:
            raise ConflictError(error.message) from None

    async def _ask(self, method: str, path: str, body: Any = None) -> JsonObject:
        return await self._connection.request(KubeRequest(method, path, str(self._ref), body=body, seconds=_SECONDS))

    def _body(self, record: LeaseRecord) -> JsonObject:
        annotations = {SHARDS_ANNOTATION: str(record.shards)}
        if record.wanted:
            annotations[WANTED_ANNOTATION] = record.wanted
        metadata: JsonObject = {"name": self._ref.name, "namespace": self._ref.namespace, "annotations": annotations}
        if record.version:
            metadata["resourceVersion"] = record.version
        spec = {
            "holderIdentity": record.holder,
            "leaseDurationSeconds": max(1, round(record.duration.total_seconds())),
            "leaseTransitions": record.transitions,
            "renewTime": micro_time(self._clock.now()),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def micro_time(instant: dt.datetime) -> str:
    """RFC 3339 with exactly six digits: the server refuses a MicroTime without a fraction, as isoformat may write."""
    return instant.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _record(lease: JsonObject) -> LeaseRecord:
    spec = lease.get("spec") or {}
    annotations = lease["metadata"].get("annotations") or {}
    return LeaseRecord(
        holder=spec.get("holderIdentity") or "",
        duration=dt.timedelta(seconds=spec.get("leaseDurationSeconds") or 1),
        transitions=spec.get("leaseTransitions") or 0,
        version=lease["metadata"]["resourceVersion"],
        shards=_shards(annotations.get(SHARDS_ANNOTATION, "")),
        wanted=annotations.get(WANTED_ANNOTATION, ""),
    )


def _shards(said: str) -> int:
    """One where nothing that can be read is said: an operator that knew of no shards led all targets."""
    return int(said) if said in {str(count) for count in range(1, MAX_SHARDS + 1)} else 1
