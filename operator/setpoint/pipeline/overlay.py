"""Owns a ClusterClient whose writes go nowhere: what a pass would do can be computed, and nothing is changed."""

import copy
from collections.abc import AsyncIterator, Mapping, Sequence

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import NotFoundError
from setpoint.domain.objects import LabelSelector
from setpoint.ports import ClusterClient, ObjectList, WatchEvent


class OverlayCluster:
    """Implements ports.ClusterClient over another one: reads see its objects and, over them, what was written here."""

    def __init__(self, below: ClusterClient) -> None:
        self._below = below
        self._written: dict[ObjectRef, JsonObject | None] = {}

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object."""
        if ref not in self._written:
            return await self._below.get(ref)
        found = self._written[ref]
        if found is None:
            msg = f"{ref} does not exist"
            raise NotFoundError(msg)
        return copy.deepcopy(found)

    async def list(self, kind: str, *, namespace: str | None = None, labels: LabelSelector | None = None) -> ObjectList:
        """All objects of a kind, but for labels of what was written here."""
        found = await self._below.list(kind, namespace=namespace, labels=labels)
        kept = [item for item in found.items if ObjectRef.of(item) not in self._written]
        added = [
            copy.deepcopy(item)
            for ref, item in self._written.items()
            if item is not None and ref.kind == kind and namespace in {None, ref.namespace}
        ]
        return ObjectList((*kept, *added), found.resource_version)

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Keeps the object here."""
        del audit
        created = copy.deepcopy(obj)
        created["metadata"] = {"generation": 1, "resourceVersion": "0", "uid": "", **created["metadata"]}
        return self._keep(created)

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Keeps the object here."""
        del audit
        return self._keep(obj)

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Keeps the object here."""
        del audit
        return self._keep(obj)

    async def set_finalizers(
        self, obj: JsonObject, finalizers: Sequence[str], *, audit: Sequence[AuditEntry] = ()
    ) -> JsonObject:
        """Keeps the object here."""
        del audit
        return self._keep({**obj, "metadata": {**obj["metadata"], "finalizers": [*finalizers]}})

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Keeps the annotations here."""
        current = await self.get(ref)
        merged = {**current["metadata"].get("annotations", {}), **annotations}
        current["metadata"]["annotations"] = {key: value for key, value in merged.items() if value is not None}
        return self._keep(current)

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Hides the object."""
        del audit
        await self.get(ref)
        self._written[ref] = None

    def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes of the cluster below."""
        return self._below.watch(kinds, resource_version=resource_version)

    def _keep(self, obj: JsonObject) -> JsonObject:
        self._written[ObjectRef.of(obj)] = copy.deepcopy(obj)
        return copy.deepcopy(obj)
