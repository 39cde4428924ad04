"""Revoked tokens, what admins did, and deliveries that an operator tries again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# With the id behind, pages of deliveries need no sorting.
PLACES = {"ix_deliveries_place": ["tenant", "offset"], "ix_deliveries_user": ["tenant", "user", "offset"]}


def upgrade() -> None:
    op.create_table(
        "revocations",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.Column("before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_revocations")),
    )
    op.create_index(op.f("ix_revocations_expires_at"), "revocations", ["expires_at"], unique=False)
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=True),
        sa.Column("actor", sa.String(length=160), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=300), nullable=True),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("request_id", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_created_at"), "audit", ["created_at"], unique=False)
    op.create_index("ix_audit_tenant", "audit", ["tenant", "id"], unique=False)
    for column in ("past_attempts", "past_fence"):
        op.add_column("deliveries", sa.Column(column, sa.Integer(), nullable=False, server_default="0"))
    for index, columns in PLACES.items():
        op.drop_index(index, "deliveries")
        op.create_index(index, "deliveries", [*columns, "id"], unique=False)
    op.create_index(
        "ix_deliveries_dead",
        "deliveries",
        ["tenant", "status", "offset", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'dead'"),
        postgresql_where=sa.text("status = 'dead'"),
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_dead", "deliveries")
    for index, columns in PLACES.items():
        op.drop_index(index, "deliveries")
        op.create_index(index, "deliveries", columns, unique=False)
    op.drop_column("deliveries", "past_fence")
    op.drop_column("deliveries", "past_attempts")
    op.drop_table("audit")
    op.drop_table("revocations")
