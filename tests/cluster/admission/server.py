"""Owns asking an API server as each role, and telling a refusal from a yes."""

from collections.abc import Mapping
from typing import Any

from tests.cluster.apiserver import ROLES, Cluster
from tests.unit.api.test_admission import having

from setpoint.adapters.kube import connect
from setpoint.adapters.kube.connection import KubeRequest
from setpoint.adapters.kube.paths import resource_of
from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.errors import SetpointError

ADMIN, OPERATOR, ENGINEER, APPROVER, GOVERNANCE = "admin", "operator", "platform-engineer", "approver", "governance"
REQUESTED_BY = "setpoint.dev/requested-by"
ALLOWED = ""


class Server:
    """The API server, as asked by each role. What a question returns is the refusal, or ALLOWED."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace

    def example(self, kind: str, changes: Mapping[str, Any] | None = None) -> JsonObject:
        """The kind's example, in the test's namespace; it protects nothing unless `changes` say so."""
        free = {"spec.protection": {}} if kind == "Environment" else {}
        obj = having(kind, {**free, **(changes or {})})
        obj["metadata"].pop("namespace", None)
        if resource_of(kind).namespaced:
            obj["metadata"]["namespace"] = self.namespace
        return obj

    async def create(self, role: str, obj: JsonObject) -> str:
        """Creates an object."""
        namespace = obj["metadata"].get("namespace")
        return await self.ask(role, "POST", resource_of(obj["kind"]).collection(namespace), obj)

    async def get(self, obj: JsonObject) -> JsonObject:
        """The object as it is."""
        path = resource_of(obj["kind"]).item(ObjectRef.of(obj))
        async with connect(self.cluster.connection()) as connection:
            return await connection.request(KubeRequest("GET", path, "it"))

    async def patch(self, role: str, obj: JsonObject, patch: JsonObject, *, status: bool = False) -> str:
        """Merges a patch into an object."""
        path = resource_of(obj["kind"]).item(ObjectRef.of(obj)) + ("/status" if status else "")
        return await self.ask(role, "PATCH", path, patch, "application/merge-patch+json")

    async def delete(self, role: str, obj: JsonObject) -> str:
        """Deletes an object."""
        return await self.ask(role, "DELETE", resource_of(obj["kind"]).item(ObjectRef.of(obj)), {})

    async def ask(self, role: str, method: str, path: str, body: Any, content: str = "application/json") -> str:
        """Any request."""
        async with connect(self.cluster.connection(role)) as connection:
            try:
                await connection.request(KubeRequest(method, path, "it", body=body, content_type=content))
            except SetpointError as error:
                return error.message
        return ALLOWED

    def gone(self, obj: JsonObject) -> bool:
        """True where the object is no more."""
        ref = ObjectRef.of(obj)
        words = ("get", ref.kind, ref.name, *(("-n", ref.namespace) if ref.namespace else ()))
        return "NotFound" in self.cluster.kubectl(*words, check=False).stderr


def user(role: str) -> str:
    return ROLES[role].user
