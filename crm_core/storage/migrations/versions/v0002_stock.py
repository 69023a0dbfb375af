"""Stock: where cartridges, parts and stand-by machines are, and how they got there."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
