"""The last observation of each target that was found at its setpoint."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "look",
        sa.Column("target", _KEY, primary_key=True, nullable=False),
        sa.Column("inputs", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
