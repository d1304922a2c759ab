"""Owns a cluster as commands see it: its objects and events, as the person whom the kubeconfig names.

The store is the operator's own and not within a person's reach: what needs it says so.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeEvents, connect
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.errors import SetpointError
from setpoint.ports import AuditLog, ClusterClient
from setpoint.runtime.recorder import EventRecord


class TrailElsewhereError(SetpointError):
    """The trail is in the operator's store."""


class DistantTrail:
    """The AuditLog of a person on a cluster. The operator records what it acts on; the API server logs who asked."""

    async def append(self, *_entries: AuditEntry) -> tuple[int, ...]:
        """Leaves it to the operator."""
        return ()

    async def rows(self, **_: Any) -> tuple[AuditRow, ...]:
        """Refuses."""
        _refuse("the audit trail")

    async def open_intents(self) -> tuple[AuditRow, ...]:
        """Refuses."""
        _refuse("the audit trail")


class ClusterHome:
    """One cluster, as one person."""

    def __init__(self, cluster: ClusterClient, audit: AuditLog, events: KubeEvents, user: str) -> None:
        self.cluster = cluster
        self.audit = audit
        self._events = events
        self._user = user

    @property
    def root(self) -> Path:
        """No manifests are on disk."""
        _refuse("a folder of manifests")

    @property
    def proves_users(self) -> bool:
        """The admission policies hold each name to the requester's own."""
        return True

    def user(self) -> str:
        """Who works here: the API server's word."""
        return self._user

    async def sync(self) -> Sequence[object]:
        """Nothing is to be read: manifests are applied."""
        return ()

    async def events(self, ref: ObjectRef) -> Sequence[EventRecord]:
        """What happened to an object, oldest first."""
        return await self._events.of(ref)

    async def plan(self, ref: ObjectRef, _progress: Any) -> NoReturn:
        """Refuses: only the operator has the credentials to plan with."""
        message = f"on a cluster the operator plans: 'setpoint reconcile {ref}', then 'setpoint get changes'"
        raise SetpointError(message)

    async def import_state(self, _ref: ObjectRef, _data: bytes) -> NoReturn:
        """Refuses."""
        _refuse("the store of states")

    async def verify_audit(self) -> NoReturn:
        """Refuses."""
        _refuse("the audit trail")


def _refuse(what: str) -> NoReturn:
    message = f"{what} is not within reach from here: on a cluster it is the operator's; run the command in its pod"
    raise TrailElsewhereError(message)


@contextlib.asynccontextmanager
async def open_cluster_home(context: str | None, kubeconfig: Path | None = None) -> AsyncIterator[ClusterHome]:
    """Opens a cluster by kubectl's rules. Raises InvalidError for a kubeconfig that can't be used, TransientError."""
    trail = DistantTrail()
    async with connect(ConnectionOptions(context=context, kubeconfig=kubeconfig)) as connection:
        user = await connection.user()
        events = KubeEvents(connection, instance="setpoint")
        yield ClusterHome(KubeCluster(connection, trail), trail, events, user)
