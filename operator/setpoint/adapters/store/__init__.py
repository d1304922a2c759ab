"""The store of a home: one SQLite file for objects, state versions, locks and audit rows; sealed blobs beside it.

The only importer of SQLModel, SQLAlchemy and Alembic. Everything else sees the ports.
"""

from setpoint.adapters.store.audit import AuditTrail
from setpoint.adapters.store.blobs import SealedBlobs
from setpoint.adapters.store.database import NAME, Database
from setpoint.adapters.store.objects import SqlObjectStore
from setpoint.adapters.store.states import SqlStateLocks, SqlStateStore

__all__ = ["NAME", "AuditTrail", "Database", "SealedBlobs", "SqlObjectStore", "SqlStateLocks", "SqlStateStore"]
