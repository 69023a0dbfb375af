"""Quality: promises of forecasts and what became of them, findings in the data, nightly outlooks."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Json

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "forecast_promises",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("made_on", sa.Date(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("group", sa.String(length=32), nullable=False),
        sa.Column("device_model", sa.String(), nullable=False),
        sa.Column("p10", sa.Float(), nullable=False),
        sa.Column("p50", sa.Float(), nullable=False),
        sa.Column("p90", sa.Float(), nullable=False),
        sa.Column("resolved_on", sa.Date(), nullable=True),
        sa.Column("outcome", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant", "subject", "device_id", "item", "made_on", name=op.f("pk_forecast_promises")
        ),
    )
    op.create_index("ix_forecast_promises_made", "forecast_promises", ["tenant", "made_on"], unique=False)
    op.create_table(
        "forecast_scores",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("grouping", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("error", sa.Float(), nullable=True),
        sa.Column("bias", sa.Float(), nullable=True),
        sa.Column("coverage", sa.Float(), nullable=True),
        sa.Column("width", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint(
            "tenant", "as_of", "subject", "grouping", "name", name=op.f("pk_forecast_scores")
        ),
    )
    op.create_table(
        "findings",
        sa.Column(
            "finding_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=True),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("first_seen", sa.Date(), nullable=False),
        sa.Column("last_seen", sa.Date(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("reasons", Json(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("seen_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("finding_id", name=op.f("pk_findings")),
        sa.UniqueConstraint("tenant", "kind", "subject", name=op.f("uq_findings_tenant_kind_subject")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_findings_state", "findings", ["tenant", "state", "kind"], unique=False)
    op.create_table(
        "outlooks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("rows", Json(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "kind", name=op.f("pk_outlooks")),
    )


def downgrade() -> None:
    op.drop_table("outlooks")
    op.drop_index("ix_findings_state", table_name="findings")
    op.drop_table("findings")
    op.drop_table("forecast_scores")
    op.drop_index("ix_forecast_promises_made", table_name="forecast_promises")
    op.drop_table("forecast_promises")
