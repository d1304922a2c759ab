"""An in-memory Lease that can be made to fail, with every write remembered."""

import asyncio
import dataclasses

from setpoint.api.conditions import Reason
from setpoint.domain.errors import ConflictError, TransientError
from setpoint.ports import LeaseRecord


class InMemoryLease:
    """The LeaseLock port. `away` makes each call fail; `hang` lets it wait for its deadline."""

    def __init__(self) -> None:
        self.record: LeaseRecord | None = None
        self.away = False
        self.hang = False
        self.writes: list[tuple[float, str]] = []

    async def read(self) -> LeaseRecord | None:
        await self._reach()
        return self.record

    async def write(self, record: LeaseRecord) -> LeaseRecord:
        await self._reach()
        if record.version != (self.record.version if self.record else ""):
            raise ConflictError("the Lease was written by someone else")
        self.record = dataclasses.replace(record, version=str(len(self.writes) + 1))
        self.writes.append((asyncio.get_running_loop().time(), record.holder))
        return self.record

    async def _reach(self) -> None:
        if self.hang:
            await asyncio.sleep(5.0)
        if self.away or self.hang:
            raise TransientError(Reason.API_UNAVAILABLE, "away")
        await asyncio.sleep(0.01)
