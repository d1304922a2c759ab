"""Objects, Terraform states and their locks, the audit trail."""

import sqlalchemy as sa
from alembic import op

from setpoint.adapters.store.triggers import append_only

revision = "0001"
down_revision = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Creates all tables."""
    _create_objects()
    _create_states()
    _create_audit()
    for table, deletable in (("audit_row", False), ("audit_payload", True), ("state_version", True)):
        for statement in append_only(op.get_bind().dialect.name, table, deletable=deletable):
            op.execute(statement)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, _KEY if key else sa.String(), primary_key=key, nullable=False)


def _number(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), primary_key=key, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=False)


def _seq() -> sa.Column[int]:
    return sa.Column("seq", _SEQ, primary_key=True, autoincrement=False, nullable=False)


def _create_objects() -> None:
    op.create_table(
        "object",
        _text("kind", key=True),
        _text("namespace", key=True),
        _text("name", key=True),
        _text("uid"),
        _number("version"),
        _number("generation"),
        sa.Column("body", sa.Text(), nullable=False),
        _text("source"),
        sa.Column("deleted", sa.Boolean(), nullable=False),
    )
    op.create_index("object_version", "object", ["version"], unique=True)
    counter = op.create_table("counter", _text("name", key=True), _number("value"))
    op.bulk_insert(counter, [{"name": "objects", "value": 0}, {"name": "floor", "value": 0}])


def _create_states() -> None:
    op.create_table(
        "state_version",
        _text("target", key=True),
        _number("version", key=True),
        _number("serial"),
        _text("lineage"),
        _text("terraform_version"),
        _text("sha256"),
        _number("size"),
        _number("resources"),
        _text("blob"),
        _text("run"),
        _text("at"),
    )
    op.create_table(
        "state_lock",
        _text("target", key=True),
        _text("id"),
        _text("run"),
        sa.Column("holder", sa.Text(), nullable=False),
        _text("since"),
    )


def _create_audit() -> None:
    op.create_table(
        "audit_row",
        _seq(),
        _text("target"),
        _text("run"),
        _text("phase"),
        *(_bytes(name) for name in ("header", "leaf", "prev", "hash")),
    )
    op.create_index("audit_row_prev", "audit_row", ["prev"], unique=True)
    op.create_index("audit_row_run", "audit_row", ["run", "phase"])
    op.create_index("audit_row_target", "audit_row", ["target", "seq"])
    op.create_table("audit_payload", _seq(), _bytes("salt"), _bytes("body"))
