"""Owns what all kinds share: identity, metadata, conditions, references. Must not do I/O."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from setpoint.api.model import ApiModel, Name, Text, Time

GROUP = "setpoint.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
FINALIZER = f"{GROUP}/finalizer"

SUSPEND_ANNOTATION = f"{GROUP}/suspend"
"""Names who suspended the target; set by `setpoint suspend`, removed by `setpoint resume`."""
RESUME_ANNOTATION = f"{GROUP}/resume-requested-at"
"""When a person last resumed the target; a newer value than status.hold.since releases the hold."""
RECONCILE_ANNOTATION = f"{GROUP}/reconcile-requested-at"
"""When a person last asked for a run; any new value starts one."""
REQUESTED_BY_ANNOTATION = f"{GROUP}/requested-by"
"""Names who asked for the spec as it is; stamped by the API server where it has the component requested-by."""
PLAIN_ANNOTATION = f"{GROUP}/plain"
"""The keys of a Secret whose values may be shown, by name, with commas between them; set by its author."""
MANIFEST_ERROR_ANNOTATION = f"{GROUP}/manifest-error"
"""Why the manifest on disk is not the object that runs; set by the local home alone."""

JsonObject = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Names one object. `namespace` is empty for cluster-scoped kinds."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"

    @property
    def key(self) -> str:
        """`kind/namespace/name` in lower case: stable over deletion and re-creation, fit for a store key."""
        return f"{self.kind.lower()}/{self.namespace}/{self.name}"

    @classmethod
    def of(cls, obj: JsonObject) -> "ObjectRef":
        """The reference of an object in JSON form."""
        meta = obj["metadata"]
        return cls(obj["kind"], meta.get("namespace", ""), meta["name"])


class OwnerReference(ApiModel):
    """The object whose deletion takes this one along."""

    api_version: Annotated[str, Field(max_length=253)]
    kind: Annotated[str, Field(max_length=63)]
    name: Name
    uid: Annotated[str, Field(max_length=64)]
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(ApiModel):
    """Kubernetes object metadata, as far as Setpoint reads it; other fields are kept and not looked at."""

    model_config = ConfigDict(extra="allow")

    name: Name
    namespace: Annotated[str, Field(max_length=63)] = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)
    owner_references: list[OwnerReference] = Field(default_factory=list)


class LocalReference(ApiModel):
    """An object of a known kind in the same namespace."""

    name: Name = Field(description="The object's name.")


class Condition(ApiModel):
    """One statement about an object (Kubernetes API conventions, "Typical status properties")."""

    type: Annotated[str, Field(max_length=63, description="What the statement is about; unique in the list.")]
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the statement holds.")
    reason: Annotated[str, Field(max_length=63, description="A constant for programs; see the reasons of the kind.")]
    message: Text = Field(default="", description="One plain sentence for people; deterministic.")
    observed_generation: int = Field(default=0, description="The metadata.generation that the statement is about.")
    last_transition_time: Time = Field(default="", description="When the status last changed.")


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        description="Statements about the object, one of each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
ObservedGeneration = Annotated[int, Field(description="The metadata.generation that was last worked on.")]


@dataclasses.dataclass(frozen=True, slots=True)
class PrinterColumn:
    """One column of `get`: name, JSON path, type and whether it is shown only with `-o wide`."""

    name: str
    json_path: str
    type: str = "string"
    wide: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class KindMeta:
    """How a kind presents itself: plural, short names, scope, columns, and whether its spec may change."""

    plural: str
    short_names: tuple[str, ...]
    namespaced: bool = True
    columns: tuple[PrinterColumn, ...] = ()
    summary: str = ""
    spec_immutable: bool = False


class KubeObject(ApiModel):
    """The frame of every kind. Subclasses set `META` and add `spec` and, where they have one, `status`."""

    META: ClassVar[KindMeta]

    api_version: Literal["setpoint.dev/v1alpha1"] = "setpoint.dev/v1alpha1"
    kind: str
    metadata: ObjectMeta

    @property
    def ref(self) -> ObjectRef:
        """The reference of this object."""
        return ObjectRef(self.kind, self.metadata.namespace, self.metadata.name)
