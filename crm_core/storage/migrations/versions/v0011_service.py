"""Tickets and work orders: what the service desk needs beyond the first schema."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Json

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

#: What budgets and campaigns count for each new ticket: without these a storm reads the day's tickets again and again.
INDEXES = (
    ("ix_tickets_site", "tickets", ("tenant", "site_id", "raised_at")),
    ("ix_tickets_cause", "tickets", ("tenant", "cause", "raised_at")),
    ("ix_devices_model", "devices", ("tenant", "model_id")),
)


def upgrade() -> None:
    op.add_column("tickets", sa.Column("links", Json(), nullable=False, server_default="[]"))
    op.add_column("contracts", sa.Column("service_terms", Json()))
    for name, table, columns in INDEXES:
        op.create_index(name, table, list(columns))


def downgrade() -> None:
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table)
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_column("links")
    with op.batch_alter_table("contracts") as contracts:
        contracts.drop_column("service_terms")
