"""Seals on the rows of the audit trail, and which trail it is. Rows of before have none."""

import sqlalchemy as sa
from alembic import op

from setpoint.adapters.store.triggers import append_only, sealed_only

revision = "0004"
down_revision = "0003"

_KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the column and the table."""
    op.add_column("audit_row", sa.Column("mac", sa.LargeBinary(), nullable=True))
    op.create_table(
        "trail",
        sa.Column("id", _KEY, primary_key=True, nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
    )
    dialect = op.get_bind().dialect.name
    for statement in (*append_only(dialect, "trail"), *sealed_only(dialect)):
        op.execute(statement)
