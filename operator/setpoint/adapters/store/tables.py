"""Owns the tables of the store, as SQLModel classes. Their schema is what the migrations make: a test compares both.

Statements are written with SQLAlchemy Core over `<class>.__table__`, never with ORM sessions, which cost three times
as much. Bytes that are hashed are BLOBs, so that no database rewrites them.
"""

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Table, Text
from sqlmodel import Field, SQLModel

SEQ = BigInteger().with_variant(Integer(), "sqlite")
"""A key that is the row's own address in SQLite, which BIGINT would not be."""


class ObjectTable(SQLModel, table=True):
    """Objects of the local home, and the tombstones of those that were removed."""

    __tablename__ = "object"
    __table_args__ = (Index("object_version", "version", unique=True),)

    kind: str = Field(primary_key=True)
    namespace: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    uid: str
    version: int = Field(sa_type=BigInteger)
    generation: int = Field(sa_type=BigInteger)
    body: str = Field(sa_type=Text)
    source: str
    deleted: bool


class CounterTable(SQLModel, table=True):
    """Numbers that only rise: `objects` is the newest write's version, `floor` the newest forgotten tombstone's."""

    __tablename__ = "counter"

    name: str = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


class StateVersionTable(SQLModel, table=True):
    """Terraform states, one row per version; the bytes are sealed in `blob`. Only appended."""

    __tablename__ = "state_version"

    target: str = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_type=BigInteger)
    serial: int = Field(sa_type=BigInteger)
    lineage: str
    terraform_version: str
    sha256: str
    size: int = Field(sa_type=BigInteger)
    resources: int = Field(sa_type=BigInteger)
    blob: str
    run: str
    at: str


class StateLockTable(SQLModel, table=True):
    """Locks on states: at most one per target."""

    __tablename__ = "state_lock"

    target: str = Field(primary_key=True)
    id: str
    run: str
    holder: str = Field(sa_type=Text)
    since: str


class AuditRowTable(SQLModel, table=True):
    """The audit trail. Only appended; UNIQUE(prev) keeps the chain from forking."""

    __tablename__ = "audit_row"
    __table_args__ = (
        Index("audit_row_prev", "prev", unique=True),
        Index("audit_row_run", "run", "phase"),
        Index("audit_row_target", "target", "seq"),
    )

    seq: int = Field(primary_key=True, sa_type=SEQ)
    target: str
    run: str
    phase: str
    header: bytes = Field(sa_type=LargeBinary)
    leaf: bytes = Field(sa_type=LargeBinary)
    prev: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)


class AuditPayloadTable(SQLModel, table=True):
    """What audit rows commit to, apart from them so that it can be erased."""

    __tablename__ = "audit_payload"

    seq: int = Field(primary_key=True, sa_type=SEQ)
    salt: bytes = Field(sa_type=LargeBinary)
    body: bytes = Field(sa_type=LargeBinary)


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


OBJECT = _table(ObjectTable)
COUNTER = _table(CounterTable)
STATE_VERSION = _table(StateVersionTable)
STATE_LOCK = _table(StateLockTable)
AUDIT_ROW = _table(AuditRowTable)
AUDIT_PAYLOAD = _table(AuditPayloadTable)
