"""Tables of people, tokens, failed sign-ins, alarms and first answers; keys are digests, so that nothing secret is kept."""

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from crm_core.storage.schema import ID, NUMBER, metadata, refers, tenant_column
from crm_core.storage.types import Instant, Json

DIGEST: Final = String(64)

users = Table(
    "users",
    metadata,
    tenant_column(),
    Column("user_id", ID),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("password_hash", String, nullable=False),
    Column("technician_id", ID),
    Column("regions", Json, nullable=False),
    Column("language", String, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("customer_id", ID),
    PrimaryKeyConstraint("tenant", "user_id"),
    UniqueConstraint("tenant", "name"),
)

access_tokens = Table(
    "access_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    tenant_column(),
    Column("user_id", ID, nullable=False),
    Column("purpose", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("name", String, nullable=False),
    Column("scopes", Json, nullable=False),
    refers("users", "user_id"),
    Index("ix_access_tokens_user", "tenant", "user_id"),
)

sign_in_records = Table(
    "sign_in_records",
    metadata,
    Column("kind", String(16), nullable=False),
    Column("subject", DIGEST, nullable=False),
    Column("failures", Json, nullable=False),
    Column("locked_until", Instant),
    Column("changed_at", Instant),  # of the newest failure, to drop old rows
    PrimaryKeyConstraint("kind", "subject"),
    Index("ix_sign_in_records_changed", "changed_at"),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    tenant_column(),
    Column("user_id", ID),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "user_id"),
)

sign_in_alarms = Table(
    "sign_in_alarms",
    metadata,
    Column("alarm_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("kind", String(16), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("address", String(64), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("locked_until", Instant, nullable=False),
    Index("ix_sign_in_alarms_tenant", "tenant", "alarm_id"),
    sqlite_autoincrement=True,
)

stored_answers = Table(
    "stored_answers",
    metadata,
    Column("key", DIGEST, primary_key=True),
    Column("fingerprint", DIGEST, nullable=False),
    Column("at", Instant, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_stored_answers_at", "at"),
)
