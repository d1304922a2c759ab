"""Owns the backends of a cluster home: the API server, and the operator's store."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, KubeEvents, KubeLease, connect
from setpoint.adapters.store import AuditTrail, SqlFences, SqlObservations
from setpoint.ports import Fences
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.wiring.backends import Backends, Lead
from setpoint.wiring.leases import LEASES
from setpoint.wiring.stores import open_database


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClusterBackends(Backends):
    """The backends of a cluster home, and what it alone has.

    `shared` is True where other replicas may work on the same store, and so may have left runs elsewhere.
    """

    cluster: KubeCluster
    connection: KubeConnection
    fences: Fences
    shared: bool

    def leases(self, namespace: str) -> Mapping[str, KubeLease]:
        """The Leases of every division, by name."""
        return {name: KubeLease(self.connection, namespace, name, clock=self.clock) for name in LEASES}


@contextlib.asynccontextmanager
async def open_cluster(
    options: ConnectionOptions,
    settings: Settings,
    *,
    identity: str,
    metrics: Metrics,
    secrets: SecretFilter,
    lead: Lead,
) -> AsyncIterator[ClusterBackends]:
    """Opens the backends of the operator, and closes them again. Asks the API server nothing yet.

    Raises StoreError for a store that can't be used, InvalidError for a kubeconfig or settings that can't be.
    """
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(options))
        database, blobs = open_database(stack, settings, identity=identity, secrets=secrets)
        audit = AuditTrail(database, clock, count_rows=metrics.count_audit_rows)
        yield ClusterBackends(
            clock=clock,
            audit=audit,
            blobs=blobs,
            database=database,
            observations=SqlObservations(database),
            cluster=KubeCluster(connection, audit, namespaces=settings.served_namespaces),
            events=KubeEvents(connection, instance=identity),
            private=settings.state_dir,
            home_root=None,
            origin_of=lambda _obj: None,
            proves_users=True,
            lead=lead,
            sees_all=not settings.served_namespaces,
            connection=connection,
            fences=SqlFences(database),
            shared=settings.store_url is not None,
        )
