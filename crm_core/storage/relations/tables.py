"""The tables of relations; natural keys that must hold whatever the code order are unique indexes here."""

from typing import Any

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table, UniqueConstraint, text

from crm_core.storage.schema import ID, NUMBER, metadata, refers, tenant_column
from crm_core.storage.types import Instant, Json


def _numbered(name: str, key: str, *columns: Any, of_customer: bool = True) -> Table:
    """Return a table of numbered, versioned records, mostly of one customer."""
    customer = (Column("customer_id", ID, nullable=False), refers("customers", "customer_id"))
    return Table(
        name,
        metadata,
        Column(key, NUMBER, primary_key=True, autoincrement=True),
        tenant_column(),
        *(customer if of_customer else ()),
        *columns,
        Column("version", Integer, nullable=False),
        *((Index(f"ix_{name}_customer", "tenant", "customer_id"),) if of_customer else ()),
        sqlite_autoincrement=True,
    )


customer_classes = _numbered(
    "customer_classes",
    "class_id",
    Column("axis", String(64), nullable=False),
    Column("value", String(64), nullable=False),
    Column("reasons", Json, nullable=False),
    Column("since", Instant, nullable=False),
    Column("until", Instant),
    Column("candidate", String(64)),
    Column("candidate_since", Instant),
    Column("policy_version", String, nullable=False),
    Index(
        "uq_customer_classes_present",
        "tenant",
        "customer_id",
        "axis",
        unique=True,
        sqlite_where=text("until IS NULL"),
        postgresql_where=text("until IS NULL"),
    ),
)

contacts = _numbered(
    "contacts",
    "contact_id",
    Column("name", String, nullable=False),
    Column("site_id", ID),
    Column("role", String(32), nullable=False),
    Column("phone", String),
    Column("email", String),
    Column("wechat", String),
    Column("channels", Json, nullable=False),
    Column("language", String(16), nullable=False),
    Column("quiet_from", Integer),
    Column("quiet_until", Integer),
    Column("opt_outs", Json, nullable=False),
    Column("primary", Boolean, nullable=False),
    Column("active", Boolean, nullable=False),
    refers("sites", "site_id"),
    Column("primary_of", ID),  # the site, or "" for the customer, while the contact is its primary one
    UniqueConstraint("tenant", "customer_id", "primary_of"),
)

interactions = _numbered(
    "interactions",
    "interaction_id",
    Column("channel", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("recorded_by", String, nullable=False),
    Column("content", String, nullable=False),
    Column("needs", String, nullable=False),
    Column("feedback", String, nullable=False),
    Column("contact_id", NUMBER),
    Column("late", Boolean, nullable=False),
)

tasks = _numbered(
    "tasks",
    "task_id",
    Column("kind", String(32), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("period", String(64), nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("role", String(32), nullable=False),
    Column("owner", String),
    Column("detail", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("done_at", Instant),
    Column("done_by", String),
    Column("outcome", String, nullable=False),
    UniqueConstraint("tenant", "kind", "subject", "period"),
    Index("ix_tasks_state", "tenant", "state", "role", "due_at"),
)

complaints = _numbered(
    "complaints",
    "complaint_id",
    Column("subject", String, nullable=False),
    Column("text", String, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("due_reason", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("state", String(16), nullable=False),
    Column("ticket_id", NUMBER),
    Column("cause", String, nullable=False),
    Column("action", String, nullable=False),
    Column("action_owner", String, nullable=False),
    Column("action_due", Date),
    Column("closed_at", Instant),
    Column("closing_call", String, nullable=False),
)

surveys = _numbered(
    "surveys",
    "survey_id",
    Column("subject", String(64), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("sent_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("satisfaction", Integer),
    Column("contacted_in_time", Boolean),
    Column("fixed_first_time", Boolean),
    Column("comment", String, nullable=False),
    UniqueConstraint("tenant", "customer_id", "subject"),
)

loyalty_entries = _numbered(
    "loyalty_entries",
    "entry_id",
    Column("at", Instant, nullable=False),
    Column("points", Integer, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("evidence", String(128), nullable=False),
    Column("note", String, nullable=False),
    UniqueConstraint("tenant", "reason", "evidence"),
)

coupons = _numbered(
    "coupons",
    "coupon_id",
    Column("origin", String(128), nullable=False),
    Column("amount", Json, nullable=False),
    Column("percent", Json, nullable=False),
    Column("issued_on", Date, nullable=False),
    Column("valid_until", Date, nullable=False),
    Column("redeemed_at", Instant),
    Column("redeemed_on", String),
    UniqueConstraint("tenant", "customer_id", "origin"),
)

file_changes = _numbered(
    "file_changes",
    "change_id",
    Column("proposed_at", Instant, nullable=False),
    Column("proposed_by", String, nullable=False),
    Column("changes", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_at", Instant),
    Column("decided_by", String),
)

trainings = _numbered(
    "trainings",
    "training_id",
    Column("person", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("held_on", Date, nullable=False),
    Column("minutes", Integer, nullable=False),
    Column("recorded_by", String, nullable=False),
    Column("result", String, nullable=False),
    of_customer=False,
)
