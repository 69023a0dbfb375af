"""The tables of credit assessments and rental requests."""

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table

from crm_core.storage.schema import ID, NUMBER, metadata, refers, tenant_column
from crm_core.storage.types import Instant, Json

credit_assessments = Table(
    "credit_assessments",
    metadata,
    Column("assessment_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("customer_id", ID, nullable=False),
    Column("score", Integer, nullable=False),
    Column("credit_class", String(16), nullable=False),
    Column("start_up", Boolean, nullable=False),
    Column("factors", Json, nullable=False),
    Column("deposit_share", Json, nullable=False),
    Column("payment_months", Integer, nullable=False),
    Column("reasons", Json, nullable=False),
    Column("missing", Json, nullable=False),
    Column("assessed_at", Instant, nullable=False),
    Column("assessor", String, nullable=False),
    Column("valid_until", Date, nullable=False),
    Column("policy_version", String, nullable=False),
    Column("note", String, nullable=False),
    Column("version", Integer, nullable=False),
    refers("customers", "customer_id"),
    Index("ix_credit_assessments_customer", "tenant", "customer_id"),
    sqlite_autoincrement=True,
)

rental_requests = Table(
    "rental_requests",
    metadata,
    Column("request_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("customer_id", ID, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("raised_by", String, nullable=False),
    Column("pages_mono", Integer, nullable=False),
    Column("pages_colour", Integer, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("months", Integer, nullable=False),
    Column("needs", Json, nullable=False),
    Column("clock", Json, nullable=False),
    Column("industry", String),
    Column("agreed_on", Date),
    Column("state", String(16), nullable=False),
    Column("proposal", Json),
    Column("contract_id", ID),
    Column("decline_reason", String, nullable=False),
    Column("note", String, nullable=False),
    Column("warnings", Json, nullable=False),
    Column("version", Integer, nullable=False),
    refers("customers", "customer_id"),
    Index("ix_rental_requests_customer", "tenant", "customer_id"),
    Index("ix_rental_requests_state", "tenant", "state"),
    sqlite_autoincrement=True,
)
