"""Customer relations: classes with reasons, contacts, tasks, complaints, surveys, loyalty."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('trainings',
    sa.Column('training_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('person', sa.String(), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('held_on', sa.Date(), nullable=False),
    sa.Column('minutes', sa.Integer(), nullable=False),
    sa.Column('recorded_by', sa.String(), nullable=False),
    sa.Column('result', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('training_id', name=op.f('pk_trainings')),
    sqlite_autoincrement=True
    )
    op.create_table('complaints',
    sa.Column('complaint_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('subject', sa.String(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('channel', sa.String(length=16), nullable=False),
    sa.Column('raised_at', Instant(), nullable=False),
    sa.Column('due_at', Instant(), nullable=False),
    sa.Column('due_reason', sa.String(), nullable=False),
    sa.Column('owner', sa.String(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('ticket_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('cause', sa.String(), nullable=False),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('action_owner', sa.String(), nullable=False),
    sa.Column('action_due', sa.Date(), nullable=True),
    sa.Column('closed_at', Instant(), nullable=True),
    sa.Column('closing_call', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_complaints_tenant_customer_id')),
    sa.PrimaryKeyConstraint('complaint_id', name=op.f('pk_complaints')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_complaints_customer', 'complaints', ['tenant', 'customer_id'], unique=False)
    op.create_table('coupons',
    sa.Column('coupon_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('origin', sa.String(length=128), nullable=False),
    sa.Column('amount', Json(), nullable=False),
    sa.Column('percent', Json(), nullable=False),
    sa.Column('issued_on', sa.Date(), nullable=False),
    sa.Column('valid_until', sa.Date(), nullable=False),
    sa.Column('redeemed_at', Instant(), nullable=True),
    sa.Column('redeemed_on', sa.String(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_coupons_tenant_customer_id')),
    sa.PrimaryKeyConstraint('coupon_id', name=op.f('pk_coupons')),
    sa.UniqueConstraint('tenant', 'customer_id', 'origin', name=op.f('uq_coupons_tenant_customer_id_origin')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_coupons_customer', 'coupons', ['tenant', 'customer_id'], unique=False)
    op.create_table('customer_classes',
    sa.Column('class_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('axis', sa.String(length=64), nullable=False),
    sa.Column('value', sa.String(length=64), nullable=False),
    sa.Column('reasons', Json(), nullable=False),
    sa.Column('since', Instant(), nullable=False),
    sa.Column('until', Instant(), nullable=True),
    sa.Column('candidate', sa.String(length=64), nullable=True),
    sa.Column('candidate_since', Instant(), nullable=True),
    sa.Column('policy_version', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_customer_classes_tenant_customer_id')),
    sa.PrimaryKeyConstraint('class_id', name=op.f('pk_customer_classes')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_customer_classes_customer', 'customer_classes', ['tenant', 'customer_id'], unique=False)
    op.create_index('uq_customer_classes_present', 'customer_classes', ['tenant', 'customer_id', 'axis'], unique=True, sqlite_where=sa.text('until IS NULL'), postgresql_where=sa.text('until IS NULL'))
    op.create_table('file_changes',
    sa.Column('change_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('proposed_at', Instant(), nullable=False),
    sa.Column('proposed_by', sa.String(), nullable=False),
    sa.Column('changes', Json(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('decided_at', Instant(), nullable=True),
    sa.Column('decided_by', sa.String(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_file_changes_tenant_customer_id')),
    sa.PrimaryKeyConstraint('change_id', name=op.f('pk_file_changes')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_file_changes_customer', 'file_changes', ['tenant', 'customer_id'], unique=False)
    op.create_table('interactions',
    sa.Column('interaction_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('channel', sa.String(length=16), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('recorded_at', Instant(), nullable=False),
    sa.Column('recorded_by', sa.String(), nullable=False),
    sa.Column('content', sa.String(), nullable=False),
    sa.Column('needs', sa.String(), nullable=False),
    sa.Column('feedback', sa.String(), nullable=False),
    sa.Column('contact_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('late', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_interactions_tenant_customer_id')),
    sa.PrimaryKeyConstraint('interaction_id', name=op.f('pk_interactions')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_interactions_customer', 'interactions', ['tenant', 'customer_id'], unique=False)
    op.create_table('loyalty_entries',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('at', Instant(), nullable=False),
    sa.Column('points', sa.Integer(), nullable=False),
    sa.Column('reason', sa.String(length=16), nullable=False),
    sa.Column('evidence', sa.String(length=128), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_loyalty_entries_tenant_customer_id')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_loyalty_entries')),
    sa.UniqueConstraint('tenant', 'reason', 'evidence', name=op.f('uq_loyalty_entries_tenant_reason_evidence')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_loyalty_entries_customer', 'loyalty_entries', ['tenant', 'customer_id'], unique=False)
    op.create_table('surveys',
    sa.Column('survey_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('subject', sa.String(length=64), nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('sent_at', Instant(), nullable=False),
    sa.Column('expires_at', Instant(), nullable=False),
    sa.Column('answered_at', Instant(), nullable=True),
    sa.Column('satisfaction', sa.Integer(), nullable=True),
    sa.Column('contacted_in_time', sa.Boolean(), nullable=True),
    sa.Column('fixed_first_time', sa.Boolean(), nullable=True),
    sa.Column('comment', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_surveys_tenant_customer_id')),
    sa.PrimaryKeyConstraint('survey_id', name=op.f('pk_surveys')),
    sa.UniqueConstraint('tenant', 'customer_id', 'subject', name=op.f('uq_surveys_tenant_customer_id_subject')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_surveys_token_hash')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_surveys_customer', 'surveys', ['tenant', 'customer_id'], unique=False)
    op.create_table('tasks',
    sa.Column('task_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=32), nullable=False),
    sa.Column('subject', sa.String(length=128), nullable=False),
    sa.Column('period', sa.String(length=64), nullable=False),
    sa.Column('due_at', Instant(), nullable=False),
    sa.Column('created_at', Instant(), nullable=False),
    sa.Column('role', sa.String(length=32), nullable=False),
    sa.Column('owner', sa.String(), nullable=True),
    sa.Column('detail', Json(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('done_at', Instant(), nullable=True),
    sa.Column('done_by', sa.String(), nullable=True),
    sa.Column('outcome', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_tasks_tenant_customer_id')),
    sa.PrimaryKeyConstraint('task_id', name=op.f('pk_tasks')),
    sa.UniqueConstraint('tenant', 'kind', 'subject', 'period', name=op.f('uq_tasks_tenant_kind_subject_period')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_tasks_customer', 'tasks', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_tasks_state', 'tasks', ['tenant', 'state', 'role', 'due_at'], unique=False)
    op.create_table('contacts',
    sa.Column('contact_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('site_id', sa.String(length=64), nullable=True),
    sa.Column('role', sa.String(length=32), nullable=False),
    sa.Column('phone', sa.String(), nullable=True),
    sa.Column('email', sa.String(), nullable=True),
    sa.Column('wechat', sa.String(), nullable=True),
    sa.Column('channels', Json(), nullable=False),
    sa.Column('language', sa.String(length=16), nullable=False),
    sa.Column('quiet_from', sa.Integer(), nullable=True),
    sa.Column('quiet_until', sa.Integer(), nullable=True),
    sa.Column('opt_outs', Json(), nullable=False),
    sa.Column('primary', sa.Boolean(), nullable=False),
    sa.Column('active', sa.Boolean(), nullable=False),
    sa.Column('primary_of', sa.String(length=64), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_contacts_tenant_customer_id')),
    sa.ForeignKeyConstraint(['tenant', 'site_id'], ['sites.tenant', 'sites.site_id'], name=op.f('fk_contacts_tenant_site_id')),
    sa.PrimaryKeyConstraint('contact_id', name=op.f('pk_contacts')),
    sa.UniqueConstraint('tenant', 'customer_id', 'primary_of', name=op.f('uq_contacts_tenant_customer_id_primary_of')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_contacts_customer', 'contacts', ['tenant', 'customer_id'], unique=False)


def downgrade() -> None:
    op.drop_table("contacts")
    op.drop_table("tasks")
    op.drop_table("surveys")
    op.drop_table("loyalty_entries")
    op.drop_table("interactions")
    op.drop_table("file_changes")
    op.drop_table("customer_classes")
    op.drop_table("coupons")
    op.drop_table("complaints")
    op.drop_table("trainings")
