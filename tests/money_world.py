"""A small firm for tests of money: plans, contracts, and printers whose counters a test states."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from collector.stores.memory import MemoryTelemetryStore
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.contract_devices import ContractDevices
from crm_core.agreements.drafts import Draft
from crm_core.billing.accounts import Accounts
from crm_core.billing.payments import PaymentDesk
from crm_core.billing.payouts import PayoutDesk
from crm_core.billing.plans import PlanDesk
from crm_core.billing.repair_desk import RepairDesk
from crm_core.billing.run import BillingRun
from crm_core.domain.billing import BillingPlan, PageTariff
from crm_core.domain.contracts import Agreement, ContractLine, PagePool, PriceConsent
from crm_core.domain.fleet import Device
from crm_core.domain.identity import ContractId, CustomerId, DeviceId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.telemetry import Counters, DeviceReading
from crm_core.ports import Landing, TelemetryStore, UnitOfWorkFactory
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import TENANT, ManualClock, a_customer, a_site
from tests.policies import a_policy

MAY = date(2026, 5, 1)
JUNE = date(2026, 6, 1)


def shanghai(month: int, day: int, hour: float = 0) -> datetime:
    """Return an instant of 2026 by the firm's local time."""
    return datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=8) + timedelta(hours=hour)


def counted(
    device: str, at: datetime, total: int, colour: int | None = 0, mono: int | None = None
) -> DeviceReading:
    """Return a reading that states the billing meters; the usage counter stands 7 pages higher (requirement 117)."""
    vendor: dict[str, int] = {"total_printed": total}
    if colour is not None:
        vendor |= {"mono": total - colour if mono is None else mono, "colour": colour}
    return DeviceReading(
        tenant=TENANT,
        device_id=device,
        polled_at=at,
        counters=Counters(prt_marker_life_count={"1.1": total + 7}, vendor=dict(vendor)),
    )


def a_plan(plan_id: str = "basic", rent: str = "600", **about: object) -> BillingPlan:
    """Return the plan of the documents: 600 a month, 0.1 and 0.5 a page."""
    fields: dict[str, object] = {
        "tenant": TENANT,
        "plan_id": plan_id,
        "edition": 1,
        "name": plan_id,
        "monthly_rent": Decimal(rent),
        "mono": PageTariff(price=Decimal("0.1")),
        "colour": PageTariff(price=Decimal("0.5")),
        **about,
    }
    return BillingPlan(**fields)


def a_line(line_id: str = "1", plan: str = "basic", **about: object) -> ContractLine:
    fields: dict[str, object] = {"line_id": line_id, "plan_id": plan, "plan_edition": 1, **about}
    return ContractLine(**fields)


def a_consent() -> PriceConsent:
    return PriceConsent(given_by="Li", given_at=shanghai(4, 30), channel="signature", document="scan-1.pdf")


@dataclass
class MoneyWorld:
    """The firm: everything through the services, as the product does it."""

    uow_factory: UnitOfWorkFactory = field(default_factory=make_memory_uow_factory)
    store: TelemetryStore = field(default_factory=MemoryTelemetryStore)
    clock: ManualClock = field(default_factory=lambda: ManualClock(shanghai(4, 30)))
    policy: PolicyBook = field(default_factory=a_policy)

    def __post_init__(self) -> None:
        self.plans = PlanDesk(self.uow_factory)
        self.desk = ContractDesk(self.uow_factory, self.clock, self.policy)
        self.devices = ContractDevices(self.uow_factory, self.clock, self.policy)
        self.billing = BillingRun(self.uow_factory, self.store, self.clock, self.policy)
        self.accounts = Accounts(self.uow_factory, self.clock, self.policy)
        self.repairs = RepairDesk(self.uow_factory, self.clock, self.policy)
        self.payments = PaymentDesk(self.uow_factory, self.clock, self.policy)
        self.payouts = PayoutDesk(self.uow_factory, self.clock, self.policy)

    def customer(self, customer_id: str = "c1") -> None:
        with self.uow_factory() as uow:
            uow.customers.save(a_customer(customer_id))
            uow.sites.save(a_site(f"site-{customer_id}", customer_id))
            uow.commit()

    def device(self, device_id: str, customer_id: str = "c1") -> None:
        with self.uow_factory() as uow:
            uow.devices.save(
                Device(
                    tenant=TENANT,
                    device_id=DeviceId(device_id),
                    site_id=f"site-{customer_id}",
                    customer_id=CustomerId(customer_id),
                )
            )
            uow.commit()

    def contract(
        self,
        contract_id: str = "k1",
        customer_id: str = "c1",
        lines: Iterable[ContractLine] = (),
        pools: Iterable[PagePool] = (),
        **about: object,
    ) -> Agreement:
        """Draft, offer and sign a contract from 1 May 2026 to 30 April 2027 without a deposit, unless told."""
        draft = self.draft_of(contract_id, customer_id, lines, pools, **about)
        self.desk.draft(TENANT, draft, actor="li")
        self.desk.offer(TENANT, contract_id, actor="li")
        return self.desk.sign(TENANT, contract_id, a_consent(), actor="li")

    def draft_of(
        self,
        contract_id: str = "k1",
        customer_id: str = "c1",
        lines: Iterable[ContractLine] = (),
        pools: Iterable[PagePool] = (),
        **about: object,
    ) -> Draft:
        """Return what `contract` signs."""
        fields: dict[str, object] = {
            "contract_id": ContractId(contract_id),
            "customer_id": CustomerId(customer_id),
            "starts_on": MAY,
            "ends_on": date(2027, 4, 30),
            "lines": tuple(lines) or (a_line(),),
            "pools": tuple(pools),
            "deposit_share": Decimal(0),
            **about,
        }
        return Draft(**fields)

    def placed(
        self, contract_id: str, line_id: str, device_id: str, at: datetime | None = None, **about: object
    ) -> None:
        self.devices.place(
            TENANT, contract_id, line_id, DeviceId(device_id), at=at or shanghai(5, 1), actor="li", **about
        )

    def says(self, *readings: DeviceReading) -> None:
        """Let readings land in the store, in order."""
        self.store.append([Landing(reading=row) for row in readings])
