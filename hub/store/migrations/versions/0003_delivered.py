"""Up to where a user's clients have acknowledged what they got."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delivered_marks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=160), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", name=op.f("pk_delivered_marks")),
    )


def downgrade() -> None:
    op.drop_table("delivered_marks")
