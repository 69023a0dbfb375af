"""The tables of quality."""

from sqlalchemy import (
    Column,
    Date,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from crm_core.storage.schema import ID, NUMBER, metadata, tenant_column
from crm_core.storage.types import Json

promises = Table(
    "forecast_promises",
    metadata,
    tenant_column(),
    Column("subject", String(16), nullable=False),
    Column("device_id", ID, nullable=False),
    Column("item", String(64), nullable=False),
    Column("made_on", Date, nullable=False),
    Column("model", String, nullable=False),
    Column("group", String(32), nullable=False),
    Column("device_model", String, nullable=False),
    Column("p10", Float, nullable=False),
    Column("p50", Float, nullable=False),
    Column("p90", Float, nullable=False),
    Column("resolved_on", Date),
    Column("outcome", Float),
    PrimaryKeyConstraint("tenant", "subject", "device_id", "item", "made_on"),
    Index("ix_forecast_promises_made", "tenant", "made_on"),
)

scores = Table(
    "forecast_scores",
    metadata,
    tenant_column(),
    Column("as_of", Date, nullable=False),
    Column("subject", String(16), nullable=False),
    Column("grouping", String(16), nullable=False),
    Column("name", String, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("error", Float),
    Column("bias", Float),
    Column("coverage", Float),
    Column("width", Float),
    PrimaryKeyConstraint("tenant", "as_of", "subject", "grouping", "name"),
)

findings = Table(
    "findings",
    metadata,
    Column("finding_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("kind", String(32), nullable=False),
    Column("subject", String, nullable=False),
    Column("device_id", ID),
    Column("customer_id", ID),
    Column("first_seen", Date, nullable=False),
    Column("last_seen", Date, nullable=False),
    Column("score", Float, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("seen_by", String, nullable=False),
    Column("note", String, nullable=False),
    Column("version", Integer, nullable=False),
    UniqueConstraint("tenant", "kind", "subject"),
    Index("ix_findings_state", "tenant", "state", "kind"),
    sqlite_autoincrement=True,
)

outlooks = Table(
    "outlooks",
    metadata,
    tenant_column(),
    Column("kind", String(16), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("rows", Json, nullable=False),
    PrimaryKeyConstraint("tenant", "kind"),
)
