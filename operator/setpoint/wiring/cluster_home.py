"""Owns a cluster as commands see it: its objects and events, as the person whom the kubeconfig names.

The store is the operator's own and not within a person's reach: what needs it says so, and what to do instead.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, KubeEvents, KubeLease, connect
from setpoint.api.meta import ObjectRef
from setpoint.domain.audit import AuditEntry, AuditRow
from setpoint.domain.errors import SetpointError
from setpoint.ports import AuditLog, ClusterClient
from setpoint.ports.commands import Verb
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.recorder import EventRecord
from setpoint.wiring.leases import LEASES, find_leaders


class OperatorOnlyError(SetpointError):
    """The operator alone does what is asked for."""


class DistantTrail:
    """The AuditLog of a person on a cluster. The operator records what it acts on; the API server logs who asked."""

    async def append(self, *_entries: AuditEntry) -> tuple[int, ...]:
        """Leaves it to the operator."""
        return ()

    async def rows(self, **_: Any) -> tuple[AuditRow, ...]:
        """Refuses."""
        _refuse_trail()

    async def applies_begun(self, *_: Any) -> int:
        """Refuses."""
        _refuse_trail()

    async def last_apply(self, *_: Any) -> tuple[AuditRow, ...]:
        """Refuses."""
        _refuse_trail()

    async def open_intents(self) -> tuple[AuditRow, ...]:
        """Refuses."""
        _refuse_trail()

    async def require_standing(self) -> None:
        """Refuses."""
        _refuse_trail()


class ClusterHome:
    """One cluster, as one person."""

    def __init__(
        self, cluster: ClusterClient, audit: AuditLog, events: KubeEvents, user: str, connection: KubeConnection
    ) -> None:
        self.cluster = cluster
        self.audit = audit
        self._events = events
        self._user = user
        self._connection = connection

    @property
    def root(self) -> Path:
        """No manifests are on disk."""
        _refuse("manifests are in no folder", "read the objects with 'setpoint get'")

    @property
    def proves_users(self) -> bool:
        """The admission policies hold each name to the requester's own."""
        return True

    def user(self) -> str:
        """The one who works here: the API server's word."""
        return self._user

    async def manager(self) -> None:
        """Not to be seen: who approves may not read the operator's Leases."""
        return

    async def sync(self) -> Sequence[object]:
        """Nothing is to be read: manifests are applied."""
        return ()

    async def events(self, ref: ObjectRef) -> Sequence[EventRecord]:
        """The events of an object, oldest first."""
        return await self._events.of(ref)

    async def leaders(self, namespace: str, on_wait: Callable[[str], None]) -> Sequence[str]:
        """The leaders in that namespace, by the Leases there. Raises ForbiddenError, TransientError."""
        clock = SystemClock()
        leases = {name: KubeLease(self._connection, namespace, name, clock=clock) for name in LEASES}
        return await find_leaders(leases, on_wait)

    async def plan(self, ref: ObjectRef, _progress: Any) -> NoReturn:
        """Refuses: only the operator has the credentials to plan with."""
        where = f"-n {ref.namespace} --context NAME"
        _refuse(
            "the operator plans, with credentials that only it has",
            f"ask for an observation with 'setpoint reconcile {ref} {where}', then read its Change with "
            f"'setpoint describe {ref} {where}'",
        )

    async def content(self, _digest: str) -> bytes | None:
        """Out of reach: the beginning of it stands in the Change's status."""
        return None

    async def perform(self, verb: Verb, ref: ObjectRef, **_arguments: Any) -> NoReturn:
        """Refuses: what a verb of a target's kind works on is the operator's."""
        _refuse(*verb.refuse(ref))

    async def verify_audit(self) -> NoReturn:
        """Refuses."""
        _refuse_trail()

    async def store_problem(self) -> NoReturn:
        """Refuses."""
        _refuse(
            "the store is the operator's",
            "in each of its pods, where the settings name it: kubectl exec -n setpoint-system POD -- "
            "setpoint store accept --operator --yes --reason WHY",
        )

    async def accept_store(self, _reason: str) -> NoReturn:
        """Refuses."""
        await self.store_problem()


def _refuse_trail() -> NoReturn:
    _refuse(
        "the audit trail is in the operator's store",
        "read what happened to an object with 'setpoint describe KIND/NAME --context NAME', and who asked for what in "
        "the API server's audit log",
    )


def _refuse(why: str, instead: str) -> NoReturn:
    message = f"not on a cluster: {why}; {instead}"
    raise OperatorOnlyError(message)


@contextlib.asynccontextmanager
async def open_cluster_home(context: str | None, kubeconfig: Path | None = None) -> AsyncIterator[ClusterHome]:
    """Opens a cluster by kubectl's rules. Raises InvalidError for a kubeconfig that can't be used, TransientError."""
    trail = DistantTrail()
    async with connect(ConnectionOptions(context=context, kubeconfig=kubeconfig)) as connection:
        user = await connection.user()
        events = KubeEvents(connection, instance="setpoint")
        yield ClusterHome(KubeCluster(connection, trail), trail, events, user, connection)
