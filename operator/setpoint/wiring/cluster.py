"""Owns putting a cluster home together: the API server, the operator's store, and what every home has."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping

from setpoint.adapters.kube import ConnectionOptions, KubeCluster, KubeConnection, KubeEvents, KubeLease, connect
from setpoint.ports import Fences
from setpoint.runtime.clock import SystemClock
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.targets.environment.terraform import RunWatch
from setpoint.wiring.foundation import Foundation
from setpoint.wiring.leases import LEASES
from setpoint.wiring.parts import Parts, open_parts
from setpoint.wiring.stores import open_operator_stores


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterParts:
    """The parts that only a cluster home has, beside what every home has."""

    parts: Parts
    connection: KubeConnection
    objects: KubeCluster
    fences: Fences
    shared: bool
    """True where other replicas may work on the same store, and so may have left runs elsewhere."""

    def leases(self, namespace: str) -> Mapping[str, KubeLease]:
        """The Leases of every division, by name."""
        return {name: KubeLease(self.connection, namespace, name, clock=self.parts.clock) for name in LEASES}


@contextlib.asynccontextmanager
async def open_cluster(
    options: ConnectionOptions, settings: Settings, secrets: SecretFilter, *, identity: str, watch: RunWatch
) -> AsyncIterator[ClusterParts]:
    """Opens everything that the operator needs, and closes it again. Asks the API server nothing yet.

    Raises StoreError for a store that can't be used, InvalidError for a kubeconfig or settings that can't be.
    """
    clock, metrics = SystemClock(), Metrics()
    async with contextlib.AsyncExitStack() as stack:
        connection = await stack.enter_async_context(connect(options))
        opened = await open_operator_stores(
            stack, settings, identity=identity, clock=clock, metrics=metrics, secrets=secrets
        )
        objects = KubeCluster(connection, opened.stores.audit, namespaces=settings.served_namespaces)
        foundation = Foundation(
            stores=opened.stores,
            cluster=objects,
            events=KubeEvents(connection, instance=identity),
            private=settings.state_dir,
            home_root=None,
            origin_of=lambda _obj: None,
            proves_users=True,
            watch=watch,
            sees_all=not settings.served_namespaces,
        )
        parts = await open_parts(stack, foundation, settings=settings, clock=clock, metrics=metrics, secrets=secrets)
        shared = settings.store_url is not None
        yield ClusterParts(parts, connection, objects, opened.fences, shared)
