"""Terms of leadership; sealed blobs for homes that share no folder."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_KEY = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    """Adds the tables."""
    op.create_table(
        "fence",
        sa.Column("shard", _KEY, primary_key=True, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "blob",
        sa.Column("digest", _KEY, primary_key=True, nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "blob_piece",
        sa.Column("digest", _KEY, sa.ForeignKey("blob.digest", ondelete="CASCADE"), primary_key=True, nullable=False),
        sa.Column("number", sa.BigInteger(), primary_key=True, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
    )
