"""Trust: the audit chain, and personal data under lock."""

import sqlalchemy as sa
from alembic import op

import crm_core.storage.types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "personal_fields",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("subject_kind", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.String(length=64), nullable=False),
        sa.Column("field", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("mark", sa.String(length=64), nullable=True),
        sa.Column("changed_at", crm_core.storage.types.Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint(
            "tenant", "subject_kind", "subject_id", "field", name=op.f("pk_personal_fields")
        ),
    )
    op.create_index(
        "ix_personal_fields_mark", "personal_fields", ["tenant", "subject_kind", "field", "mark"]
    )
    op.create_index("ix_personal_fields_key", "personal_fields", ["key_id"])
    op.create_table(
        "audit_events",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("at", crm_core.storage.types.Instant(timezone=True), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("object_id", sa.String(), nullable=False),
        sa.Column("changed", sa.String(), nullable=False),
        sa.Column("before", sa.String(length=64), nullable=False),
        sa.Column("after", sa.String(length=64), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "number", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_object", "audit_events", ["tenant", "kind", "object_id", "number"])
    op.create_table(
        "audit_heads",
        sa.Column("tenant", sa.String(length=64), nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_audit_heads")),
    )
    _refuse_changes()


def _refuse_changes() -> None:
    """Let the database itself refuse to change or remove what stands in the chain."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION drumbeat_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'the audit chain is append-only'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events "
            "FOR EACH ROW EXECUTE FUNCTION drumbeat_append_only()"
        )
        return
    for verb in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_events_no_{verb.lower()} BEFORE {verb} ON audit_events "
            "BEGIN SELECT RAISE(ABORT, 'the audit chain is append-only'); END"
        )


def downgrade() -> None:
    op.drop_table("audit_heads")
    op.drop_table("audit_events")
    op.drop_table("personal_fields")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS drumbeat_append_only() CASCADE")
        op.execute("DROP FUNCTION IF EXISTS drumbeat_audit() CASCADE")
