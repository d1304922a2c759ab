"""Owns the ports to the Kubernetes API as Setpoint uses it, the clock and the event recorder. Declarations only."""

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Literal, Protocol

from setpoint.api.meta import JsonObject, ObjectRef
from setpoint.domain.audit import AuditEntry
from setpoint.domain.objects import LabelSelector


@dataclasses.dataclass(frozen=True, slots=True)
class ObjectList:
    """Objects and the resourceVersion at which they were read: where a watch goes on."""

    items: tuple[JsonObject, ...]
    resource_version: str


@dataclasses.dataclass(frozen=True, slots=True)
class WatchEvent:
    """One object moved. A watch may skip states in between; the last one always arrives."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: JsonObject


@dataclasses.dataclass(frozen=True, slots=True)
class ApiCredentials:
    """How to reach an API server and as whom."""

    server: str
    ca_path: str | None = None
    ca_data: str | None = None
    insecure: bool = False
    token: str | None = dataclasses.field(default=None, repr=False)
    certificate_path: str | None = None
    private_key_path: str | None = None


class ClusterClient(Protocol):
    """Objects with the semantics of the Kubernetes API: optimistic conflicts, generations, finalizers, status apart.

    Objects are JSON values; what is returned is the caller's to change. `metadata.generation` rises when the spec
    changes, when a deletion begins, and at no other time; `metadata.resourceVersion` changes with every write that
    changes something, and a write that changes nothing is no write. All methods raise TransientError when the other
    side can't be reached.
    """

    async def get(self, ref: ObjectRef) -> JsonObject:
        """One object. Raises NotFoundError."""
        ...

    async def list(self, kind: str, *, namespace: str | None = None, labels: LabelSelector | None = None) -> ObjectList:
        """All objects of a kind (of all namespaces where None) that the labels select, in order of their key."""
        ...

    async def create(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Creates an object with uid, generation 1 and no status. Raises AlreadyExistsError, InvalidError.

        Here and below `audit` entries are durable no later than the write: with it in one transaction where the
        home can, before it where it can't.
        """
        ...

    async def update(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces spec, data, labels, annotations and finalizers; leaves the status alone.

        Raises ConflictError unless metadata.resourceVersion is the current one, NotFoundError, InvalidError (a
        changed immutable spec among others). Removing the last finalizer of a deleted object removes the object.
        """
        ...

    async def update_status(self, obj: JsonObject, *, audit: Sequence[AuditEntry] = ()) -> JsonObject:
        """Replaces the status and nothing else; same errors as update."""
        ...

    async def set_finalizers(
        self, obj: JsonObject, finalizers: Sequence[str], *, audit: Sequence[AuditEntry] = ()
    ) -> JsonObject:
        """Replaces the finalizers of the version that was read and nothing else; same errors as update."""
        ...

    async def annotate(self, ref: ObjectRef, annotations: Mapping[str, str | None]) -> JsonObject:
        """Sets annotations, removes those that are None. Needs no resourceVersion. Raises NotFoundError."""
        ...

    async def delete(self, ref: ObjectRef, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Deletes an object, or stamps its deletionTimestamp while it has finalizers. Raises NotFoundError."""
        ...

    def watch(self, kinds: Sequence[str], *, resource_version: str) -> AsyncIterator[WatchEvent]:
        """Changes after that version, for ever, in the order of their writes to a kind. Raises GoneError if too old."""
        ...


class EventRecorder(Protocol):
    """Tells people what happened. Never blocks, never raises; repeats are counted, floods are dropped and counted."""

    def event(self, ref: ObjectRef, type_: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        """Records that something happened to an object."""
        ...


class Clock(Protocol):
    """Wall-clock time. Delays and deadlines come from the event loop instead."""

    def now(self) -> dt.datetime:
        """The instant, with a time zone."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Names who leads. `holder` is empty where nobody does; `version` changes with every write, of whomever.

    `shards` is the number of parts that the holder divides all targets into, `wanted` who asks for this one.
    """

    holder: str
    duration: dt.timedelta
    transitions: int
    version: str
    shards: int = 1
    wanted: str = ""


class LeaseLock(Protocol):
    """One Lease (coordination.k8s.io/v1). Its times are the writers' clocks: for show, never for a decision."""

    async def read(self) -> LeaseRecord | None:
        """The record; None where there is no Lease. Raises TransientError."""
        ...

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        """Writes over the version that was read, or creates where `version` is empty, stamped with the time now.

        Raises ConflictError where someone else was first, TransientError.
        """
        ...
