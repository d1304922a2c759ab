"""Owns putting a local home together: its store in one folder, its manifests, and what every home has."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator

from setpoint.adapters.local import LocalCluster, LocalHome, ManifestIndex, ManifestSync, StoredEvents
from setpoint.adapters.store import AuditTrail, Database, SealedBlobs, SqlObjectStore, SqlStateLocks, SqlStateStore
from setpoint.runtime.logging import SecretFilter
from setpoint.runtime.metrics import Metrics
from setpoint.settings import Settings
from setpoint.wiring.parts import Foundation, Parts, Stores, SystemClock, open_parts


@dataclasses.dataclass(frozen=True, slots=True)
class LocalParts:
    """What only a local home has, beside what every home has."""

    parts: Parts
    home: LocalHome
    objects: SqlObjectStore
    cluster: LocalCluster
    sync: ManifestSync


@contextlib.asynccontextmanager
async def open_local(
    home: LocalHome, settings: Settings, secrets: SecretFilter, *, check: bool = False
) -> AsyncIterator[LocalParts]:
    """Opens everything that a local home needs, and closes it again. Raises StoreError for a store that is damaged.

    `check` reads the whole database first: for a manager, not for each command.
    """
    clock, metrics = SystemClock(), Metrics()
    async with contextlib.AsyncExitStack() as stack:
        database = Database.open(home.database, check=check)
        stack.push_async_callback(database.close)
        audit = AuditTrail(database, clock, count_rows=metrics.count_audit_rows)
        objects = SqlObjectStore(database, audit)
        blobs = SealedBlobs.open(home.blobs, home.keys / "blobs.key")
        stack.push_async_callback(blobs.close)
        states = SqlStateStore(database, blobs, audit, clock)
        stack.callback(states.close)
        index = ManifestIndex(home.root)
        stack.push_async_callback(index.close)
        cluster = LocalCluster(objects, blobs, index, clock=clock)
        sync = ManifestSync(cluster, index)
        foundation = Foundation(
            stores=Stores(audit=audit, blobs=blobs, states=states, locks=SqlStateLocks(database, clock)),
            cluster=cluster,
            events=StoredEvents(objects),
            private=home.state,
            home_root=home.root,
            origin_of=lambda obj: sync.folder_of(obj.ref),
        )
        parts = await open_parts(stack, foundation, settings=settings, clock=clock, metrics=metrics, secrets=secrets)
        yield LocalParts(parts, home, objects, cluster, sync)
