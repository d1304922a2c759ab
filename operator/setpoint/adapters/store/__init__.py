"""The store of a home: objects, state versions, locks, audit rows, terms of leadership, observations, sealed blobs.

In one SQLite file with the blobs in a folder beside it, or in a PostgreSQL database that replicas share
(`adapters.store.postgres`, imported by those that use it). The only importer of SQLModel, SQLAlchemy, Alembic and
psycopg. Everything else sees the ports.
"""

from setpoint.adapters.store.audit import AuditTrail
from setpoint.adapters.store.blobs import SealedBlobs
from setpoint.adapters.store.database import Database
from setpoint.adapters.store.fencing import SqlFences
from setpoint.adapters.store.objects import SqlObjectStore
from setpoint.adapters.store.observations import SqlObservations
from setpoint.adapters.store.sqlite import NAME, begin_sqlite, open_sqlite, read_sqlite
from setpoint.adapters.store.states import SqlStateLocks, SqlStateStore

__all__ = [
    "NAME",
    "AuditTrail",
    "Database",
    "SealedBlobs",
    "SqlFences",
    "SqlObjectStore",
    "SqlObservations",
    "SqlStateLocks",
    "SqlStateStore",
    "begin_sqlite",
    "open_sqlite",
    "read_sqlite",
]
