"""The first schema of the CRM: fleet, tickets, work orders, inbox, forecasts, people, leases."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cause_tracks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("cause", sa.String(length=160), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("condition", Json(), nullable=False),
        sa.Column("first_seen", Instant(), nullable=False),
        sa.Column("last_seen", Instant(), nullable=False),
        sa.Column("seen_count", sa.Integer(), nullable=False),
        sa.Column("clear_since", Instant(), nullable=True),
        sa.Column("clear_count", sa.Integer(), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("evidence", Json(), nullable=False),
        sa.Column("episodes", Json(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device_id", "cause", "origin", name=op.f("pk_cause_tracks")),
    )
    op.create_table(
        "customers",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("industry", sa.String(), nullable=True),
        sa.Column("contact_name", sa.String(), nullable=True),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "customer_id", name=op.f("pk_customers")),
    )
    op.create_table(
        "forecasts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("p50_days", sa.Float(), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("made_at", Instant(), nullable=False),
        sa.Column("body", Json(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device_id", "kind", "subject", name=op.f("pk_forecasts")),
    )
    with op.batch_alter_table("forecasts", schema=None) as batch_op:
        batch_op.create_index(
            "ix_forecasts_days", ["tenant", "kind", "p50_days", "device_id", "subject"], unique=False
        )
        batch_op.create_index(
            "ix_forecasts_share",
            ["tenant", "device_id", "kind", "share"],
            unique=False,
            sqlite_where=sa.text("share IS NOT NULL"),
            postgresql_where=sa.text("share IS NOT NULL"),
        )

    op.create_table(
        "incidents",
        sa.Column(
            "incident_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("device_ids", Json(), nullable=False),
        sa.Column("closed_at", Instant(), nullable=True),
        sa.Column("settled_at", Instant(), nullable=True),
        sa.Column("suppressed", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index(
            "uq_incidents_open",
            ["tenant", "kind", "subject"],
            unique=True,
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("fencing", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "signal_watermarks",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("observed_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "device_id", "origin", name=op.f("pk_signal_watermarks")),
    )
    op.create_table(
        "signals",
        sa.Column(
            "signal_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("observed_at", Instant(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("evidence", sa.String(), nullable=False),
        sa.Column("conditions", Json(), nullable=False),
        sa.Column("unknown", Json(), nullable=False),
        sa.Column("processed_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("signal_id", name=op.f("pk_signals")),
        sa.UniqueConstraint(
            "tenant",
            "device_id",
            "origin",
            "evidence",
            name=op.f("uq_signals_tenant_device_id_origin_evidence"),
        ),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("signals", schema=None) as batch_op:
        batch_op.create_index(
            "ix_signals_pending",
            ["signal_id"],
            unique=False,
            sqlite_where=sa.text("processed_at IS NULL"),
            postgresql_where=sa.text("processed_at IS NULL"),
        )

    op.create_table(
        "technicians",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("technician_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("regions", Json(), nullable=False),
        sa.Column("skills", Json(), nullable=False),
        sa.Column("phone", sa.String(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("max_jobs_a_day", sa.Integer(), nullable=False),
        sa.Column("shift_starts_minutes", sa.Integer(), nullable=True),
        sa.Column("shift_ends_minutes", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "technician_id", name=op.f("pk_technicians")),
    )
    op.create_table(
        "users",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("technician_id", sa.String(length=64), nullable=True),
        sa.Column("regions", Json(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("tenant", "name", name=op.f("uq_users_tenant_name")),
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("scopes", Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "user_id"],
            ["users.tenant", "users.user_id"],
            name=op.f("fk_access_tokens_tenant_user_id"),
        ),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_access_tokens")),
    )
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.create_index("ix_access_tokens_user", ["tenant", "user_id"], unique=False)

    op.create_table(
        "contracts",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=False),
        sa.Column("monthly_rent", Json(), nullable=False),
        sa.Column("on_site_hours", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "customer_id"],
            ["customers.tenant", "customers.customer_id"],
            name=op.f("fk_contracts_tenant_customer_id"),
        ),
        sa.PrimaryKeyConstraint("tenant", "contract_id", name=op.f("pk_contracts")),
    )
    op.create_table(
        "sites",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("access_notes", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "customer_id"],
            ["customers.tenant", "customers.customer_id"],
            name=op.f("fk_sites_tenant_customer_id"),
        ),
        sa.PrimaryKeyConstraint("tenant", "site_id", name=op.f("pk_sites")),
    )
    op.create_table(
        "devices",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("contract_id", sa.String(length=64), nullable=True),
        sa.Column("model_id", sa.String(), nullable=True),
        sa.Column("vendor", sa.String(), nullable=True),
        sa.Column("model_name", sa.String(), nullable=True),
        sa.Column("serial", sa.String(), nullable=True),
        sa.Column("asset_tag", sa.String(), nullable=True),
        sa.Column("owner_state", sa.String(), nullable=False),
        sa.Column("transport", sa.String(), nullable=False),
        sa.Column("snmp", Json(), nullable=True),
        sa.Column("installed_on", sa.Date(), nullable=True),
        sa.Column("registered_at", Instant(), nullable=True),
        sa.Column("host", sa.String(), nullable=True),
        sa.Column("port", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "contract_id"],
            ["contracts.tenant", "contracts.contract_id"],
            name=op.f("fk_devices_tenant_contract_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "customer_id"],
            ["customers.tenant", "customers.customer_id"],
            name=op.f("fk_devices_tenant_customer_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "site_id"], ["sites.tenant", "sites.site_id"], name=op.f("fk_devices_tenant_site_id")
        ),
        sa.PrimaryKeyConstraint("tenant", "device_id", name=op.f("pk_devices")),
    )
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.create_index("ix_devices_address", ["tenant", "host", "port"], unique=False)
        batch_op.create_index(
            "uq_devices_serial_in_use",
            ["tenant", "serial"],
            unique=True,
            sqlite_where=sa.text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
            postgresql_where=sa.text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
        )

    op.create_table(
        "installed_periods",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=False),
        sa.Column("customer_id", sa.String(length=64), nullable=False),
        sa.Column("contract_id", sa.String(length=64), nullable=True),
        sa.Column("from_instant", Instant(), nullable=False),
        sa.Column("to_instant", Instant(), nullable=True),
        sa.Column("start_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("end_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant", "device_id"],
            ["devices.tenant", "devices.device_id"],
            name=op.f("fk_installed_periods_tenant_device_id"),
        ),
        sa.PrimaryKeyConstraint("tenant", "device_id", "from_instant", name=op.f("pk_installed_periods")),
    )
    with op.batch_alter_table("installed_periods", schema=None) as batch_op:
        batch_op.create_index(
            "uq_installed_periods_open",
            ["tenant", "device_id"],
            unique=True,
            sqlite_where=sa.text("to_instant IS NULL"),
            postgresql_where=sa.text("to_instant IS NULL"),
        )

    op.create_table(
        "tickets",
        sa.Column(
            "ticket_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("level", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("title_key", sa.String(), nullable=False),
        sa.Column("detail", Json(), nullable=False),
        sa.Column("raised_at", Instant(), nullable=False),
        sa.Column("changed_at", Instant(), nullable=False),
        sa.Column("clocks", Json(), nullable=False),
        sa.Column("evidence", Json(), nullable=False),
        sa.Column("events", Json(), nullable=False),
        sa.Column("code", sa.String(), nullable=True),
        sa.Column("policy_version", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("dedup_key", sa.String(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device_id"],
            ["devices.tenant", "devices.device_id"],
            name=op.f("fk_tickets_tenant_device_id"),
        ),
        sa.PrimaryKeyConstraint("ticket_id", name=op.f("pk_tickets")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.create_index("ix_tickets_device", ["tenant", "device_id", "raised_at"], unique=False)
        batch_op.create_index("ix_tickets_raised", ["tenant", "raised_at"], unique=False)
        batch_op.create_index("ix_tickets_state", ["tenant", "state", "ticket_id"], unique=False)
        batch_op.create_index(
            "uq_tickets_open_cause",
            ["tenant", "dedup_key"],
            unique=True,
            sqlite_where=sa.text("is_open"),
            postgresql_where=sa.text("is_open"),
        )

    op.create_table(
        "work_orders",
        sa.Column(
            "work_order_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("device_id", sa.String(length=64), nullable=False),
        sa.Column("site_id", sa.String(length=64), nullable=True),
        sa.Column("customer_id", sa.String(length=64), nullable=True),
        sa.Column("ticket_ids", Json(), nullable=False),
        sa.Column("technician_id", sa.String(length=64), nullable=True),
        sa.Column("assigned_reason", sa.String(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("planned_start", Instant(), nullable=True),
        sa.Column("parts", Json(), nullable=False),
        sa.Column("guide_keys", Json(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("done_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("confirmed_cause", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("count_before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("count_after", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant", "device_id"],
            ["devices.tenant", "devices.device_id"],
            name=op.f("fk_work_orders_tenant_device_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant", "technician_id"],
            ["technicians.tenant", "technicians.technician_id"],
            name=op.f("fk_work_orders_tenant_technician_id"),
        ),
        sa.PrimaryKeyConstraint("work_order_id", name=op.f("pk_work_orders")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("work_orders", schema=None) as batch_op:
        batch_op.create_index("ix_work_orders_state", ["tenant", "state", "work_order_id"], unique=False)
        batch_op.create_index(
            "ix_work_orders_technician", ["tenant", "technician_id", "state", "work_order_id"], unique=False
        )

    op.create_table(
        "work_order_tickets",
        sa.Column("work_order_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["tickets.ticket_id"], name=op.f("fk_work_order_tickets_ticket_id")
        ),
        sa.ForeignKeyConstraint(
            ["work_order_id"], ["work_orders.work_order_id"], name=op.f("fk_work_order_tickets_work_order_id")
        ),
        sa.PrimaryKeyConstraint("work_order_id", "ticket_id", name=op.f("pk_work_order_tickets")),
    )
    with op.batch_alter_table("work_order_tickets", schema=None) as batch_op:
        batch_op.create_index(
            "uq_work_order_tickets_active",
            ["ticket_id"],
            unique=True,
            sqlite_where=sa.text("active"),
            postgresql_where=sa.text("active"),
        )


def downgrade() -> None:
    with op.batch_alter_table("work_order_tickets", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_work_order_tickets_active", sqlite_where=sa.text("active"), postgresql_where=sa.text("active")
        )

    op.drop_table("work_order_tickets")
    with op.batch_alter_table("work_orders", schema=None) as batch_op:
        batch_op.drop_index("ix_work_orders_technician")
        batch_op.drop_index("ix_work_orders_state")

    op.drop_table("work_orders")
    with op.batch_alter_table("tickets", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_tickets_open_cause", sqlite_where=sa.text("is_open"), postgresql_where=sa.text("is_open")
        )
        batch_op.drop_index("ix_tickets_state")
        batch_op.drop_index("ix_tickets_raised")
        batch_op.drop_index("ix_tickets_device")

    op.drop_table("tickets")
    with op.batch_alter_table("installed_periods", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_installed_periods_open",
            sqlite_where=sa.text("to_instant IS NULL"),
            postgresql_where=sa.text("to_instant IS NULL"),
        )

    op.drop_table("installed_periods")
    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_devices_serial_in_use",
            sqlite_where=sa.text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
            postgresql_where=sa.text("serial IS NOT NULL AND owner_state NOT IN ('retired', 'lost')"),
        )
        batch_op.drop_index("ix_devices_address")

    op.drop_table("devices")
    op.drop_table("sites")
    op.drop_table("contracts")
    with op.batch_alter_table("access_tokens", schema=None) as batch_op:
        batch_op.drop_index("ix_access_tokens_user")

    op.drop_table("access_tokens")
    op.drop_table("users")
    op.drop_table("technicians")
    with op.batch_alter_table("signals", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_signals_pending",
            sqlite_where=sa.text("processed_at IS NULL"),
            postgresql_where=sa.text("processed_at IS NULL"),
        )

    op.drop_table("signals")
    op.drop_table("signal_watermarks")
    op.drop_table("leases")
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_incidents_open",
            sqlite_where=sa.text("closed_at IS NULL"),
            postgresql_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("incidents")
    with op.batch_alter_table("forecasts", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_forecasts_share",
            sqlite_where=sa.text("share IS NOT NULL"),
            postgresql_where=sa.text("share IS NOT NULL"),
        )
        batch_op.drop_index("ix_forecasts_days")

    op.drop_table("forecasts")
    op.drop_table("customers")
    op.drop_table("cause_tracks")
