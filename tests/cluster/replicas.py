"""Owns operators that share a PostgreSQL store, under test."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from tests.cluster.apiserver import NAMESPACE, Cluster
from tests.cluster.operators import Operator

from setpoint.adapters.store import AuditTrail
from setpoint.adapters.store.fencing import SqlFences
from setpoint.adapters.store.postgres import open_postgres
from setpoint.domain.audit import AuditRow, Verdict
from setpoint.runtime.clock import SystemClock

LEASE = "setpoint-operator"


class Replicas:
    """Operators that share a store, and divide the targets into as many shards. None runs yet.

    `paths` are their PYTHONPATHs.
    """

    def __init__(
        self, cluster: Cluster, folder: Path, store: str, *, shards: int = 1, paths: Sequence[str] = ("", "")
    ) -> None:
        self._cluster = cluster
        self._leases = [LEASE] if shards == 1 else [f"{LEASE}-{number}" for number in range(shards)]
        self._folder = folder
        self._store = store
        key = folder / "sealing.key"
        key.write_bytes(os.urandom(32))
        settings = {
            "SETPOINT_STORE_URL": store,
            "SETPOINT_SEALING_KEY_FILE": str(key),
            "SETPOINT_SHARDS": str(shards),
        }
        self.all = [
            Operator(cluster, folder, f"replica-{number}", settings={**settings, "PYTHONPATH": path})
            for number, path in enumerate(paths)
        ]

    def holder(self, shard: int = 0) -> str:
        """The holder of a Lease; empty where there is none."""
        path = "jsonpath={.spec.holderIdentity}"
        found = self._cluster.kubectl("get", "lease", self._leases[shard], "-n", NAMESPACE, "-o", path, check=False)
        return found.stdout if found.returncode == 0 else ""

    def holders(self) -> list[str]:
        """The holder of each of the Leases."""
        return [self.holder(shard) for shard in range(len(self._leases))]

    @property
    def leader(self) -> Operator:
        """The one that holds the Lease."""
        return next(one for one in self.all if one.name == self.holder())

    @property
    def standby(self) -> Operator:
        """One that does not."""
        return next(one for one in self.all if one.name != self.holder())

    async def rows(self) -> list[AuditRow]:
        """The audit trail, which is intact."""
        database = open_postgres(self._store, self._folder / "sealing.key", self._folder)
        try:
            trail = AuditTrail(database, SystemClock())
            assert (await trail.verify()).verdict is Verdict.INTACT
            return list(await trail.rows())
        finally:
            await database.close()

    async def depose(self) -> None:
        """Begins a term in the store, as one does that lost its Lease in a pause before it began to lead."""
        database = open_postgres(self._store, self._folder / "sealing.key", self._folder)
        try:
            await SqlFences(database).acquire("")
        finally:
            await database.close()

    def close(self) -> None:
        """Ends them all, paused ones too."""
        for one in self.all:
            with contextlib.suppress(AssertionError):
                one.process.resume()
            one.close()
        self._cluster.kubectl("delete", "lease", *self._leases, "-n", NAMESPACE, "--ignore-not-found")
