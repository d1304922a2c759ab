"""Owns opening the stores that Environments alone have in a home: states, and the locks on them."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Protocol

from setpoint.adapters.store import AuditTrail, Database, SqlStateLocks, SqlStateStore
from setpoint.ports import BlobStore, Clock, ObservationStore
from setpoint.targets.environment.plan import state


class StoreBackends(Protocol):
    """The backends of a home, as far as states are kept in them."""

    @property
    def database(self) -> Database:
        """The rows."""
        ...

    @property
    def blobs(self) -> BlobStore:
        """The bytes, sealed."""
        ...

    @property
    def audit(self) -> AuditTrail:
        """The trail, which has a row of each state that was imported."""
        ...

    @property
    def observations(self) -> ObservationStore:
        """The last observations of what is fresh."""
        ...

    @property
    def clock(self) -> Clock:
        """The time of each row."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Stores:
    """States, the locks that runs hold on them, and the last observations of their targets."""

    states: SqlStateStore
    locks: SqlStateLocks
    observations: ObservationStore


@contextlib.contextmanager
def open_stores(backends: StoreBackends) -> Iterator[Stores]:
    """Opens them over a home's backends, and closes them again."""
    states = SqlStateStore(backends.database, backends.blobs, backends.audit, backends.clock, state.parse)
    try:
        yield Stores(states, SqlStateLocks(backends.database, backends.clock), backends.observations)
    finally:
        states.close()
