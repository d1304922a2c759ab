"""Owns storing a target's status in a pass: the one object that knows which status was stored last."""

import asyncio
from collections.abc import Callable, Sequence

from setpoint.api.target import Target, TargetStatus
from setpoint.domain.audit import AuditEntry
from setpoint.ports import ClusterClient
from setpoint.runtime.status import write_status


class StoredStatus:
    """The status of a target as it is stored: as it was read, until it is written. One write at a time."""

    def __init__(self, cluster: ClusterClient, target: Target) -> None:
        self._cluster = cluster
        self.read = target
        self._last: TargetStatus | None = target.status
        self._moved = False
        self._writing = asyncio.Lock()

    async def write(self, status: TargetStatus, *, audit: Sequence[AuditEntry] = ()) -> None:
        """Stores a status, with audit rows durable no later than it; nothing where it is stored, and there are none.

        Raises what `write_status` does; which status is stored is not known then.
        """
        async with self._writing:
            if audit or status != self._last:
                await self._store(status, audit)

    async def amend(self, amended: Callable[[Target], TargetStatus]) -> None:
        """Stores what `amended` makes of the target under the status that was stored last, if that is known.

        For what is shown beside the pass: it must take nothing back that the pass has written meanwhile.
        """
        async with self._writing:
            if self._last is not None:
                await self._store(amended(self.read.model_copy(update={"status": self._last})), ())

    async def _store(self, status: TargetStatus, audit: Sequence[AuditEntry]) -> None:
        # The object as it was read is good for the first write alone: it bears the version of then.
        seen = None if self._moved or audit else self.read.as_json()
        self._last, self._moved = None, True
        await write_status(self._cluster, self.read.ref, status.as_json(), seen=seen, audit=audit)
        self._last = status
