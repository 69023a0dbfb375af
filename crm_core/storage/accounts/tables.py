"""Tables of failed sign-ins, alarms and first answers; keys are digests, so that nothing secret is kept."""

from typing import Final

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from crm_core.storage.schema import NUMBER, metadata, tenant_column
from crm_core.storage.types import Instant, Json

DIGEST: Final = String(64)

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
