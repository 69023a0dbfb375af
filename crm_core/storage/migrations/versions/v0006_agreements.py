"""Agreements: credit, contract terms and their life, from the request to the renewal."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('credit_assessments',
    sa.Column('assessment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('score', sa.Integer(), nullable=False),
    sa.Column('credit_class', sa.String(length=16), nullable=False),
    sa.Column('start_up', sa.Boolean(), nullable=False),
    sa.Column('factors', Json(), nullable=False),
    sa.Column('deposit_share', Json(), nullable=False),
    sa.Column('payment_months', sa.Integer(), nullable=False),
    sa.Column('reasons', Json(), nullable=False),
    sa.Column('missing', Json(), nullable=False),
    sa.Column('assessed_at', Instant(), nullable=False),
    sa.Column('assessor', sa.String(), nullable=False),
    sa.Column('valid_until', sa.Date(), nullable=False),
    sa.Column('policy_version', sa.String(), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_credit_assessments_tenant_customer_id')),
    sa.PrimaryKeyConstraint('assessment_id', name=op.f('pk_credit_assessments')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_credit_assessments_customer', 'credit_assessments', ['tenant', 'customer_id'], unique=False)
    op.create_table('rental_requests',
    sa.Column('request_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('raised_at', Instant(), nullable=False),
    sa.Column('raised_by', sa.String(), nullable=False),
    sa.Column('pages_mono', sa.Integer(), nullable=False),
    sa.Column('pages_colour', sa.Integer(), nullable=False),
    sa.Column('quantity', sa.Integer(), nullable=False),
    sa.Column('months', sa.Integer(), nullable=False),
    sa.Column('needs', Json(), nullable=False),
    sa.Column('clock', Json(), nullable=False),
    sa.Column('industry', sa.String(), nullable=True),
    sa.Column('agreed_on', sa.Date(), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('proposal', Json(), nullable=True),
    sa.Column('contract_id', sa.String(length=64), nullable=True),
    sa.Column('decline_reason', sa.String(), nullable=False),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('warnings', Json(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_rental_requests_tenant_customer_id')),
    sa.PrimaryKeyConstraint('request_id', name=op.f('pk_rental_requests')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_rental_requests_customer', 'rental_requests', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_rental_requests_state', 'rental_requests', ['tenant', 'state'], unique=False)
    op.create_table('agreements',
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('contract_id', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('terms', Json(), nullable=False),
    sa.Column('stays', Json(), nullable=False),
    sa.Column('consents', Json(), nullable=False),
    sa.Column('events', Json(), nullable=False),
    sa.Column('missing', Json(), nullable=False),
    sa.Column('assessment_id', sa.String(length=64), nullable=True),
    sa.Column('successor_id', sa.String(length=64), nullable=True),
    sa.Column('end_reason', sa.String(), nullable=False),
    sa.Column('ended_on', sa.Date(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'contract_id'], ['contracts.tenant', 'contracts.contract_id'], name=op.f('fk_agreements_tenant_contract_id')),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_agreements_tenant_customer_id')),
    sa.PrimaryKeyConstraint('agreement_id', name=op.f('pk_agreements')),
    sa.UniqueConstraint('tenant', 'contract_id', name=op.f('uq_agreements_tenant_contract_id')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_agreements_customer', 'agreements', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_agreements_state', 'agreements', ['tenant', 'state'], unique=False)
    op.create_table('agreement_devices',
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('device_id', sa.String(length=64), nullable=False),
    sa.Column('agreement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('holding', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'device_id'], ['devices.tenant', 'devices.device_id'], name=op.f('fk_agreement_devices_tenant_device_id')),
    sa.UniqueConstraint('agreement_id', 'device_id', name=op.f('uq_agreement_devices_agreement_id_device_id'))
    )
    op.create_index('ix_agreement_devices_device', 'agreement_devices', ['tenant', 'device_id'], unique=False)


def downgrade() -> None:
    op.drop_table("agreement_devices")
    op.drop_table("agreements")
    op.drop_table("rental_requests")
    op.drop_table("credit_assessments")
