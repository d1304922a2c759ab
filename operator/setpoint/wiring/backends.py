"""Owns what homes differ in, as what they have in common is built on it. Imports nothing that only a manager needs."""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Protocol

from setpoint.adapters.store import AuditTrail, Database
from setpoint.api.meta import KubeObject, ObjectRef
from setpoint.domain.policies import Unread
from setpoint.ports import BlobStore, ClusterClient, ObservationStore
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.recorder import EventRecord


class Events(Protocol):
    """The place that events go to and are read from."""

    async def __call__(self, record: EventRecord) -> None:
        """Keeps an event."""
        ...

    async def of(self, ref: ObjectRef) -> Sequence[EventRecord]:
        """The events of an object, oldest first."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Lead:
    """How long others reckon with a leader that is heard no more, in seconds.

    After `silence` without a renewal it leads no more and what it runs is to stop; `patience` later nothing of it runs.
    """

    silence: float
    patience: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """The backends of a home: its stores, objects and events, and the folders that it may use.

    `private` is the manager's own folder; `home_root` bounds what paths in specs may reach, None where there are none.
    `lead` is there where another manager may take over on another machine.
    `proves_users`: somebody else vouches for who approves, so that the trail need not.
    `sealed` lists the blobs that hold content of objects. `sees_all` is False where objects may be out of sight.
    `unread` tells of manifests that can't be read and may govern.
    """

    clock: SystemClock
    audit: AuditTrail
    blobs: BlobStore
    database: Database
    observations: ObservationStore
    cluster: ClusterClient
    events: Events
    private: Path
    home_root: Path | None
    origin_of: Callable[[KubeObject], Path | None]
    proves_users: bool
    lead: Lead | None = None
    sealed: Callable[[], Awaitable[frozenset[str]]] | None = None
    sees_all: bool = True
    unread: Callable[[], Sequence[Unread]] = tuple
