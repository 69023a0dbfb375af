"""The tables of trust, and which tables the audit chain watches."""

from typing import Final

from sqlalchemy import Column, Index, PrimaryKeyConstraint, String, Table

from crm_core.storage.schema import ID, NUMBER, metadata, tenant_column
from crm_core.storage.types import Instant

personal_fields: Final = Table(
    "personal_fields",
    metadata,
    tenant_column(),
    Column("subject_kind", String(16)),
    Column("subject_id", ID),
    Column("field", ID),
    Column("key_id", String(16), nullable=False),
    Column("sealed", String, nullable=False),
    Column("mark", String(64)),
    Column("changed_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "subject_kind", "subject_id", "field"),
    Index("ix_personal_fields_mark", "tenant", "subject_kind", "field", "mark"),
    Index("ix_personal_fields_key", "key_id"),
)

audit_events: Final = Table(
    "audit_events",
    metadata,
    tenant_column(),
    Column("number", NUMBER),
    Column("at", Instant, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("object_id", String, nullable=False),
    Column("changed", String, nullable=False),
    Column("before", String(64), nullable=False),
    Column("after", String(64), nullable=False),
    Column("previous", String(64), nullable=False),
    Column("chain", String(64), nullable=False),
    PrimaryKeyConstraint("tenant", "number"),
    Index("ix_audit_events_object", "tenant", "kind", "object_id", "number"),
)

audit_heads: Final = Table(
    "audit_heads",
    metadata,
    tenant_column(),
    Column("number", NUMBER, nullable=False),
    Column("chain", String(64), nullable=False),
    PrimaryKeyConstraint("tenant"),
)

#: Tables whose every change goes into the audit chain: people, money, promises, and what they rest on. Telemetry's
#: own memory (signals, tracks, forecasts, leases) is not watched: it is made anew from readings.
WATCHED: Final = frozenset({
    "customers", "sites", "contracts", "devices", "installed_periods", "technicians", "tickets", "work_orders",
    "users", "access_tokens", "personal_fields", "contacts", "file_changes", "complaints",
    "credit_assessments", "rental_requests", "agreements", "agreement_devices", "billing_plans", "account_items", "invoices",
    "invoice_links", "payments", "dunning_steps", "repair_charges", "estimates", "coupons", "loyalty_entries", "loans",
    "webhooks",
})  # fmt: skip


def watched_tables() -> list[Table]:
    """Return the watched tables of the schema, in a fixed order; all have a tenant."""
    return [table for table in metadata.sorted_tables if table.name in WATCHED]
