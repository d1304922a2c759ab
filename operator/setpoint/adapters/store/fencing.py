"""Owns the terms of leadership in the store: beginning one, and telling which writes come from one that is over."""

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert, update

from setpoint.adapters.store.tables import FENCE
from setpoint.domain.errors import FencedError
from setpoint.ports import Fence
from setpoint.runtime.fencing import fenced

if TYPE_CHECKING:
    from setpoint.adapters.store.database import Database

_STANDING = "SELECT shard, epoch FROM fence"


class SqlFences:
    """The Fences over the store's database."""

    def __init__(self, database: "Database") -> None:
        self._database = database

    async def acquire(self, shard: str) -> int:
        """Begins the shard's next term; see the port."""
        # Whoever begins a term may have led an earlier one.
        with fenced(None):
            return await self._database.write(lambda connection: _begin(connection, shard))


def stale(connection: Connection, fences: AbstractSet[Fence]) -> AbstractSet[Fence]:
    """Those of the fences whose term is over, as the transaction sees it."""
    if not fences:
        return fences
    # A handful of rows, by the driver's own cursor: this is part of every commit of a leader.
    cursor = connection.connection.cursor()
    cursor.execute(_STANDING)
    standing = {Fence(*row) for row in cursor.fetchall()}
    cursor.close()
    return fences - standing


def refusal(fence: Fence) -> FencedError:
    """The error for the writer."""
    shard = f" of shard {fence.shard}" if fence.shard else ""
    return FencedError(f"term {fence.epoch}{shard} is over, another leads by now: nothing was written")


def _begin(connection: Connection, shard: str) -> int:
    rise = update(FENCE).where(FENCE.c.shard == shard).values(epoch=FENCE.c.epoch + 1).returning(FENCE.c.epoch)
    epoch = connection.execute(rise).scalar()
    if epoch is None:
        epoch = 1
        connection.execute(insert(FENCE).values(shard=shard, epoch=epoch))
    return int(epoch)
