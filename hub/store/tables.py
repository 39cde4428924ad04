"""Every table, in one place. Portable types; times are UTC; ids are ULID text.

`(tenant, offset)` is an event's place in its tenant's log; the other tables refer to it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes in, aware UTC datetimes out, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Tenant = String(64)
Ulid = String(26)
Name = String(160)

tenants = Table(
    "tenants",
    metadata,
    Column("id", Tenant, primary_key=True),
    Column("epoch", String(16), nullable=False),
    Column("offset", BigInteger, nullable=False, default=0),
    Column("trimmed", BigInteger, nullable=False, default=0),  # the last offset that retention removed
    Column("settings", JSON, nullable=False, default=dict),
    # Somebody has muted something in the app: only then the log must look for whom to leave out.
    Column("muted", Boolean, nullable=False, server_default=false()),
    # How often something has left inboxes other than by `trimmed`: counts from before do not hold any more.
    Column("withdrawn", BigInteger, nullable=False, server_default="0"),
    Column("created_at", UtcDateTime, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("id", Ulid, nullable=False, unique=True),
    Column("type", Name, nullable=False),
    Column("wire", Name, nullable=False),
    Column("title", Text),
    Column("message", Text),
    Column("link", Text),
    Column("data", Text, nullable=False),  # JSON, already encoded
    Column("severity", String(16), nullable=False),
    Column("inbox", Boolean, nullable=False),
    Column("rooms", Text, nullable=False),  # JSON list
    Column("exclude", Text),  # JSON list, or null
    Column("actor", Name),
    Column("collapse_key", Name),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    # What a new event with the same key replaces. Few events have one.
    Index(
        "ix_events_collapse",
        "tenant",
        "collapse_key",
        "offset",
        sqlite_where=text("collapse_key IS NOT NULL"),
        postgresql_where=text("collapse_key IS NOT NULL"),
    ),
    # What the inbox must leave out although its rooms hold it. Few: retention takes them out for good.
    Index(
        "ix_events_expiry",
        "tenant",
        "expires_at",
        sqlite_where=text("inbox AND expires_at IS NOT NULL"),
        postgresql_where=text("inbox AND expires_at IS NOT NULL"),
    ),
)

# Which rooms an event went to. `inbox` and `type` are repeated here so that a page of an inbox, its count and
# its statistics read one index. An excluded room stands as its own row with a leading '-': '-user:7'.
# `shared`: the event went to other rooms too, so whoever counts several rooms may count it more than once.
event_rooms = Table(
    "event_rooms",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("room", Name, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("inbox", Boolean, nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("type", Name, nullable=False, server_default=text("''")),
    Index(
        "ix_event_rooms_shared",
        "tenant",
        "room",
        "offset",
        sqlite_where=text("shared"),
        postgresql_where=text("shared"),
    ),
    sqlite_with_rowid=False,
)

# Notifications that wait for their `sendAt`. The draft is the accepted request, as JSON.
scheduled = Table(
    "scheduled",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant, nullable=False),
    Column("draft", Text, nullable=False),
    Column("send_at", UtcDateTime, nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("collapse_key", Name),
    Index(
        "ix_scheduled_collapse",
        "tenant",
        "collapse_key",
        sqlite_where=text("collapse_key IS NOT NULL"),
        postgresql_where=text("collapse_key IS NOT NULL"),
    ),
)

# What one user did with one notification. `read` null: follow the watermark in read_marks.
receipts = Table(
    "receipts",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("read", Boolean),
    Column("read_at", UtcDateTime),
    Column("seen_at", UtcDateTime),
    Column("archived_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Index("ix_receipts_place", "tenant", "offset"),
    sqlite_with_rowid=False,
)

# "Mark all read": everything up to `offset` is read unless its receipt says otherwise. `changes`: how often
# the user's receipts or this mark were changed.
read_marks = Table(
    "read_marks",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("read_at", UtcDateTime, nullable=False),
    Column("changes", BigInteger, nullable=False, server_default="0"),
)

# What a user's clients have acknowledged: everything up to `offset`.
delivered_marks = Table(
    "delivered_marks",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("delivered_at", UtcDateTime, nullable=False),
)

# Deliveries that are not over, or may not be. Whoever wants their index says it with these very words, beside
# what else is asked: a database does not find out that other words, or bound values, mean no more than these.
WAITING = text("status IN ('planned', 'queued', 'failed', 'sending', 'unknown')")
# The same of escalations that no worker has claimed.
ESCALATED = "unless_seen AND status IN ('planned', 'queued', 'failed')"

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_id", Ulid, nullable=False),
    Column("user", Name, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", Text),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", UtcDateTime),  # null when the delivery is over
    Column("lease_until", UtcDateTime),
    Column("fence", Integer, nullable=False, default=0),
    Column("call_started", UtcDateTime),
    Column("maybe_duplicate", Boolean, nullable=False, default=False),
    Column("provider", String(32)),
    Column("provider_id", Text),
    Column("reason", Text),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # What `attempts` and `fence` were when an operator last retried it: from there patience counts anew.
    Column("past_attempts", Integer, nullable=False, server_default="0"),
    Column("past_fence", Integer, nullable=False, server_default="0"),
    # Deliveries of one person and channel with the same digest leave in one message: whoever is claimed first
    # takes the others along, and they name it here while it is being sent and afterwards.
    Column("digest", Name),
    Column("digest_of", Ulid),
    # Not to be sent once its person has seen or read the notification (escalation).
    Column("unless_seen", Boolean, nullable=False, server_default=false()),
    Column("request", String(128)),  # the X-Request-Id it came of, for the log
    # What waits or is being sent; what is over costs neither room nor time here.
    Index(
        "ix_deliveries_due",
        *("status", "channel", "due_at"),
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    ),
    Index("ix_deliveries_user", "tenant", "user", "offset", "id"),
    Index("ix_deliveries_place", "tenant", "offset", "id"),
    # The dead letters of a tenant, newest first. With the status, or SQLite would take the index above.
    Index(
        "ix_deliveries_dead",
        "tenant",
        "status",
        "offset",
        "id",
        sqlite_where=text("status = 'dead'"),
        postgresql_where=text("status = 'dead'"),
    ),
    # What is not to be sent once its person has seen the notification. Few, and gone when they are over.
    Index(
        "ix_deliveries_escalated",
        *("tenant", "user", "offset"),
        sqlite_where=text(ESCALATED),
        postgresql_where=text(ESCALATED),
    ),
    # What waits for a digest, and what left in one.
    Index(
        "ix_deliveries_digest",
        *("tenant", "user", "channel", "digest"),
        sqlite_where=text("digest IS NOT NULL"),
        postgresql_where=text("digest IS NOT NULL"),
    ),
    Index(
        "ix_deliveries_digest_of",
        "digest_of",
        sqlite_where=text("digest_of IS NOT NULL"),
        postgresql_where=text("digest_of IS NOT NULL"),
    ),
    # By a provider's own name for a message, which its callbacks use.
    Index(
        "ix_deliveries_provider_id",
        "provider_id",
        sqlite_where=text("provider_id IS NOT NULL"),
        postgresql_where=text("provider_id IS NOT NULL"),
    ),
)

attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", Ulid, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("duration_ms", Float),
    Column("provider", String(32)),
    Column("outcome", String(16)),  # sent, temporary, permanent, lost
    Column("detail", Text),
)

# What providers said of a delivery after they took it: each step once for each attempt.
callbacks = Table(
    "callbacks",
    metadata,
    Column("delivery_id", Ulid, primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("step", String(16), primary_key=True),  # a status, or: bounced, complained, unsubscribed
    Column("at", UtcDateTime, nullable=False),  # by the provider's clock
    Column("provider", String(32), nullable=False),
    Column("detail", Text),
    sqlite_with_rowid=False,
)

people = Table(
    "people",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("id", Name, primary_key=True),
    Column("email", String(320)),
    Column("phone", String(32)),
    Column("locale", String(35)),
    Column("timezone", String(64)),
    Column("discord_webhook", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

people_roles = Table(
    "people_roles",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("role", Name, primary_key=True),
    Column("user", Name, primary_key=True),
    Index("ix_people_roles_user", "tenant", "user"),
    sqlite_with_rowid=False,
)

# What a person wants: the JSON of the contract, only what was said. A tenant's defaults are in its settings.
preferences = Table(
    "preferences",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("user", Name, primary_key=True),
    Column("wishes", Text, nullable=False),  # JSON
    Column("updated_at", UtcDateTime, nullable=False),
)

# Who wants nothing in the app of a type, so that a crowd's event can leave them out. '*': of any that may be
# muted, but for those that stand beside it as '!type'. '': whoever has muted something once.
mutes = Table(
    "mutes",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("type", Name, primary_key=True),
    Column("user", Name, primary_key=True),
    Index("ix_mutes_user", "tenant", "user"),
    sqlite_with_rowid=False,
)

# Addresses that get nothing any more. `address` is its SHA-256, hex, of the text without case: what
# bounced or complained need not be readable here.
suppressions = Table(
    "suppressions",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("address", String(64), primary_key=True),
    Column("hint", String(80), nullable=False),  # what an admin sees of it: a***@example.com
    Column("reason", String(32), nullable=False),  # bounced, complained, unsubscribed, gone, manual
    Column("delivery_id", Ulid),
    Column("created_at", UtcDateTime, nullable=False),
    Index("ix_suppressions_age", "tenant", "created_at"),
    sqlite_with_rowid=False,
)

# Browsers that get web push. One endpoint belongs to one user: whoever subscribed it last.
push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant, nullable=False),
    Column("user", Name, nullable=False),
    Column("endpoint_hash", String(64), nullable=False, unique=True),  # SHA-256 of the endpoint, hex
    Column("subscription", Text, nullable=False),  # JSON: endpoint, keys {p256dh, auth}
    Column("user_agent", String(300)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime),
    Index("ix_push_subscriptions_user", "tenant", "user"),
)

# A tenant's own words in place of the ones that come with the hub. `locale` "": for every language. `source`
# "": taken back. `version` follows the order of the commits, so whoever has seen one has seen all before it.
templates = Table(
    "templates",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("type", Name, primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("locale", String(35), primary_key=True),
    Column("source", Text, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Name, nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
)

# What a tenant says of an event type in place of the registry. `said` null: taken back. `version` follows the
# order of the commits, so whoever has seen one has seen all before it.
type_rules = Table(
    "type_rules",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("type", Name, primary_key=True),
    Column("said", Text),  # JSON
    Column("updated_at", UtcDateTime, nullable=False),
    Column("updated_by", Name, nullable=False),
    Column("version", BigInteger, nullable=False, index=True),
)

# How much of a budget is spent: one row for each window in which something was sent.
spent = Table(
    "spent",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("budget", String(255), primary_key=True),
    Column("window", UtcDateTime, primary_key=True),  # its start
    Column("count", Integer, nullable=False),
    Column("ends_at", UtcDateTime, nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant),  # null: the platform
    Column("hash", String(64), nullable=False, unique=True),  # SHA-256 of the secret, hex
    Column("prefix", String(16), nullable=False),  # what may be shown: the first characters
    Column("name", Name),
    Column("scopes", Text, nullable=False),  # space separated
    Column("created_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", Tenant, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("answer", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)

# Role and tenant audiences of outside channels, turned into deliveries chunk by chunk. `after` is the last
# user id that is done, so that a chunk that dies is taken up again.
expansions = Table(
    "expansions",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_id", Ulid, nullable=False),
    Column("room", Name, nullable=False),
    Column("channels", Text, nullable=False),  # space separated
    Column("after", Name, nullable=False, default=""),
    Column("done", Boolean, nullable=False, default=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("request", String(128)),  # as in deliveries
    Index("ix_expansions_place", "tenant", "offset"),
)

# Tokens that are called back before they end. `number` follows the order of the commits, so whoever has
# seen one has seen all before it. `kind`: user, session, jti, or all; of user and all only those that were
# issued up to `before`.
revocations = Table(
    "revocations",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("tenant", Tenant, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", String(255), nullable=False),
    Column("before", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

# What admins did. `tenant` null: to the platform.
audit = Table(
    "audit",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant),
    Column("actor", Name, nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(300)),
    Column("details", Text),  # JSON
    Column("request_id", String(128)),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    Index("ix_audit_tenant", "tenant", "id"),
)

# The development sandbox: what would have been sent, shown at /dev/outbox.
outbox = Table(
    "outbox",
    metadata,
    Column("id", Ulid, primary_key=True),
    Column("tenant", Tenant, nullable=False),
    Column("user", Name, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", Text),
    Column("subject", Text),
    Column("text", Text),
    Column("html", Text),
    Column("embed", Text),  # JSON
    Column("link", Text),
    Column("created_at", UtcDateTime, nullable=False, index=True),
)
