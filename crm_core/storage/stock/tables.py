"""The tables of stock, with what must hold whatever the code order.

Each effect once, no place that owes, one cartridge in a slot, one open loan for a ticket and for a machine.
"""

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from crm_core.storage.schema import ID, NUMBER, metadata, tenant_column
from crm_core.storage.types import Instant, Json

PLACE: Final = String(96)

stock_items = Table(
    "stock_items",
    metadata,
    tenant_column(),
    Column("item_id", ID),
    Column("name", String, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("colour", String(32)),
    Column("part_number", String),
    Column("unit_cost", Json, nullable=False),
    Column("model_ids", Json, nullable=False),
    Column("reorder", Json, nullable=False),
    Column("active", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "item_id"),
)

stock_places = Table(
    "stock_places",
    metadata,
    tenant_column(),
    Column("place", PLACE),
    Column("name", String, nullable=False),
    Column("region", String, nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    PrimaryKeyConstraint("tenant", "place"),
)

stock_moves = Table(
    "stock_moves",
    metadata,
    Column("move_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("item_id", ID, nullable=False),
    Column("source", PLACE, nullable=False),
    Column("target", PLACE, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    Column("reason", String(16), nullable=False),
    Column("effect", String(200), nullable=False),
    Column("actor", String, nullable=False),
    Column("unit_cost", Json, nullable=False),
    Column("work_order_id", NUMBER),
    Column("serial", String),
    Column("note", String, nullable=False),
    UniqueConstraint("tenant", "effect"),
    Index("ix_stock_moves_item", "tenant", "item_id", "move_id"),
    Index("ix_stock_moves_order", "tenant", "work_order_id"),
    sqlite_autoincrement=True,
)

stock_balances = Table(
    "stock_balances",
    metadata,
    tenant_column(),
    Column("item_id", ID),
    Column("place", PLACE),
    Column("quantity", Integer, nullable=False),
    Column("reserved", Integer, nullable=False),
    Column("may_owe", Boolean, nullable=False),
    PrimaryKeyConstraint("tenant", "item_id", "place"),
    CheckConstraint("reserved >= 0 AND (may_owe OR quantity >= reserved)", name="ck_stock_balances_solvent"),
    Index("ix_stock_balances_place", "tenant", "place"),
)

stock_reservations = Table(
    "stock_reservations",
    metadata,
    tenant_column(),
    Column("holder", String(200)),
    Column("item_id", ID),
    Column("place", PLACE),
    Column("quantity", Integer, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "holder", "item_id", "place"),
    Index("ix_stock_reservations_place", "tenant", "place", "item_id"),
)

cartridges = Table(
    "cartridges",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("supply_index", String(64)),
    Column("number", Integer),
    Column("kind", String),
    Column("colour", String),
    Column("origin", String(16), nullable=False),
    Column("found_at", Instant, nullable=False),
    Column("installed_at", Instant),
    Column("serial", String),
    Column("item_id", ID),
    Column("first_percent", Float),
    Column("last_percent", Float),
    Column("last_at", Instant, nullable=False),
    Column("last_count", NUMBER),
    Column("pages", NUMBER, nullable=False),
    Column("smallest_step", Float),
    Column("low_since", Instant),
    Column("quiet_since", Instant),
    Column("quiet_looks", Integer, nullable=False),
    Column("quiet_pages", NUMBER, nullable=False),
    Column("pending", Json),
    Column("came_from", Json),
    Column("wrong_slot", Boolean, nullable=False),
    Column("work_order_id", NUMBER),
    Column("removed_at", Instant),
    Column("residual_percent", Float),
    Column("residual_margin", Float),
    Column("evidence", String(16)),
    Column("early", Boolean, nullable=False),
    Column("loss", Json),
    Column("taken_back", Boolean, nullable=False),
    Column("customer_id", ID),
    Column("site_id", ID),
    PrimaryKeyConstraint("tenant", "device_id", "supply_index", "number"),
    Index(
        "uq_cartridges_in_slot",
        "tenant",
        "device_id",
        "supply_index",
        unique=True,
        sqlite_where=text("removed_at IS NULL"),
        postgresql_where=text("removed_at IS NULL"),
    ),
    Index("ix_cartridges_removed", "tenant", "removed_at"),
    Index("ix_cartridges_customer", "tenant", "customer_id", "removed_at"),
    Index("ix_cartridges_serial", "tenant", "serial"),
)

swap_marks = Table(
    "swap_marks",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "device_id"),
)

stand_bys = Table(
    "stand_bys",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("place", PLACE, nullable=False),
    PrimaryKeyConstraint("tenant", "device_id"),
)

_OPEN = text("state IN ('reserved', 'out')")

loans = Table(
    "loans",
    metadata,
    Column("loan_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("ticket_id", NUMBER, nullable=False),
    Column("device_id", ID, nullable=False),
    Column("for_device", ID, nullable=False),
    Column("customer_id", ID),
    Column("site_id", ID),
    Column("state", String(16), nullable=False),
    Column("reserved_at", Instant, nullable=False),
    Column("promised_by", Instant, nullable=False),
    Column("loyalty", String(16), nullable=False),
    Column("distance_km", Float, nullable=False),
    Column("reason", String, nullable=False),
    Column("out_at", Instant),
    Column("back_at", Instant),
    Column("version", Integer, nullable=False),
    Index("uq_loans_ticket", "tenant", "ticket_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("uq_loans_device", "tenant", "device_id", unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_loans_state", "tenant", "state", "loan_id"),
    sqlite_autoincrement=True,
)

down_times = Table(
    "down_times",
    metadata,
    tenant_column(),
    Column("ticket_id", NUMBER),
    Column("device_id", ID, nullable=False),
    Column("customer_id", ID),
    Column("contract_id", ID),
    Column("since", Instant, nullable=False),
    Column("until", Instant, nullable=False),
    Column("lent_seconds", NUMBER, nullable=False),
    Column("counted_seconds", NUMBER, nullable=False),
    PrimaryKeyConstraint("tenant", "ticket_id"),
    Index("ix_down_times_until", "tenant", "until"),
)
