"""Owns the rows of the last observations of targets. What follows from one is decided in domain.freshness."""

import datetime as dt
from collections.abc import Collection, Mapping

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from setpoint.adapters.store.database import Database
from setpoint.adapters.store.tables import LAST_OBSERVATION
from setpoint.domain.freshness import LastObservation

# Made once: to build a statement takes longer than to run it.
_OF = select(LAST_OBSERVATION).where(LAST_OBSERVATION.c.target.in_(bindparam("targets", expanding=True)))
_ADD = insert(LAST_OBSERVATION)
_MOVE = (
    update(LAST_OBSERVATION)
    .where(LAST_OBSERVATION.c.target == bindparam("key"))
    .values(inputs=bindparam("inputs"), at=bindparam("at"))
)
_FORGET = delete(LAST_OBSERVATION).where(LAST_OBSERVATION.c.target == bindparam("target"))


class SqlObservations:
    """The ObservationStore over the store's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, targets: Collection[str]) -> Mapping[str, LastObservation]:
        """The last observation of each of these that had one."""
        wanted = {"targets": list(targets)}
        rows = await self._database.read(lambda connection: connection.execute(_OF, wanted).all())
        return {row.target: LastObservation(row.inputs, dt.datetime.fromtimestamp(row.at, dt.UTC)) for row in rows}

    async def record(self, target: str, observation: LastObservation) -> None:
        """Keeps the observation as the target's last."""
        values = {"inputs": observation.inputs, "at": int(observation.at.timestamp())}

        def put(connection: Connection) -> None:
            if not connection.execute(_MOVE, {"key": target, **values}).rowcount:
                connection.execute(_ADD, {"target": target, **values})

        await self._database.write(put)

    async def forget(self, target: str) -> None:
        """The target is gone."""
        await self._database.write(lambda connection: connection.execute(_FORGET, {"target": target}))
