"""Owns beginning a term of leadership in the store. Writes of one that is over are turned away where they commit."""

from sqlalchemy import Connection, insert, update

from setpoint.adapters.store.database import Database
from setpoint.adapters.store.tables import FENCE
from setpoint.runtime.fencing import fenced


class SqlFences:
    """The Fences over the store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def acquire(self, shard: str) -> int:
        """Begins the shard's next term; see the port."""
        # Whoever begins a term may have led an earlier one.
        with fenced(None):
            return await self._database.write(lambda connection: _begin(connection, shard))


def _begin(connection: Connection, shard: str) -> int:
    rise = update(FENCE).where(FENCE.c.shard == shard).values(epoch=FENCE.c.epoch + 1).returning(FENCE.c.epoch)
    epoch = connection.execute(rise).scalar()
    if epoch is None:
        epoch = 1
        connection.execute(insert(FENCE).values(shard=shard, epoch=epoch))
    return int(epoch)
