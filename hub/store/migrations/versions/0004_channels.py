"""What people want and refuse, browsers that get push, a tenant's own words, budgets and digests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT = sa.String(length=64)
NAME = sa.String(length=160)
ULID = sa.String(length=26)
TIME = sa.DateTime(timezone=True)
WAITING = "status IN ('planned', 'queued', 'failed', 'sending', 'unknown')"


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(
        name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )


def upgrade() -> None:
    op.create_table(
        "preferences",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("user", NAME, nullable=False),
        sa.Column("wishes", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user", name=op.f("pk_preferences")),
    )
    op.create_table(
        "mutes",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("user", NAME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "type", "user", name=op.f("pk_mutes")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mutes_user", "mutes", ["tenant", "user"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("delivery_id", ULID, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "channel", "address", name=op.f("pk_suppressions")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_suppressions_age", "suppressions", ["tenant", "created_at"], unique=False)
    op.create_table(
        "push_subscriptions",
        sa.Column("id", ULID, nullable=False),
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("user", NAME, nullable=False),
        sa.Column("endpoint_hash", sa.String(length=64), nullable=False),
        sa.Column("subscription", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.String(length=300), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_push_subscriptions")),
        sa.UniqueConstraint("endpoint_hash", name=op.f("uq_push_subscriptions_endpoint_hash")),
    )
    op.create_index("ix_push_subscriptions_user", "push_subscriptions", ["tenant", "user"], unique=False)
    op.create_table(
        "callbacks",
        sa.Column("delivery_id", ULID, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.String(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("delivery_id", "attempt", "step", name=op.f("pk_callbacks")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "templates",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("locale", sa.String(length=35), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("updated_by", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "type", "channel", "locale", name=op.f("pk_templates")),
    )
    op.create_index(op.f("ix_templates_version"), "templates", ["version"], unique=False)
    op.create_table(
        "type_rules",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("type", NAME, nullable=False),
        sa.Column("said", sa.Text(), nullable=True),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("updated_by", NAME, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "type", name=op.f("pk_type_rules")),
    )
    op.create_index(op.f("ix_type_rules_version"), "type_rules", ["version"], unique=False)
    op.create_table(
        "spent",
        sa.Column("tenant", TENANT, nullable=False),
        sa.Column("budget", sa.String(length=255), nullable=False),
        sa.Column("window", TIME, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "budget", "window", name=op.f("pk_spent")),
    )
    op.create_index(op.f("ix_spent_ends_at"), "spent", ["ends_at"], unique=False)
    op.add_column("tenants", sa.Column("muted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("tenants", sa.Column("withdrawn", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("read_marks", sa.Column("changes", sa.BigInteger(), nullable=False, server_default="0"))
    for name in ("embed", "link"):
        op.add_column("outbox", sa.Column(name, sa.Text(), nullable=True))
    op.add_column("deliveries", sa.Column("digest", NAME, nullable=True))
    op.add_column("deliveries", sa.Column("digest_of", ULID, nullable=True))
    op.add_column(
        "deliveries", sa.Column("unless_seen", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for table in ("deliveries", "expansions"):
        op.add_column(table, sa.Column("request", sa.String(length=128), nullable=True))
    op.add_column("event_rooms", sa.Column("type", NAME, nullable=False, server_default=sa.text("''")))
    op.execute(
        "UPDATE event_rooms SET type = (SELECT e.type FROM events AS e "
        'WHERE e.tenant = event_rooms.tenant AND e."offset" = event_rooms."offset") '
        "WHERE EXISTS (SELECT 1 FROM events AS e "
        'WHERE e.tenant = event_rooms.tenant AND e."offset" = event_rooms."offset")'
    )
    digest = ["tenant", "user", "channel", "digest"]
    _partial("ix_deliveries_digest", "deliveries", digest, "digest IS NOT NULL")
    _partial("ix_deliveries_digest_of", "deliveries", ["digest_of"], "digest_of IS NOT NULL")
    escalated = "unless_seen AND status IN ('planned', 'queued', 'failed')"
    _partial("ix_deliveries_escalated", "deliveries", ["tenant", "user", "offset"], escalated)
    _partial("ix_deliveries_provider_id", "deliveries", ["provider_id"], "provider_id IS NOT NULL")
    for name in ("due", "event_id"):
        op.drop_index(f"ix_deliveries_{name}", "deliveries")
    _partial("ix_deliveries_due", "deliveries", ["status", "channel", "due_at"], WAITING)
    collapse = ["tenant", "collapse_key", "offset"]
    _partial("ix_events_collapse", "events", collapse, "collapse_key IS NOT NULL")
    op.add_column("scheduled", sa.Column("collapse_key", NAME, nullable=True))
    _partial("ix_scheduled_collapse", "scheduled", ["tenant", "collapse_key"], "collapse_key IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_scheduled_collapse", "scheduled")
    op.drop_column("scheduled", "collapse_key")
    op.drop_index("ix_events_collapse", "events")
    for name in ("due", "provider_id", "escalated", "digest_of", "digest"):
        op.drop_index(f"ix_deliveries_{name}", "deliveries")
    op.create_index("ix_deliveries_event_id", "deliveries", ["event_id"], unique=False)
    op.create_index("ix_deliveries_due", "deliveries", ["status", "due_at"], unique=False)
    op.drop_column("event_rooms", "type")
    op.drop_column("expansions", "request")
    for name in ("request", "unless_seen", "digest_of", "digest"):
        op.drop_column("deliveries", name)
    op.drop_column("read_marks", "changes")
    for name in ("withdrawn", "muted"):
        op.drop_column("tenants", name)
    for name in ("link", "embed"):
        op.drop_column("outbox", name)
    op.drop_table("callbacks")
    for name in (
        "spent",
        "type_rules",
        "templates",
        "push_subscriptions",
        "suppressions",
        "mutes",
        "preferences",
    ):
        op.drop_table(name)
