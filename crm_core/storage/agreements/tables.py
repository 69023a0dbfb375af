"""The tables of rental agreements, and which device is promised to which of them."""

from sqlalchemy import Boolean, Column, Date, Index, Integer, String, Table, UniqueConstraint

from crm_core.storage.schema import ID, NUMBER, metadata, refers, tenant_column
from crm_core.storage.types import Json

agreements = Table(
    "agreements",
    metadata,
    Column("agreement_id", NUMBER, primary_key=True, autoincrement=True),
    tenant_column(),
    Column("contract_id", ID, nullable=False),
    Column("customer_id", ID, nullable=False),
    Column("state", String(16), nullable=False),
    Column("terms", Json, nullable=False),
    Column("stays", Json, nullable=False),
    Column("consents", Json, nullable=False),
    Column("events", Json, nullable=False),
    Column("missing", Json, nullable=False),
    Column("assessment_id", ID),
    Column("successor_id", ID),
    Column("end_reason", String, nullable=False),
    Column("ended_on", Date),
    Column("version", Integer, nullable=False),
    refers("contracts", "contract_id"),
    refers("customers", "customer_id"),
    UniqueConstraint("tenant", "contract_id"),
    Index("ix_agreements_customer", "tenant", "customer_id"),
    Index("ix_agreements_state", "tenant", "state"),
    sqlite_autoincrement=True,
)

agreement_devices = Table(
    "agreement_devices",
    metadata,
    tenant_column(),
    Column("device_id", ID, nullable=False),
    Column("agreement_id", NUMBER, nullable=False),
    Column("holding", Boolean, nullable=False),  # the agreement's state keeps the device
    refers("devices", "device_id"),
    UniqueConstraint("agreement_id", "device_id"),
    Index("ix_agreement_devices_device", "tenant", "device_id"),
)
