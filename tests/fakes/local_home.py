"""Owns opening a real local home in a test: the cluster of a folder, by as many clients as it takes."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from sqlalchemy import select, update
from tests.fakes.store import FixedClock, open_sql_stores

from setpoint.adapters.local import LocalCluster, LocalHome, ManifestIndex
from setpoint.adapters.store.tables import COUNTER
from setpoint.ports import AuditLog, BlobStore, ObjectStore
from setpoint.targets.environment.code import CODE

_NEWEST = select(COUNTER.c.value).where(COUNTER.c.name == "objects").scalar_subquery()
_OUTDATE = update(COUNTER).where(COUNTER.c.name == "floor").values(value=_NEWEST)


@dataclasses.dataclass(frozen=True)
class OpenHome:
    """One client's view of a local home. `outdate` makes watches from older versions Gone."""

    home: LocalHome
    store: ObjectStore
    cluster: LocalCluster
    index: ManifestIndex
    blobs: BlobStore
    audit: AuditLog
    outdate: Callable[[], Awaitable[None]]


@contextlib.asynccontextmanager
async def open_local_home(folder: Path) -> AsyncIterator[OpenHome]:
    """One more client of the home in a folder, which is made where it is not there."""
    home = LocalHome.create(folder)
    async with open_sql_stores(home.state) as stores:
        index = ManifestIndex(home.root, [CODE])
        cluster = LocalCluster(stores.objects, stores.blobs, index, clock=FixedClock())

        async def outdate() -> None:
            await stores.database.write(lambda connection: connection.execute(_OUTDATE))

        try:
            yield OpenHome(home, stores.objects, cluster, index, stores.blobs, stores.trail, outdate)
        finally:
            await index.close()
