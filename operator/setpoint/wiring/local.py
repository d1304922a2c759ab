"""Owns the backends of a local home: what reads and writes its objects, and nothing that most commands do without."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from setpoint.adapters.local import LocalCluster, LocalHome, ManifestIndex, ManifestSync, StoredEvents
from setpoint.adapters.local.manifests import DECLARED_KINDS
from setpoint.adapters.store import (
    AuditTrail,
    SealedBlobs,
    SqlObjectStore,
    SqlObservations,
    begin_sqlite,
    open_sqlite,
    read_sqlite,
)
from setpoint.api.meta import API_VERSION
from setpoint.domain.errors import NothingDeclaredError
from setpoint.runtime.clock import SystemClock
from setpoint.wiring.backends import Backends
from setpoint.wiring.targets import codes

_NOTHING_DECLARED = f"""\
holds no manifest, so no home was made of it.
Looked for: files *.yaml, *.yml and *.json in it and its folders, with an object of {API_VERSION} \
({", ".join(DECLARED_KINDS)}). Hidden folders, links out of it and other homes are left out.
To begin, write one, such as hello.yaml beside a folder infra with Terraform code, and run this again:

  apiVersion: {API_VERSION}
  kind: Environment
  metadata: {{name: hello}}
  spec:
    stage: dev
    source: {{path: ./infra}}"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalBackends(Backends):
    """The backends of a local home, and what it alone has."""

    cluster: LocalCluster
    home: LocalHome
    objects: SqlObjectStore
    sync: ManifestSync


@contextlib.asynccontextmanager
async def open_local(
    home: LocalHome,
    *,
    check: bool = False,
    held: Sequence[Path] = (),
    count_rows: Callable[[int], None] = lambda _rows: None,
) -> AsyncIterator[LocalBackends]:
    """Opens a home's store and manifests, and closes them again. Raises StoreError for a store that is damaged.

    A home that can't be written is opened to be read: each write to it raises StoreError.

    `check` reads the whole database first: for a manager, not for each command. `held` are files that have to stay
    where they are. `count_rows` hears of audit rows.
    """
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        # The key is made with the blobs, and the rows are sealed with it.
        if home.writable:
            begin_sqlite(home.database, beside=home.filled_by_runs)
        blobs = SealedBlobs.open(home.blobs, home.key)
        stack.push_async_callback(blobs.close)
        if home.writable:
            database = open_sqlite(home.database, home.key, held=held, check=check)
        else:
            database = read_sqlite(home.database, home.key)
        stack.push_async_callback(database.close)
        audit = AuditTrail(database, clock, count_rows=count_rows)
        objects = SqlObjectStore(database, audit)
        index = ManifestIndex(home.root, codes(), memory=home.state / "manifests.json")
        stack.push_async_callback(index.close)
        cluster = LocalCluster(objects, blobs, index, clock=clock)
        sync = ManifestSync(cluster, index)
        yield LocalBackends(
            clock=clock,
            audit=audit,
            blobs=blobs,
            database=database,
            observations=SqlObservations(database),
            cluster=cluster,
            events=StoredEvents(objects),
            private=home.state,
            home_root=home.root,
            origin_of=lambda obj: sync.folder_of(obj.ref),
            proves_users=False,
            sealed=cluster.blobs,
            unread=sync.unread,
            home=home,
            objects=objects,
            sync=sync,
        )


async def make_home(root: Path) -> LocalHome:
    """Makes a folder that declares something a home, or opens the home that it is.

    Raises NothingDeclaredError where there is neither, HomeError where it can't be written.
    """
    home = LocalHome.at(root)
    if not home.state.exists():
        index = ManifestIndex(home.root, codes())
        try:
            inventory = await index.refresh()
        finally:
            await index.close()
        # Manifests that can't be read are told of by the home itself, which knows the file and the line.
        if not inventory.errors and not any(ref.kind in DECLARED_KINDS for ref in inventory.entries):
            raise NothingDeclaredError(f"{home.root} {_NOTHING_DECLARED}")
    return LocalHome.create(root)
