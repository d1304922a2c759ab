"""Owns where a kind stands in the API server's URL space. Pure."""

import dataclasses
from typing import Literal
from urllib.parse import quote

from setpoint.api.meta import API_VERSION, ObjectRef
from setpoint.api.v1alpha1 import KINDS
from setpoint.domain.errors import InvalidError
from setpoint.domain.kinds import SEALED_KINDS


@dataclasses.dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it."""

    kind: str
    api_version: str
    plural: str
    namespaced: bool = True

    def accept(self, shape: Literal["PartialObjectMetadata", "PartialObjectMetadataList"]) -> str:
        """The Accept header of a watch or a list: of Secrets and ConfigMaps nothing but the metadata."""
        return f"application/json;as={shape};g=meta.k8s.io;v=v1" if self.kind in SEALED_KINDS else "application/json"

    def collection(self, namespace: str | None) -> str:
        """The path of the objects of a namespace; of all namespaces where None."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        within = f"/namespaces/{_segment(namespace)}" if self.namespaced and namespace is not None else ""
        return f"{root}{within}/{self.plural}"

    def item(self, ref: ObjectRef) -> str:
        """The path of one object. Raises InvalidError for a name that no object can have."""
        return f"{self.collection(ref.namespace if self.namespaced else None)}/{_segment(ref.name)}"


_RESOURCES = {
    **{kind.__name__: Resource(kind.__name__, API_VERSION, kind.META.plural, kind.META.namespaced) for kind in KINDS},
    "Secret": Resource("Secret", "v1", "secrets"),
    "ConfigMap": Resource("ConfigMap", "v1", "configmaps"),
    "Namespace": Resource("Namespace", "v1", "namespaces", namespaced=False),
    "Event": Resource("Event", "events.k8s.io/v1", "events"),
    "Lease": Resource("Lease", "coordination.k8s.io/v1", "leases"),
}


def resource_of(kind: str) -> Resource:
    """The resource of a kind. Raises InvalidError for a kind that Setpoint has nothing to do with."""
    if kind not in _RESOURCES:
        raise InvalidError(f"unknown kind; one of {', '.join(sorted(_RESOURCES))}", field="kind")
    return _RESOURCES[kind]


def _segment(name: str) -> str:
    if not name or name in {".", ".."}:
        raise InvalidError("is required", field="metadata.name")
    return quote(name, safe="")
