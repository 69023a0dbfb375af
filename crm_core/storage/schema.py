"""The tables of the CRM. Each column bears the name of the field that it holds; `migrations` builds them.

Invariants that must hold whatever the code order live here: one open ticket per dedup key, one active work order per
ticket, each signal once, one installed period per device, serials unique among devices that are not retired.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    text,
)

from crm_core.storage.types import Instant, Json

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ID = String(64)
NUMBER = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for INTEGER


def tenant_column() -> Column[str]:
    """Return the column that every table begins with."""
    return Column("tenant", ID, nullable=False)


def refers(table: str, column: str) -> ForeignKeyConstraint:
    """Refer to a row of the same tenant; a null key refers to nothing."""
    return ForeignKeyConstraint(["tenant", column], [f"{table}.tenant", f"{table}.{column}"])


customers = Table(
    "customers",
    metadata,
    tenant_column(),
    Column("customer_id", ID),
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("industry", String),
    Column("contact_name", String),
    Column("phone", String),
    Column("email", String),
    Column("language", String, nullable=False),
    Column("source", String),
    Column("owner", String),
    Column("consents", Json, nullable=False, server_default="[]"),
    Column("company", Json),
    Column("person", Json),
    Column("price_sensitivity", String),
    Column("referred_by", ID),
    Column("registered_on", Date),
    Column("review_due_on", Date),
    Column("version", Integer, nullable=False, server_default="1"),
    PrimaryKeyConstraint("tenant", "customer_id"),
)

sites = Table(
    "sites",
    metadata,
    tenant_column(),
    Column("site_id", ID),
    Column("customer_id", ID, nullable=False),
    Column("name", String, nullable=False),
    Column("address", String, nullable=False),
    Column("region", String, nullable=False),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("time_zone", String, nullable=False),
    Column("access_notes", String, nullable=False),
    PrimaryKeyConstraint("tenant", "site_id"),
    refers("customers", "customer_id"),
)

contracts = Table(
    "contracts",
    metadata,
    tenant_column(),
    Column("contract_id", ID),
    Column("customer_id", ID, nullable=False),
    Column("starts_on", Date, nullable=False),
    Column("ends_on", Date, nullable=False),
    Column("monthly_rent", Json, nullable=False),
    Column("on_site_hours", Integer),
    Column("service_terms", Json),
    PrimaryKeyConstraint("tenant", "contract_id"),
    refers("customers", "customer_id"),
)

devices = Table(
    "devices",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("site_id", ID),
    Column("customer_id", ID),
    Column("contract_id", ID),
    Column("model_id", String),
    Column("vendor", String),
    Column("model_name", String),
    Column("serial", String),
    Column("asset_tag", String),
    Column("owner_state", String, nullable=False),
    Column("transport", String, nullable=False),
    Column("snmp", Json),
    Column("installed_on", Date),
    Column("registered_at", Instant),
    Column("host", String),  # of `snmp`, to find a device by its address
    Column("port", Integer),
    PrimaryKeyConstraint("tenant", "device_id"),
    refers("sites", "site_id"),
    refers("customers", "customer_id"),
    refers("contracts", "contract_id"),
    Index(
        "uq_devices_serial_in_use",
        "tenant",
        "serial",
        unique=True,
        sqlite_where=text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
        postgresql_where=text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
    ),
    Index("ix_devices_address", "tenant", "host", "port"),
    Index("ix_devices_model", "tenant", "model_id"),
)

installed_periods = Table(
    "installed_periods",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("site_id", ID, nullable=False),
    Column("customer_id", ID, nullable=False),
    Column("contract_id", ID),
    Column("from_instant", Instant),
    Column("to_instant", Instant),
    Column("start_count", NUMBER),
    Column("end_count", NUMBER),
    PrimaryKeyConstraint("tenant", "device_id", "from_instant"),
    refers("devices", "device_id"),
    Index(
        "uq_installed_periods_open",
        "tenant",
        "device_id",
        unique=True,
        sqlite_where=text("to_instant IS NULL"),
        postgresql_where=text("to_instant IS NULL"),
    ),
)

technicians = Table(
    "technicians",
    metadata,
    tenant_column(),
    Column("technician_id", ID),
    Column("name", String, nullable=False),
    Column("regions", Json, nullable=False),
    Column("skills", Json, nullable=False),
    Column("phone", String),
    Column("active", Boolean, nullable=False),
    Column("max_jobs_a_day", Integer, nullable=False),
    Column("shift_starts_minutes", Integer),
    Column("shift_ends_minutes", Integer),
    PrimaryKeyConstraint("tenant", "technician_id"),
)

tickets = Table(
    "tickets",
    metadata,
    Column("ticket_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("device_id", ID, nullable=False),
    Column("site_id", ID),
    Column("customer_id", ID),
    Column("cause", String, nullable=False),
    Column("category", String, nullable=False),
    Column("level", String, nullable=False),
    Column("state", String, nullable=False),
    Column("title_key", String, nullable=False),
    Column("detail", Json, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    Column("clocks", Json, nullable=False),
    Column("evidence", Json, nullable=False),
    Column("events", Json, nullable=False),
    Column("code", String),
    Column("policy_version", String, nullable=False),
    Column("links", Json, nullable=False, server_default="[]"),
    Column("version", Integer, nullable=False),
    Column("dedup_key", String, nullable=False),
    Column("is_open", Boolean, nullable=False),
    refers("devices", "device_id"),
    Index(
        "uq_tickets_open_cause",
        "tenant",
        "dedup_key",
        unique=True,
        sqlite_where=text("is_open"),
        postgresql_where=text("is_open"),
    ),
    Index("ix_tickets_device", "tenant", "device_id", "raised_at"),
    Index("ix_tickets_state", "tenant", "state", "ticket_id"),
    Index("ix_tickets_raised", "tenant", "raised_at"),
    Index("ix_tickets_site", "tenant", "site_id", "raised_at"),
    Index("ix_tickets_cause", "tenant", "cause", "raised_at"),
    Index("ix_tickets_changed", "tenant", "changed_at"),
    sqlite_autoincrement=True,
)

work_orders = Table(
    "work_orders",
    metadata,
    Column("work_order_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("device_id", ID, nullable=False),
    Column("site_id", ID),
    Column("customer_id", ID),
    Column("ticket_ids", Json, nullable=False),
    Column("technician_id", ID),
    Column("assigned_reason", String, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("planned_start", Instant),
    Column("parts", Json, nullable=False),
    Column("guide_keys", Json, nullable=False),
    Column("started_at", Instant),
    Column("done_at", Instant),
    Column("outcome", String),
    Column("confirmed_cause", String),
    Column("note", String, nullable=False),
    Column("count_before", NUMBER),
    Column("count_after", NUMBER),
    Column("version", Integer, nullable=False),
    refers("devices", "device_id"),
    refers("technicians", "technician_id"),
    Index("ix_work_orders_technician", "tenant", "technician_id", "state", "work_order_id"),
    Index("ix_work_orders_state", "tenant", "state", "work_order_id"),
    sqlite_autoincrement=True,
)

work_order_tickets = Table(
    "work_order_tickets",
    metadata,
    Column("work_order_id", NUMBER, nullable=False),
    Column("ticket_id", NUMBER, nullable=False),
    Column("active", Boolean, nullable=False),
    PrimaryKeyConstraint("work_order_id", "ticket_id"),
    ForeignKeyConstraint(["work_order_id"], ["work_orders.work_order_id"]),
    ForeignKeyConstraint(["ticket_id"], ["tickets.ticket_id"]),
    Index(
        "uq_work_order_tickets_active",
        "ticket_id",
        unique=True,
        sqlite_where=text("active"),
        postgresql_where=text("active"),
    ),
)

signals = Table(
    "signals",
    metadata,
    Column("signal_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("device_id", ID, nullable=False),
    Column("observed_at", Instant, nullable=False),
    Column("origin", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("conditions", Json, nullable=False),
    Column("unknown", Json, nullable=False),
    Column("processed_at", Instant),
    UniqueConstraint("tenant", "device_id", "origin", "evidence"),
    Index(
        "ix_signals_pending",
        "signal_id",
        sqlite_where=text("processed_at IS NULL"),
        postgresql_where=text("processed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

cause_tracks = Table(
    "cause_tracks",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("cause", String(160)),
    Column("origin", String(16)),
    Column("condition", Json, nullable=False),
    Column("first_seen", Instant, nullable=False),
    Column("last_seen", Instant, nullable=False),
    Column("seen_count", Integer, nullable=False),
    Column("clear_since", Instant),
    Column("clear_count", Integer, nullable=False),
    Column("ticket_id", NUMBER),
    Column("evidence", Json, nullable=False),
    Column("episodes", Json, nullable=False),
    PrimaryKeyConstraint("tenant", "device_id", "cause", "origin"),
)

watermarks = Table(
    "signal_watermarks",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("origin", String(16)),
    Column("observed_at", Instant, nullable=False),
    PrimaryKeyConstraint("tenant", "device_id", "origin"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("kind", String(16), nullable=False),
    Column("subject", String, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("device_ids", Json, nullable=False),
    Column("closed_at", Instant),
    Column("settled_at", Instant),
    Column("suppressed", Integer, nullable=False),
    Column("note", String, nullable=False),
    Column("version", Integer, nullable=False),
    Index(
        "uq_incidents_open",
        "tenant",
        "kind",
        "subject",
        unique=True,
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
    sqlite_autoincrement=True,
)

forecasts = Table(
    "forecasts",
    metadata,
    tenant_column(),
    Column("device_id", ID),
    Column("kind", String(16)),  # supply, life, failure
    Column("subject", String(128)),  # supply index, component, or ''
    Column("p50_days", Float),
    Column("share", Float),  # failure: chance within 14 days; life of the device: used; else null
    Column("made_at", Instant, nullable=False),
    Column("body", Json, nullable=False),
    PrimaryKeyConstraint("tenant", "device_id", "kind", "subject"),
    # Both hold all that figures of whole fleets read, so that no forecast is opened for them.
    Index("ix_forecasts_days", "tenant", "kind", "p50_days", "device_id", "subject"),
    Index(
        "ix_forecasts_share",
        "tenant",
        "device_id",
        "kind",
        "share",
        sqlite_where=text("share IS NOT NULL"),
        postgresql_where=text("share IS NOT NULL"),
    ),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String, nullable=False),
    Column("fencing", NUMBER, nullable=False),
    Column("until", Instant, nullable=False),
)
