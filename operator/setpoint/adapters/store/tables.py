"""Owns the tables of the store, as SQLModel classes. Their schema is what the migrations make: a test compares both.

Statements are written with SQLAlchemy Core over `<class>.__table__`, never with ORM sessions, which cost three times
as much. Bytes that are hashed are BLOBs, so that no database rewrites them.
"""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Table, Text
from sqlmodel import Field, SQLModel

SEQ = BigInteger().with_variant(Integer(), "sqlite")
"""A key that is the row's own address in SQLite, which BIGINT would not be."""
KEY = String().with_variant(String(collation="C"), "postgresql")
"""A key that is ordered by its bytes on every database, whatever the database's locale."""

_GIVEN = {"autoincrement": False}
"""The database makes up no value of its own."""


class ObjectTable(SQLModel, table=True):
    """Objects of the local home, and the tombstones of those that were removed."""

    __tablename__ = "object"
    __table_args__ = (Index("object_version", "version", unique=True),)

    kind: str = Field(primary_key=True, sa_type=KEY)
    namespace: str = Field(primary_key=True, sa_type=KEY)
    name: str = Field(primary_key=True, sa_type=KEY)
    uid: str
    version: int = Field(sa_type=BigInteger)
    generation: int = Field(sa_type=BigInteger)
    body: str = Field(sa_type=Text)
    source: str
    deleted: bool


class CounterTable(SQLModel, table=True):
    """Numbers that only rise: `objects` is the newest write's version, `floor` the newest forgotten tombstone's."""

    __tablename__ = "counter"

    name: str = Field(primary_key=True, sa_type=KEY)
    value: int = Field(sa_type=BigInteger)


class StateVersionTable(SQLModel, table=True):
    """Terraform states, one row per version; the bytes are sealed in `blob`. Only appended."""

    __tablename__ = "state_version"

    target: str = Field(primary_key=True, sa_type=KEY)
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

    target: str = Field(primary_key=True, sa_type=KEY)
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

    seq: int = Field(primary_key=True, sa_type=SEQ, sa_column_kwargs=_GIVEN)
    target: str
    run: str
    phase: str
    header: bytes = Field(sa_type=LargeBinary)
    leaf: bytes = Field(sa_type=LargeBinary)
    prev: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)
    mac: bytes | None = Field(sa_type=LargeBinary)


class TrailTable(SQLModel, table=True):
    """The identity of the trail, in one row: its random id, and its first row that bears a seal."""

    __tablename__ = "trail"

    id: str = Field(primary_key=True, sa_type=KEY)
    since: int = Field(sa_type=BigInteger)


class AuditPayloadTable(SQLModel, table=True):
    """The content that audit rows commit to, apart from them so that it can be erased."""

    __tablename__ = "audit_payload"

    seq: int = Field(primary_key=True, sa_type=SEQ, sa_column_kwargs=_GIVEN)
    salt: bytes = Field(sa_type=LargeBinary)
    body: bytes = Field(sa_type=LargeBinary)


class FenceTable(SQLModel, table=True):
    """The newest term of leadership over each shard. Its epoch only rises."""

    __tablename__ = "fence"

    shard: str = Field(primary_key=True, sa_type=KEY)
    epoch: int = Field(sa_type=BigInteger)


class LastObservationTable(SQLModel, table=True):
    """The last observation of each target that was found at its setpoint; `at` is in Unix seconds."""

    __tablename__ = "look"

    target: str = Field(primary_key=True, sa_type=KEY)
    inputs: str
    at: int = Field(sa_type=BigInteger)


class BlobTable(SQLModel, table=True):
    """Sealed blobs by digest, where they are not in a folder. `used` is when one was last put, in Unix seconds."""

    __tablename__ = "blob"

    digest: str = Field(primary_key=True, sa_type=KEY)
    used: int = Field(sa_type=BigInteger)


class BlobPieceTable(SQLModel, table=True):
    """The sealed bytes, in the pieces in which they were sealed, from number 0."""

    __tablename__ = "blob_piece"

    digest: str = Field(primary_key=True, sa_type=KEY, sa_column_args=[ForeignKey("blob.digest", ondelete="CASCADE")])
    number: int = Field(primary_key=True, sa_type=BigInteger)
    sealed: bytes = Field(sa_type=LargeBinary)


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


OBJECT = _table(ObjectTable)
COUNTER = _table(CounterTable)
STATE_VERSION = _table(StateVersionTable)
STATE_LOCK = _table(StateLockTable)
AUDIT_ROW = _table(AuditRowTable)
AUDIT_PAYLOAD = _table(AuditPayloadTable)
TRAIL = _table(TrailTable)
FENCE = _table(FenceTable)
LAST_OBSERVATION = _table(LastObservationTable)
