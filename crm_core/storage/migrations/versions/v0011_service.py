"""Tickets and work orders: what the service desk needs beyond the first schema."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Json

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tickets", sa.Column("links", Json(), nullable=False, server_default="[]"))
    op.add_column("contracts", sa.Column("service_terms", Json()))


def downgrade() -> None:
    with op.batch_alter_table("tickets") as tickets:
        tickets.drop_column("links")
    with op.batch_alter_table("contracts") as contracts:
        contracts.drop_column("service_terms")
