"""Billing: from meter readings to invoices, payments and credits."""

import sqlalchemy as sa
from alembic import op

from crm_core.storage.types import Instant, Json

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('billing_plans',
    sa.Column('plan_row', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('plan_id', sa.String(length=64), nullable=False),
    sa.Column('edition', sa.Integer(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('monthly_rent', Json(), nullable=False),
    sa.Column('mono', Json(), nullable=False),
    sa.Column('colour', Json(), nullable=False),
    sa.Column('carry_over_months', sa.Integer(), nullable=False),
    sa.Column('used', sa.Boolean(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('plan_row', name=op.f('pk_billing_plans')),
    sa.UniqueConstraint('tenant', 'plan_id', 'edition', name=op.f('uq_billing_plans_tenant_plan_id_edition')),
    sqlite_autoincrement=True
    )
    op.create_table('invoice_series',
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('series', sa.String(length=32), nullable=False),
    sa.Column('last_number', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('tenant', 'series', name=op.f('pk_invoice_series'))
    )
    op.create_table('invoices',
    sa.Column('invoice_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('invoice_number', sa.String(length=32), nullable=False),
    sa.Column('run_key', sa.String(length=160), nullable=False),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('contract_id', sa.String(length=64), nullable=True),
    sa.Column('period_from', sa.Date(), nullable=False),
    sa.Column('period_to', sa.Date(), nullable=False),
    sa.Column('issued_on', sa.Date(), nullable=False),
    sa.Column('due_on', sa.Date(), nullable=False),
    sa.Column('lines', Json(), nullable=False),
    sa.Column('total', Json(), nullable=False),
    sa.Column('policy_version', sa.String(), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('paid', Json(), nullable=False),
    sa.Column('credited', Json(), nullable=False),
    sa.Column('terms_version', sa.Integer(), nullable=False),
    sa.Column('corrects', sa.String(length=32), nullable=True),
    sa.Column('instalments', Json(), nullable=False),
    sa.Column('usage', Json(), nullable=False),
    sa.Column('balances', Json(), nullable=False),
    sa.Column('trued_up', Json(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_invoices_tenant_customer_id')),
    sa.PrimaryKeyConstraint('invoice_id', name=op.f('pk_invoices')),
    sa.UniqueConstraint('tenant', 'invoice_number', name=op.f('uq_invoices_tenant_invoice_number')),
    sa.UniqueConstraint('tenant', 'run_key', name=op.f('uq_invoices_tenant_run_key')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_invoices_contract', 'invoices', ['tenant', 'contract_id'], unique=False)
    op.create_index('ix_invoices_customer', 'invoices', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_invoices_state', 'invoices', ['tenant', 'state'], unique=False)
    op.create_table('payments',
    sa.Column('payment_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('invoice_number', sa.String(length=32), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('amount', Json(), nullable=False),
    sa.Column('channel', sa.String(length=16), nullable=False),
    sa.Column('external_number', sa.String(length=128), nullable=False),
    sa.Column('paid_at', Instant(timezone=True), nullable=False),
    sa.Column('recorded_by', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('payment_id', name=op.f('pk_payments')),
    sa.UniqueConstraint('tenant', 'channel', 'external_number', name=op.f('uq_payments_tenant_channel_external_number')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_payments_customer', 'payments', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_payments_invoice', 'payments', ['tenant', 'invoice_number'], unique=False)
    op.create_table('account_items',
    sa.Column('item_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('item_key', sa.String(length=160), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('contract_id', sa.String(length=64), nullable=True),
    sa.Column('kind', sa.String(length=16), nullable=False),
    sa.Column('amount', Json(), nullable=False),
    sa.Column('text', sa.String(), nullable=False),
    sa.Column('created_at', Instant(timezone=True), nullable=False),
    sa.Column('device_id', sa.String(length=64), nullable=True),
    sa.Column('rule', sa.String(), nullable=False),
    sa.Column('waiting', sa.Boolean(), nullable=False),
    sa.Column('invoice_number', sa.String(length=32), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('item_id', name=op.f('pk_account_items')),
    sa.UniqueConstraint('tenant', 'item_key', name=op.f('uq_account_items_tenant_item_key')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_account_items_customer', 'account_items', ['tenant', 'customer_id'], unique=False)
    op.create_table('dunning_steps',
    sa.Column('dunning_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('invoice_number', sa.String(length=32), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('reached_on', sa.Date(), nullable=False),
    sa.Column('overdue_days', sa.Integer(), nullable=False),
    sa.Column('outstanding', Json(), nullable=False),
    sa.Column('interest', Json(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('dunning_id', name=op.f('pk_dunning_steps')),
    sa.UniqueConstraint('tenant', 'invoice_number', 'level', name=op.f('uq_dunning_steps_tenant_invoice_number_level')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_dunning_steps_customer', 'dunning_steps', ['tenant', 'customer_id'], unique=False)
    op.create_table('repair_charges',
    sa.Column('charge_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('work_order_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=True),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('device_id', sa.String(length=64), nullable=True),
    sa.Column('contract_id', sa.String(length=64), nullable=True),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('job', Json(), nullable=False),
    sa.Column('price', Json(), nullable=True),
    sa.Column('steps', Json(), nullable=False),
    sa.Column('payment_method', sa.String(length=16), nullable=True),
    sa.Column('invoice_number', sa.String(length=32), nullable=True),
    sa.Column('done_at', Instant(timezone=True), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'customer_id'], ['customers.tenant', 'customers.customer_id'], name=op.f('fk_repair_charges_tenant_customer_id')),
    sa.PrimaryKeyConstraint('charge_id', name=op.f('pk_repair_charges')),
    sa.UniqueConstraint('tenant', 'work_order_id', name=op.f('uq_repair_charges_tenant_work_order_id')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_repair_charges_customer', 'repair_charges', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_repair_charges_device', 'repair_charges', ['tenant', 'device_id'], unique=False)
    op.create_table('invoice_links',
    sa.Column('link_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('token_hash', sa.String(length=64), nullable=False),
    sa.Column('invoice_number', sa.String(length=32), nullable=False),
    sa.Column('created_by', sa.String(), nullable=False),
    sa.Column('expires_at', Instant(timezone=True), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('link_id', name=op.f('pk_invoice_links')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_invoice_links_token_hash')),
    sqlite_autoincrement=True
    )
    op.create_table('meter_statements',
    sa.Column('statement_id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('tenant', sa.String(length=64), nullable=False),
    sa.Column('device_id', sa.String(length=64), nullable=False),
    sa.Column('customer_id', sa.String(length=64), nullable=False),
    sa.Column('read_at', Instant(timezone=True), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('mono', sa.BigInteger(), nullable=True),
    sa.Column('colour', sa.BigInteger(), nullable=True),
    sa.Column('source', sa.String(length=16), nullable=False),
    sa.Column('stated_by', sa.String(), nullable=False),
    sa.Column('stated_at', Instant(timezone=True), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('doubts', Json(), nullable=False),
    sa.Column('photo_sha256', sa.String(length=64), nullable=True),
    sa.Column('photo_type', sa.String(length=32), nullable=True),
    sa.Column('decided_by', sa.String(), nullable=True),
    sa.Column('decided_at', Instant(timezone=True), nullable=True),
    sa.Column('note', sa.String(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['tenant', 'device_id'], ['devices.tenant', 'devices.device_id'], name=op.f('fk_meter_statements_tenant_device_id')),
    sa.PrimaryKeyConstraint('statement_id', name=op.f('pk_meter_statements')),
    sa.UniqueConstraint('tenant', 'device_id', 'read_at', 'total', name=op.f('uq_meter_statements_tenant_device_id_read_at_total')),
    sqlite_autoincrement=True
    )
    op.create_index('ix_meter_statements_customer', 'meter_statements', ['tenant', 'customer_id'], unique=False)
    op.create_index('ix_meter_statements_state', 'meter_statements', ['tenant', 'state'], unique=False)


def downgrade() -> None:
    op.drop_table("meter_statements")
    op.drop_table("invoice_links")
    op.drop_table("repair_charges")
    op.drop_table("dunning_steps")
    op.drop_table("account_items")
    op.drop_table("payments")
    op.drop_table("invoices")
    op.drop_table("invoice_series")
    op.drop_table("billing_plans")
