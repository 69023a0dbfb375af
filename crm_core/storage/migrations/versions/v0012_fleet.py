"""Customers, sites, contacts and devices: what the rental core needs beyond the first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Json

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


CUSTOMER_COLUMNS: tuple[tuple[str, Any, dict[str, Any]], ...] = (
    ("source", sa.String, {}),
    ("owner", sa.String, {}),
    ("consents", Json, {"nullable": False, "server_default": "[]"}),
    ("company", Json, {}),
    ("person", Json, {}),
    ("price_sensitivity", sa.String, {}),
    ("referred_by", lambda: sa.String(length=64), {}),
    ("registered_on", sa.Date, {}),
    ("review_due_on", sa.Date, {}),
    ("version", sa.Integer, {"nullable": False, "server_default": "1"}),
)


def upgrade() -> None:
    # Plain ALTER TABLE: sites and contracts refer to customers, so that SQLite must not build the table anew.
    for name, kind, options in CUSTOMER_COLUMNS:
        op.add_column("customers", sa.Column(name, kind(), **options))


def downgrade() -> None:
    for name, _, _ in reversed(CUSTOMER_COLUMNS):
        op.drop_column("customers", name)
