"""The demonstration's money: its contracts signed, its months billed as they end, its customers paying in their way."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from config.demo.firm import Firm
from config.wiring.billing import billing_round
from config.wiring.core import Core
from crm_core.agreements.drafts import Draft
from crm_core.billing.services import MoneyServices
from crm_core.domain.billing import BillingPlan, PageTariff, PaymentMethod, PriceStep
from crm_core.domain.contracts import ContractLine, PriceConsent
from crm_core.domain.fleet import Contract, Device

PLAN: Final = "office"
_CLAUSES: Final = (
    "《民法典》第七百零三条：租赁物的使用与收益 (Civil Code 703: lease)",
    "《民法典》第七百二十一条：按期支付租金 (Civil Code 721: rent when it is due)",
    "任何涨价须经双方同意 (no price rise without both sides' consent)",
    "设备遗失按折旧后的价值赔偿 (loss at depreciated value)",
)
_LATE_EVERY: Final = 5  # every fifth customer pays late
_METHODS: Final = (PaymentMethod.TRANSFER, PaymentMethod.WECHAT_PAY, PaymentMethod.ALIPAY, PaymentMethod.CARD)


def sign_contracts(core: Core, money: MoneyServices, firm: Firm) -> None:
    """Give each contract of the demonstration its agreement: a plan, a line for each device, the customer's consent."""
    money.plans.publish(_plan(core))
    devices: dict[str, list[Device]] = {}
    for device in firm.world.devices:
        if device.contract_id is not None:
            devices.setdefault(device.contract_id, []).append(device)
    for contract in firm.world.contracts:
        if contract.contract_id in devices:
            _sign(core, money, contract, devices[contract.contract_id])


def _sign(core: Core, money: MoneyServices, contract: Contract, devices: list[Device]) -> None:
    rents = _shares(contract.monthly_rent.amount, len(devices))
    lines = tuple(
        ContractLine(
            line_id=f"{number:02d}",
            plan_id=PLAN,
            plan_edition=1,
            model_id=device.model_id,
            monthly_rent=rent,
            device_value=_value(core, device),
        )
        for number, (device, rent) in enumerate(zip(devices, rents, strict=True), 1)
    )
    draft = Draft(
        contract_id=contract.contract_id,
        customer_id=contract.customer_id,
        starts_on=contract.starts_on,
        ends_on=contract.ends_on,
        lines=lines,
        deposit_share=Decimal("0.30"),
        clauses=_CLAUSES,
        on_site_hours=contract.on_site_hours,
    )
    money.contracts.draft(core.tenant, draft, actor="demo")
    money.contracts.offer(core.tenant, contract.contract_id, actor="demo")
    consent = PriceConsent(
        given_by=f"{contract.customer_id}",
        given_at=core.clock.now(),
        channel="signature",
        document=f"{contract.contract_id}.pdf",
    )
    money.contracts.sign(core.tenant, contract.contract_id, consent, actor="demo")
    for line, device in zip(lines, devices, strict=True):
        money.contract_devices.place(
            core.tenant, contract.contract_id, line.line_id, device.device_id, actor="demo"
        )


def _plan(core: Core) -> BillingPlan:
    """Return the plan of all contracts: the documents' page prices and package, cheaper beyond 5,000 pages."""
    policy = core.policy.billing
    return BillingPlan(
        tenant=core.tenant,
        plan_id=PLAN,
        edition=1,
        name="办公套餐 Office",
        monthly_rent=Decimal(0),
        mono=PageTariff(
            price=policy.package_overage,
            free_pages=policy.package_free_pages,
            steps=(PriceStep(from_page=5001, price=policy.package_overage * Decimal("0.75")),),
        ),
        colour=PageTariff(price=policy.page_colour),
        carry_over_months=policy.meters.pool_carry_over_months,
    )


def _shares(total: Decimal, number: int) -> list[Decimal]:
    """Return rents that sum to the contract's, to the cent."""
    cents = int(total * 100)
    return [Decimal(cents // number + (place < cents % number)) / 100 for place in range(number)]


def _value(core: Core, device: Device) -> Decimal:
    model = core.catalogue.find(device.model_id)
    price = None if model is None else model.list_price
    return Decimal(price) if price else Decimal(12000)


@dataclass(slots=True)
class MoneyDays:
    """What happens to money at the end of each day of the history."""

    core: Core
    money: MoneyServices

    def end_of_day(self, now: datetime) -> None:
        """Bill a month that has ended, let customers pay, note what is overdue."""
        zone = ZoneInfo(self.core.policy.sla.calendar.time_zone)
        today = now.astimezone(zone).date()
        self._pay(today)
        if today.day == 1:
            billing_round(self.core, self.money)
        elif today.day % 7 == 0:
            self.money.payments.dun(self.core.tenant)

    def _pay(self, today: date) -> None:
        with self.core.uow_factory() as uow:
            rows = uow.billing.invoices.where(self.core.tenant, state="open")
        for row in rows:
            late = sum(map(ord, row.customer_id)) % _LATE_EVERY == 0
            if today >= row.due_on + timedelta(days=12 if late else -3) and row.outstanding > 0:
                method = _METHODS[row.invoice_id % len(_METHODS)]
                self.money.payments.pay(
                    self.core.tenant,
                    row.invoice_number,
                    row.outstanding,
                    method,
                    f"{method.value}-{row.invoice_number}",
                    actor="demo",
                )
