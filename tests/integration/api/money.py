"""Contracts and invoices of the API's world: one contract of each tenant, billed for February 2026."""

from datetime import date
from decimal import Decimal

from crm_core.agreements.drafts import Draft
from crm_core.billing.repair_desk import Collected
from crm_core.billing.services import MoneyServices
from crm_core.domain.billing import BillingPlan, Invoice, PageTariff, PaymentMethod
from crm_core.domain.contracts import ContractLine, PriceConsent
from crm_core.domain.identity import ContractId, CustomerId, DeviceId, TenantId
from crm_core.domain.meter_statements import Doubt, MeterStatement, StatementSource, StatementState
from crm_core.ports import Clock, UnitOfWorkFactory, WorkOrderFilter
from tests.integration.api.telemetry import OTHER_TENANT

#: tenant -> contract -> device, and the months billed: the other tenant's numbers go further, so one is foreign.
FIRMS = {
    "default": ({"k-1": "c3525-01", "k-2": "c7773-02"}, ((2026, 2),)),
    OTHER_TENANT: (
        {"k-rival": "rival-01"},
        (*((2025, month) for month in range(4, 13)), (2026, 1), (2026, 2)),
    ),
}


def seed_money(money: MoneyServices, uow_factory: UnitOfWorkFactory, clock: Clock) -> None:
    """Sign the contracts, bill the months, and open a repair charge."""
    for name, (contracts, months) in FIRMS.items():
        tenant = TenantId(name)
        money.plans.publish(
            BillingPlan(
                tenant=tenant,
                plan_id="basic",
                edition=1,
                name="Basic",
                monthly_rent=Decimal(600),
                mono=PageTariff(price=Decimal("0.08"), free_pages=1000),
                colour=PageTariff(price=Decimal("0.5")),
            )
        )
        for contract_id, device_id in contracts.items():
            _contract(money, uow_factory, tenant, contract_id, device_id, clock)
        for year, month in months:
            money.billing.run(tenant, date(year, month, 1))
        for invoice in reversed(_invoices(uow_factory, tenant)):
            money.payments.pay(
                tenant,
                invoice.invoice_number,
                Decimal("1.00"),
                PaymentMethod.TRANSFER,
                f"T-{invoice.invoice_number}",
                actor="manager",
            )
        for device_id in contracts.values():
            _statement(uow_factory, tenant, device_id, clock)
            _charge(money, uow_factory, tenant, device_id)


def _invoices(uow_factory: UnitOfWorkFactory, tenant: TenantId) -> list[Invoice]:
    with uow_factory() as uow:
        return list(uow.billing.invoices.where(tenant))


def _contract(
    money: MoneyServices,
    uow_factory: UnitOfWorkFactory,
    tenant: TenantId,
    contract_id: str,
    device_id: str,
    clock: Clock,
) -> None:
    with uow_factory() as uow:
        customer = uow.devices.get(tenant, DeviceId(device_id)).customer_id
        assert customer is not None
    draft = Draft(
        contract_id=ContractId(contract_id),
        customer_id=CustomerId(customer),
        starts_on=date(2025, 3, 1),
        ends_on=date(2027, 12, 31),
        lines=(ContractLine(line_id="1", plan_id="basic", plan_edition=1, device_value=Decimal(18000)),),
        deposit_share=Decimal("0.30"),
    )
    money.contracts.draft(tenant, draft, actor="manager")
    money.contracts.offer(tenant, contract_id, actor="manager")
    consent = PriceConsent(given_by="Wang", given_at=clock.now(), channel="signature", document="s.pdf")
    money.contracts.sign(tenant, contract_id, consent, actor="manager")
    money.contract_devices.place(tenant, contract_id, "1", DeviceId(device_id), actor="manager")


def _statement(uow_factory: UnitOfWorkFactory, tenant: TenantId, device_id: str, clock: Clock) -> None:
    """Keep a doubtful count of a device, so that there is something to decide."""
    with uow_factory() as uow:
        customer = uow.devices.get(tenant, DeviceId(device_id)).customer_id
        assert customer is not None
        uow.billing.statements.add(
            MeterStatement(
                tenant=tenant,
                device_id=DeviceId(device_id),
                customer_id=customer,
                read_at=clock.now(),
                total=7,
                source=StatementSource.CUSTOMER,
                stated_by="wang",
                stated_at=clock.now(),
                state=StatementState.WAITING,
                doubts=(Doubt.ROLLED_BACK,),
            )
        )
        uow.commit()


def _charge(money: MoneyServices, uow_factory: UnitOfWorkFactory, tenant: TenantId, device_id: str) -> None:
    with uow_factory() as uow:
        orders = uow.work_orders.list(tenant, WorkOrderFilter(device_id=DeviceId(device_id)))
    found = Collected(item="fuser", hours=Decimal("1.5"), cause="user_damage")
    charge = money.repairs.collect(tenant, orders[-1].work_order_id, found, actor="li")
    money.repairs.compute(tenant, charge.charge_id, actor="manager")
