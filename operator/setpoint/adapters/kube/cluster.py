"""Owns KubeCluster: the ClusterClient port over a Kubernetes API server.

One field manager per concern: `setpoint` for objects that we make, `setpoint-status` for status, `setpoint-finalizer`.
Audit rows are appended before the write that they tell of: the server and the store share no transaction.
"""

import itertools
from collections.abc import AsyncIterator, Mapping, Sequence, Set
from typing import Any

from setpoint.adapters.kube.connection import KubeConnection, KubeRequest
from setpoint.adapters.kube.paths import Resource, resource_of
from setpoint.adapters.kube.watching import watch_kinds
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.errors import ConflictError, InvalidError
from setpoint.domain.objects import LabelSelector
from setpoint.ports import AuditLog, ObjectList, WatchEvent

PAGE = 100
_OBJECTS, _STATUS, _FINALIZER = "setpoint", "setpoint-status", "setpoint-finalizer"
_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_MERGE_PATCH = "application/merge-patch+json"


class KubeCluster:
    """Objects on an API server."""

    def __init__(
        self, connection: KubeConnection, audit: AuditLog, *, namespaces: Sequence[str] = (), page: int = PAGE
    ) -> None:
        self._connection = connection
        self._page = page
        self._audit = audit
        self._namespaces = tuple(namespaces)

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object."""
        resource = resource_of(ref.kind)
        return _shown(resource, await self._connection.request(KubeRequest("GET", resource.item(ref), str(ref))))

    async def list(self, kind: str, *, namespace: str | None = None, labels: LabelSelector | None = None) -> ObjectList:
        """All objects of a kind, page by page, of our namespaces alone where we have some; Secrets without content."""
        resource = resource_of(kind)
        if namespace is None and self._namespaces and resource.namespaced:
            return await self._list_namespaces(kind, labels)
        return await self._list_pages(resource, namespace, labels)

    async def pages(self, kind: str) -> AsyncIterator[ObjectList]:
        """All objects of a kind, a page at a time: for who looks at each and keeps none."""
        resource = resource_of(kind)
        for namespace in self._namespaces if resource.namespaced and self._namespaces else (None,):
            async for page in self._pages(resource, namespace):
                yield page

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object."""
        ref = _ref(obj)
        resource = resource_of(ref.kind)
        await self._audit.append(*audit)
        given = {name: value for name, value in obj.items() if name != "status"}
        path = resource.collection(ref.namespace if resource.namespaced else None)
        created = await self._write("POST", path, ref, given, _OBJECTS, "application/json")
        return _shown(resource, created)

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces spec, data, labels, annotations and finalizers."""
        ref = _ref(obj)
        _version(obj)
        await self._audit.append(*audit)
        path = resource_of(ref.kind).item(ref)
        return _shown(resource_of(ref.kind), await self._write("PUT", path, ref, obj, _OBJECTS, "application/json"))

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Applies the status, then takes away what somebody else wrote into it."""
        ref = _ref(obj)
        wanted = obj.get("status") or {}
        metadata = {"name": ref.name, "resourceVersion": _version(obj), "uid": obj["metadata"].get("uid")}
        await self._audit.append(*audit)
        try:
            written = await self._apply_status(ref, metadata, wanted) if wanted else obj
        except InvalidError:
            # Nothing can be applied to what was stored under another schema; a status can be put there all the same.
            written = {**obj, "status": {}}
        if (written.get("status") or {}) != wanted or not wanted:
            written = await self._put_status(ref, {**written, "status": wanted})
        return written

    async def set_finalizers(
        self, obj: JsonObject, finalizers: Sequence[str], *, audit: Sequence[AuditEntry] = ()
    ) -> JsonObject:
        """Replaces the finalizers of the version that was read, and touches nothing else."""
        ref = _ref(obj)
        await self._audit.append(*audit)
        # `replace` of the resourceVersion makes a stale one a 409; a failed `test` would be a 422 like any other.
        patch = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": _version(obj)},
            {"op": "add", "path": "/metadata/finalizers", "value": [*finalizers]},
        ]
        resource = resource_of(ref.kind)
        changed = await self._write("PATCH", resource.item(ref), ref, patch, _FINALIZER, _JSON_PATCH)
        return _shown(resource, changed)

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Sets annotations, removes those that are None."""
        resource = resource_of(ref.kind)
        patch = {"metadata": {"annotations": dict(annotations)}}
        changed = await self._write("PATCH", resource.item(ref), ref, patch, _OBJECTS, _MERGE_PATCH)
        return _shown(resource, changed)

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Deletes an object, or stamps its deletionTimestamp."""
        await self._audit.append(*audit)
        body = {"propagationPolicy": "Background"}
        await self._connection.request(KubeRequest("DELETE", resource_of(ref.kind).item(ref), str(ref), body=body))

    async def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes after that version, for ever; in the order of their writes within each kind."""
        if not resource_version.isdecimal():
            raise InvalidError("not a resourceVersion", field="metadata.resourceVersion")
        resources = [resource_of(kind) for kind in kinds]
        async for resource, event in watch_kinds(self._connection, resources, resource_version, self._namespaces):
            yield WatchEvent(event.type, _shown(resource, event.object))

    # --- Within ---

    async def _list_namespaces(self, kind: str, labels: LabelSelector | None) -> ObjectList:
        found = [await self.list(kind, namespace=name, labels=labels) for name in sorted(self._namespaces)]
        return ObjectList(tuple(itertools.chain.from_iterable(each.items for each in found)), found[0].resource_version)

    async def _list_pages(self, resource: Resource, namespace: str | None, labels: LabelSelector | None) -> ObjectList:
        items: list[JsonObject] = []
        version = ""
        async for page in self._pages(resource, namespace, labels):
            items += page.items
            version = page.resource_version
        items.sort(key=ObjectRef.of)
        return ObjectList(tuple(items), version)

    async def _pages(
        self, resource: Resource, namespace: str | None, labels: LabelSelector | None = None
    ) -> AsyncIterator[ObjectList]:
        query = {"limit": str(self._page), "continue": ""}
        if labels:
            query["labelSelector"] = ",".join(_requirement(name, labels[name]) for name in sorted(labels))
        path, accept = resource.collection(namespace), resource.accept("PartialObjectMetadataList")
        while True:
            page = await self._connection.request(KubeRequest("GET", path, resource.plural, query, accept=accept))
            items = tuple(_shown(resource, item) for item in page.get("items") or ())
            yield ObjectList(items, page["metadata"]["resourceVersion"])
            query["continue"] = page["metadata"].get("continue") or ""
            if not query["continue"]:
                return

    async def _apply_status(self, ref: ObjectRef, metadata: Mapping[str, str | None], status: JsonObject) -> JsonObject:
        resource = resource_of(ref.kind)
        identity = {name: value for name, value in metadata.items() if value}
        body = {"apiVersion": resource.api_version, "kind": ref.kind, "metadata": identity, "status": status}
        path = resource.item(ref) + "/status"
        return _shown(resource, await self._write("PATCH", path, ref, body, _STATUS, _APPLY, force="true"))

    async def _put_status(self, ref: ObjectRef, obj: JsonObject) -> JsonObject:
        """Exactly this status: an apply leaves what others own."""
        resource = resource_of(ref.kind)
        body = obj if obj["status"] else {name: value for name, value in obj.items() if name != "status"}
        path = resource.item(ref) + "/status"
        return _shown(resource, await self._write("PUT", path, ref, body, _STATUS, "application/json"))

    async def _write(
        self, method: str, path: str, ref: ObjectRef, body: Any, manager: str, content_type: str, **query: str
    ) -> JsonObject:
        query = {"fieldManager": manager, "fieldValidation": "Strict", **query}
        return await self._connection.request(KubeRequest(method, path, str(ref), query, body, content_type))


def _requirement(label: str, wanted: str | Set[str]) -> str:
    """One requirement of a label selector (Kubernetes, "Labels and Selectors")."""
    return f"{label}={wanted}" if isinstance(wanted, str) else f"{label} in ({','.join(sorted(wanted))})"


def _ref(obj: JsonObject) -> ObjectRef:
    """The object's reference. Raises InvalidError where it has none."""
    try:
        return ObjectRef.of(obj)
    except (KeyError, TypeError):
        raise InvalidError("is required", field="metadata.name") from None


def _version(obj: JsonObject) -> str:
    """The version that the object was read at: a write without one would win over anything."""
    version = obj["metadata"].get("resourceVersion")
    if not version:
        raise ConflictError(f"{ObjectRef.of(obj)} has no resourceVersion")
    return str(version)


def _shown(resource: Resource, obj: JsonObject) -> JsonObject:
    """The object complete, as a get would show it (items of lists lack their kind), without its managers' ledger."""
    obj["metadata"].pop("managedFields", None)
    kind = {"apiVersion": resource.api_version, "kind": resource.kind}
    return kind | {name: value for name, value in obj.items() if name not in kind}
