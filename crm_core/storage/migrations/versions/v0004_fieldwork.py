"""Field work: preventive maintenance, what a visit leaves behind as evidence, repair reports and estimates."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "maintenance_plans",
        sa.Column(
            "plan_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("every_pages", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("every_days", sa.Integer(), nullable=True),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("last_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("parts", Json(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device_id"],
            ["devices.tenant", "devices.device_id"],
            name=op.f("fk_maintenance_plans_tenant_device_id"),
        ),
        sa.PrimaryKeyConstraint("plan_id", name=op.f("pk_maintenance_plans")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_maintenance_plans_name", "maintenance_plans", ["tenant", "device_id", "name"], unique=True
    )
    op.create_table(
        "attachments",
        sa.Column(
            "attachment_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("media_type", sa.String(length=32), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("added_at", Instant(), nullable=False),
        sa.Column("added_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_orders.work_order_id"], name=op.f("fk_attachments_work_order_id")
        ),
        sa.PrimaryKeyConstraint("attachment_id", name=op.f("pk_attachments")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_attachments_content", "attachments", ["tenant", "work_order_id", "sha256"], unique=True
    )
    op.create_table(
        "estimates",
        sa.Column(
            "estimate_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("item", sa.String(length=64), nullable=False),
        sa.Column("low", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("high", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("basis", sa.Integer(), nullable=False),
        sa.Column("price", Json(), nullable=False),
        sa.Column("offered_at", Instant(), nullable=False),
        sa.Column("offered_by", sa.String(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payment_method", sa.String(length=16), nullable=True),
        sa.Column("decided_at", Instant(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["ticket_id"], ["tickets.ticket_id"], name=op.f("fk_estimates_ticket_id")),
        sa.PrimaryKeyConstraint("estimate_id", name=op.f("pk_estimates")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_estimates_ticket", "estimates", ["tenant", "ticket_id", "estimate_id"], unique=False)
    op.create_table(
        "visits",
        sa.Column(
            "visit_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("checks", Json(), nullable=False),
        sa.Column("parts", Json(), nullable=False),
        sa.Column("labour_minutes", sa.Integer(), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("item", sa.String(length=64), nullable=True),
        sa.Column("empties", Json(), nullable=False),
        sa.Column("trained", Json(), nullable=False),
        sa.Column("signed_by", sa.String(), nullable=False),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("job", Json(), nullable=True),
        sa.Column("price", Json(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_orders.work_order_id"], name=op.f("fk_visits_work_order_id")
        ),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_visits")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_visits_device", "visits", ["tenant", "device_id", "visit_id"], unique=False)
    op.create_index("ix_visits_item", "visits", ["tenant", "item", "visit_id"], unique=False)
    op.create_index("uq_visits_order", "visits", ["tenant", "work_order_id"], unique=True)
    op.create_table(
        "absences",
        sa.Column(
            "absence_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("technician_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("starts", Instant(), nullable=False),
        sa.Column("ends", Instant(), nullable=False),
        sa.Column("noted_by", sa.String(), nullable=False),
        sa.Column("noted_at", Instant(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("taken_back", sa.Boolean(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "technician_id"],
            ["technicians.tenant", "technicians.technician_id"],
            name=op.f("fk_absences_tenant_technician_id"),
        ),
        sa.PrimaryKeyConstraint("absence_id", name=op.f("pk_absences")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_absences_ends", "absences", ["tenant", "ends"], unique=False)


def downgrade() -> None:
    op.drop_table("absences")
    op.drop_table("visits")
    op.drop_table("estimates")
    op.drop_table("attachments")
    op.drop_table("maintenance_plans")
