"""Stock: where cartridges, parts and stand-by machines are, and how they got there."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stock_items",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("colour", sa.String(length=32), nullable=True),
        sa.Column("part_number", sa.String(), nullable=True),
        sa.Column("unit_cost", Json(), nullable=False),
        sa.Column("model_ids", Json(), nullable=False),
        sa.Column("reorder", Json(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "item_id", name=op.f("pk_stock_items")),
    )
    op.create_table(
        "stock_places",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=96), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "place", name=op.f("pk_stock_places")),
    )
    op.create_table(
        "stock_moves",
        sa.Column(
            "move_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=96), nullable=False),
        sa.Column("target", sa.String(length=96), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("reason", sa.String(length=16), nullable=False),
        sa.Column("effect", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("unit_cost", Json(), nullable=False),
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("serial", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("move_id", name=op.f("pk_stock_moves")),
        sa.UniqueConstraint("tenant", "effect", name=op.f("uq_stock_moves_tenant_effect")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("stock_moves", schema=None) as batch_op:
        batch_op.create_index("ix_stock_moves_item", ["tenant", "item_id", "move_id"], unique=False)
        batch_op.create_index("ix_stock_moves_order", ["tenant", "work_order_id"], unique=False)

    op.create_table(
        "stock_balances",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=96), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reserved", sa.Integer(), nullable=False),
        sa.Column("may_owe", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "reserved >= 0 AND (may_owe OR quantity >= reserved)", name="ck_stock_balances_solvent"
        ),
        sa.PrimaryKeyConstraint("tenant", "item_id", "place", name=op.f("pk_stock_balances")),
    )
    with op.batch_alter_table("stock_balances", schema=None) as batch_op:
        batch_op.create_index("ix_stock_balances_place", ["tenant", "place"], unique=False)

    op.create_table(
        "stock_reservations",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("item_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=96), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "holder", "item_id", "place", name=op.f("pk_stock_reservations")),
    )
    with op.batch_alter_table("stock_reservations", schema=None) as batch_op:
        batch_op.create_index("ix_stock_reservations_place", ["tenant", "place", "item_id"], unique=False)

    op.create_table(
        "cartridges",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("supply_index", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=True),
        sa.Column("colour", sa.String(), nullable=True),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("found_at", Instant(), nullable=False),
        sa.Column("installed_at", Instant(), nullable=True),
        sa.Column("serial", sa.String(), nullable=True),
        sa.Column("item_id", sa.String(length=64), nullable=True),
        sa.Column("first_percent", sa.Float(), nullable=True),
        sa.Column("last_percent", sa.Float(), nullable=True),
        sa.Column("last_at", Instant(), nullable=False),
        sa.Column("last_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("pages", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("smallest_step", sa.Float(), nullable=True),
        sa.Column("low_since", Instant(), nullable=True),
        sa.Column("quiet_since", Instant(), nullable=True),
        sa.Column("quiet_looks", sa.Integer(), nullable=False),
        sa.Column("quiet_pages", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pending", Json(), nullable=True),
        sa.Column("came_from", Json(), nullable=True),
        sa.Column("wrong_slot", sa.Boolean(), nullable=False),
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("removed_at", Instant(), nullable=True),
        sa.Column("residual_percent", sa.Float(), nullable=True),
        sa.Column("residual_margin", sa.Float(), nullable=True),
        sa.Column("evidence", sa.String(length=16), nullable=True),
        sa.Column("early", sa.Boolean(), nullable=False),
        sa.Column("loss", Json(), nullable=True),
        sa.Column("taken_back", sa.Boolean(), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "device_id", "supply_index", "number", name=op.f("pk_cartridges")),
    )
    with op.batch_alter_table("cartridges", schema=None) as batch_op:
        batch_op.create_index("ix_cartridges_customer", ["tenant", "customer_id", "removed_at"], unique=False)
        batch_op.create_index("ix_cartridges_removed", ["tenant", "removed_at"], unique=False)
        batch_op.create_index("ix_cartridges_serial", ["tenant", "serial"], unique=False)
        batch_op.create_index(
            "uq_cartridges_in_slot",
            ["tenant", "device_id", "supply_index"],
            unique=True,
            sqlite_where=sa.text("removed_at IS NULL"),
            postgresql_where=sa.text("removed_at IS NULL"),
        )

    op.create_table(
        "swap_marks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device_id", name=op.f("pk_swap_marks")),
    )
    op.create_table(
        "stand_bys",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("place", sa.String(length=96), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device_id", name=op.f("pk_stand_bys")),
    )
    op.create_table(
        "loans",
        sa.Column(
            "loan_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("for_device", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reserved_at", Instant(), nullable=False),
        sa.Column("promised_by", Instant(), nullable=False),
        sa.Column("loyalty", sa.String(length=16), nullable=False),
        sa.Column("distance_km", sa.Float(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("out_at", Instant(), nullable=True),
        sa.Column("back_at", Instant(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("loan_id", name=op.f("pk_loans")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("loans", schema=None) as batch_op:
        batch_op.create_index("ix_loans_state", ["tenant", "state", "loan_id"], unique=False)
        batch_op.create_index(
            "uq_loans_device",
            ["tenant", "device_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('reserved', 'out')"),
            postgresql_where=sa.text("state IN ('reserved', 'out')"),
        )
        batch_op.create_index(
            "uq_loans_ticket",
            ["tenant", "ticket_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('reserved', 'out')"),
            postgresql_where=sa.text("state IN ('reserved', 'out')"),
        )

    op.create_table(
        "down_times",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("contract_id", sa.String(length=64), nullable=True),
        sa.Column("since", Instant(), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.Column("lent_seconds", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("counted_seconds", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "ticket_id", name=op.f("pk_down_times")),
    )
    with op.batch_alter_table("down_times", schema=None) as batch_op:
        batch_op.create_index("ix_down_times_until", ["tenant", "until"], unique=False)


def downgrade() -> None:
    op.drop_table("down_times")
    op.drop_table("loans")
    op.drop_table("stand_bys")
    op.drop_table("swap_marks")
    op.drop_table("cartridges")
    op.drop_table("stock_reservations")
    op.drop_table("stock_balances")
    op.drop_table("stock_moves")
    op.drop_table("stock_places")
    op.drop_table("stock_items")
