"""The tables of notices. Unique keys make each message one, and each step of an escalation told once."""

from sqlalchemy import Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text, text

from crm_core.storage.schema import ID, NUMBER, metadata, tenant_column
from crm_core.storage.types import Instant, Json

notices = Table(
    "notices",
    metadata,
    Column("notice_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("unique_key", String(200), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("receiver_kind", String(16), nullable=False),
    Column("receiver_id", String(64), nullable=False),
    Column("address", String, nullable=False),
    Column("topic", String(64), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("text_key", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("language", String(16), nullable=False),
    Column("arguments", Json, nullable=False),
    Column("payload", Text, nullable=False),
    Column("ordering_key", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", String, nullable=False),
    Column("done_at", Instant),
    Column("claimed_by", String, nullable=False),
    Column("claimed_until", Instant),
    Column("actor", String, nullable=False),
    Index("uq_notices_unique_key", "tenant", "unique_key", unique=True),
    Index(
        "ix_notices_waiting",
        "due_at",
        "notice_id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_notices_order",
        "address",
        "ordering_key",
        "notice_id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_notices_subject", "tenant", "subject", "notice_id"),
    Index("ix_notices_state", "tenant", "state", "notice_id"),
    sqlite_autoincrement=True,
)

receivers = Table(
    "notice_receivers",
    metadata,
    tenant_column(),
    Column("kind", String(16)),
    Column("receiver_id", ID),
    Column("addresses", Json, nullable=False),
    Column("language", String(16), nullable=False),
    Column("time_zone", String, nullable=False),
    Column("quiet_from", Integer, nullable=False),
    Column("quiet_to", Integer, nullable=False),
    Column("muted", Json, nullable=False),
    PrimaryKeyConstraint("tenant", "kind", "receiver_id"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("url", String, nullable=False),
    Column("secret", String, nullable=False),
    Column("events", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("note", String, nullable=False),
    Index("ix_webhooks_tenant", "tenant", "webhook_id"),
    sqlite_autoincrement=True,
)

escalations = Table(
    "escalations",
    metadata,
    tenant_column(),
    Column("ticket_id", NUMBER),
    Column("clock", String(16)),
    Column("step", String(16)),
    Column("reached_at", Instant, nullable=False),
    Column("told_at", Instant, nullable=False),
    Column("told", Json, nullable=False),
    PrimaryKeyConstraint("tenant", "ticket_id", "clock", "step"),
)

escalation_due = Table(
    "escalation_due",
    metadata,
    tenant_column(),
    Column("ticket_id", NUMBER),
    Column("next_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "ticket_id"),
    Index("ix_escalation_due_next", "tenant", "next_at"),
)
