"""Owns the rows of the last looks at targets. What follows from one is decided in domain.rest."""

import datetime as dt
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from setpoint.adapters.store.database import Database
from setpoint.adapters.store.tables import LOOK
from setpoint.domain.rest import Look

# Made once: to build a statement takes longer than to run it.
_OF = select(LOOK).where(LOOK.c.target.in_(bindparam("targets", expanding=True)))
_ADD = insert(LOOK)
_MOVE = update(LOOK).where(LOOK.c.target == bindparam("key")).values(inputs=bindparam("inputs"), at=bindparam("at"))
_FORGET = delete(LOOK).where(LOOK.c.target == bindparam("target"))


class SqlLooks:
    """The LookStore over the store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, targets: Collection[str]) -> Mapping[str, Look]:
        """The last look at each of these that had one."""
        wanted = {"targets": list(targets)}
        return await self._database.read(
            lambda connection: {row.target: _look(row.inputs, row.at) for row in connection.execute(_OF, wanted)}
        )

    async def record(self, target: str, look: Look) -> None:
        """Keeps the look as the target's last."""
        values = {"inputs": look.inputs, "at": int(look.at.timestamp())}

        def put(connection: Connection) -> None:
            if not connection.execute(_MOVE, {"key": target, **values}).rowcount:
                connection.execute(_ADD, {"target": target, **values})

        await self._database.write(put)

    async def forget(self, target: str) -> None:
        """The target is gone."""
        await self._database.write(lambda connection: connection.execute(_FORGET, {"target": target}))


def _look(inputs: str, at: int) -> Look:
    return Look(inputs, dt.datetime.fromtimestamp(at, dt.UTC))
