"""People, roles and tokens: what sign-in needs beyond the first schema."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ALTER TABLE: tokens refer to this table, so that SQLite must not build it anew.
    op.add_column("users", sa.Column("customer_id", sa.String(length=64), nullable=True))
    op.create_index("ix_tickets_changed", "tickets", ["tenant", "changed_at"])
    op.create_table(
        "sign_in_records",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("failures", Json(), nullable=False),
        sa.Column("locked_until", Instant(), nullable=True),
        sa.Column("changed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "subject", name=op.f("pk_sign_in_records")),
    )
    op.create_index("ix_sign_in_records_changed", "sign_in_records", ["changed_at"])
    op.create_table(
        "sign_ins",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name=op.f("pk_sign_ins")),
    )
    op.create_table(
        "sign_in_alarms",
        sa.Column(
            "alarm_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("locked_until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_sign_in_alarms")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sign_in_alarms_tenant", "sign_in_alarms", ["tenant", "alarm_id"])
    op.create_table(
        "stored_answers",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stored_answers")),
    )
    op.create_index("ix_stored_answers_at", "stored_answers", ["at"])


def downgrade() -> None:
    op.drop_table("stored_answers")
    op.drop_table("sign_in_alarms")
    op.drop_table("sign_ins")
    op.drop_table("sign_in_records")
    op.drop_index("ix_tickets_changed", "tickets")
    op.drop_column("users", "customer_id")
