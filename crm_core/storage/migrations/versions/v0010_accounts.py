"""People, roles and tokens: what sign-in needs beyond the first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Plain ALTER TABLE: tokens refer to this table, so that SQLite must not build it anew.
    op.add_column("users", sa.Column("customer_id", sa.String(length=64), nullable=True))


def downgrade() -> None:
    op.drop_column("users", "customer_id")
