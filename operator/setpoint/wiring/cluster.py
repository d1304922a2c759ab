"""Owns putting a cluster home together: the API server, the operator's store, and what every home has."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, KubeEvents, KubeLease, connect
from setpoint.adapters.store import NAME, AuditTrail, Database, SealedBlobs, SqlStateLocks, SqlStateStore
from setpoint.domain.errors import StoreError
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.wiring.parts import Foundation, Parts, Stores, SystemClock, open_parts

LEASE = "setpoint-operator"


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterParts:
    """What only a cluster home has, beside what every home has."""

    parts: Parts
    connection: KubeConnection

    def lease(self, namespace: str) -> KubeLease:
        """The Lease by which a leader is elected."""
        return KubeLease(self.connection, namespace, LEASE, clock=self.parts.clock)


@contextlib.asynccontextmanager
async def open_cluster(
    options: ConnectionOptions, settings: Settings, secrets: SecretFilter, *, identity: str
) -> AsyncIterator[ClusterParts]:
    """Opens everything that the operator needs, and closes it again. Asks the API server nothing yet.

    Raises StoreError for a store that is damaged, InvalidError for a kubeconfig that can't be used.
    """
    clock, metrics = SystemClock(), Metrics()
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(options))
        stores = await _open_stores(stack, _private_folder(settings.state_dir), clock, metrics)
        foundation = Foundation(
            stores=stores,
            cluster=KubeCluster(connection, stores.audit, namespaces=settings.served_namespaces),
            events=KubeEvents(connection, instance=identity),
            private=settings.state_dir,
            home_root=None,
            origin_of=lambda _obj: None,
        )
        parts = await open_parts(stack, foundation, settings=settings, clock=clock, metrics=metrics, secrets=secrets)
        yield ClusterParts(parts, connection)


def _private_folder(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        message = f"SETPOINT_STATE_DIR: {folder} can't be made: {error.strerror}"
        raise StoreError(message) from None
    return folder


async def _open_stores(stack: contextlib.AsyncExitStack, folder: Path, clock: SystemClock, metrics: Metrics) -> Stores:
    database = Database.open(folder / NAME, check=True)
    stack.push_async_callback(database.close)
    audit = AuditTrail(database, clock, count_rows=metrics.count_audit_rows)
    blobs = SealedBlobs.open(folder / "blobs", folder / "keys" / "blobs.key")
    stack.push_async_callback(blobs.close)
    states = SqlStateStore(database, blobs, audit, clock)
    stack.callback(states.close)
    return Stores(audit=audit, blobs=blobs, states=states, locks=SqlStateLocks(database, clock))
