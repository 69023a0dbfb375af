"""The charge of a repair on its way: collect, compute, explain, confirm, receipt (requirement 76).

What the visit found is collected, the price comes from the list and the rules of the customer's classes, the customer
is told lines and formula, agrees and names how to pay; then an invoice is written, and its payment is the receipt.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.billing.charges import price_of_repair
from crm_core.billing.settling import Composed, blank_invoice, write
from crm_core.domain.billing import InvoiceKind, InvoiceLine, LineKind, PaymentMethod
from crm_core.domain.charges import (
    ChargeState,
    ChargeStep,
    PartCharge,
    RepairCharge,
    RepairJob,
    RepairPrice,
)
from crm_core.domain.contracts import BILLED_STATES, ContractState
from crm_core.domain.errors import Conflict, IllegalTransition, InvalidValue
from crm_core.domain.identity import CustomerId, DeviceId, TenantId, WorkOrderId
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.segments import classes_at, treatments_of

_NEXT: Final = MappingProxyType(
    {
        ChargeState.COLLECT: ChargeState.COMPUTE,
        ChargeState.COMPUTE: ChargeState.EXPLAIN,
        ChargeState.EXPLAIN: ChargeState.CONFIRM,
        ChargeState.CONFIRM: ChargeState.RECEIPT,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What the visit found: item of the price list, hours of labour, cause, parts."""

    item: str
    hours: Decimal
    cause: str
    parts: tuple[PartCharge, ...] = ()


class RepairDesk:
    """Leads charges through their five states; each move is one transaction and one step in the file."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._zone = ZoneInfo(policy.sla.calendar.time_zone)

    def collect(
        self,
        tenant: TenantId,
        work_order_id: WorkOrderId,
        found: Collected,
        *,
        actor: str,
        dry_run: bool = False,
    ) -> RepairCharge:
        """Open the charge of a work order with what was found; the rules of the customer are looked up here."""
        with self._uow_factory() as uow:
            order = uow.work_orders.get(tenant, work_order_id)
            if order.customer_id is None:
                raise Conflict(f"work order {work_order_id} has no customer to charge")
            device = uow.devices.get(tenant, order.device_id)
            made = uow.billing.charges.add(
                RepairCharge(
                    tenant=tenant,
                    work_order_id=work_order_id,
                    customer_id=order.customer_id,
                    device_id=order.device_id,
                    contract_id=device.contract_id,
                    state=ChargeState.COLLECT,
                    job=self.job_of(uow, tenant, order.customer_id, order.device_id, found),
                    steps=(self._step(actor, ChargeState.COLLECT),),
                    done_at=order.done_at or self._clock.now(),
                )
            )
            if not dry_run:
                uow.commit()
        return made

    def job_of(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        customer_id: CustomerId,
        device_id: DeviceId,
        found: Collected,
    ) -> RepairJob:
        """Return the job with cover, warranty and the treatments of the customer's classes (13, 32, 73, 103)."""
        held = classes_at(uow.relations.present_classes(tenant, customer_id)).get(customer_id, {})
        treatments = treatments_of(self._policy.relations, held)
        discount = treatments.get("consumables_discount_percent")
        recent = self._recent(uow, tenant, device_id)
        repaired = {charge.job.item for charge in recent}
        replaced = {part.part_number or part.name for charge in recent for part in charge.job.parts}
        return RepairJob(
            item=found.item,
            hours=found.hours,
            cause=found.cause,
            parts=tuple(
                replace(
                    part, under_warranty=part.under_warranty or (part.part_number or part.name) in replaced
                )
                for part in found.parts
            ),
            covered=self._is_covered(uow, tenant, device_id),
            labour_under_warranty=found.item in repaired,
            labour_free="free_repair_labour" in treatments,
            consumables_discount=Decimal(0) if discount is None else discount.amount / 100,
        )

    def compute(self, tenant: TenantId, charge_id: int, *, actor: str, dry_run: bool = False) -> RepairCharge:
        """Compute lines and total by the present price list."""

        def change(_: UnitOfWork, charge: RepairCharge) -> RepairCharge:
            price = price_of_repair(charge.job, self._policy.billing, self._policy.version)
            return replace(self._moved(charge, ChargeState.COMPUTE, actor), price=price)

        return self._change(tenant, charge_id, change, dry_run=dry_run)

    def explain(
        self, tenant: TenantId, charge_id: int, note: str, *, actor: str, dry_run: bool = False
    ) -> RepairCharge:
        """Note how the customer was given lines and formula."""
        if not note.strip():
            raise InvalidValue("say how the charge was explained to the customer")
        return self._change(
            tenant,
            charge_id,
            lambda _, charge: self._moved(charge, ChargeState.EXPLAIN, actor, note.strip()),
            dry_run=dry_run,
        )

    def confirm(
        self,
        tenant: TenantId,
        charge_id: int,
        method: PaymentMethod,
        agreed_by: str,
        *,
        actor: str,
        dry_run: bool = False,
    ) -> RepairCharge:
        """Note the customer's consent and how they pay, and write the invoice; nothing to pay is its own receipt."""
        if not agreed_by.strip():
            raise InvalidValue("say who agreed to the charge")

        def change(uow: UnitOfWork, charge: RepairCharge) -> RepairCharge:
            confirmed = replace(
                self._moved(charge, ChargeState.CONFIRM, actor, agreed_by.strip()),
                payment_method=method.value,
            )
            price = _priced(charge)
            if price.total == 0:
                return receipted(confirmed, self._clock.now())
            return replace(confirmed, invoice_number=self._invoice(uow, confirmed, price))

        return self._change(tenant, charge_id, change, dry_run=dry_run)

    def _invoice(self, uow: UnitOfWork, charge: RepairCharge, price: RepairPrice) -> str:
        lines = tuple(
            InvoiceLine(
                kind=LineKind.REPAIR,
                text=line.text,
                amount=line.amount,
                device_id=charge.device_id,
                rule=line.rule.value if line.rule else "",
            )
            for line in price.lines
        )
        today = self._today
        draft = blank_invoice(
            charge.tenant,
            run_key=f"repair:{charge.charge_id}",
            kind=InvoiceKind.REPAIR,
            customer_id=charge.customer_id,
            issued_on=today,
            due_on=today + timedelta(days=self._policy.billing.payment_days),
            policy_version=price.policy_version,
            contract_id=charge.contract_id,
            lines=lines,
            total=price.total,
        )
        made = write(uow, Composed(draft, (), (), Decimal(0)), self._clock.now())
        if made is None:
            raise Conflict(f"charge {charge.charge_id} has an invoice already")
        return made.invoice_number

    def _recent(self, uow: UnitOfWork, tenant: TenantId, device_id: DeviceId) -> list[RepairCharge]:
        """Return repairs of the device within the warranty."""
        since = self._clock.now() - self._policy.billing.repairs.warranty
        rows = uow.billing.charges.where(tenant, device_id=device_id)
        return [row for row in rows if row.done_at is not None and row.done_at >= since]

    def _is_covered(self, uow: UnitOfWork, tenant: TenantId, device_id: DeviceId) -> bool:
        """Return True if a running contract covers the device; one without an agreement counts by its dates."""
        device = uow.devices.get(tenant, device_id)
        if device.contract_id is None:
            return False
        agreement = uow.agreements.contracts.of_contract(tenant, device.contract_id)
        if agreement is not None:
            renewed = agreement.state is ContractState.RENEWED and self._today <= agreement.last_day
            return agreement.state in BILLED_STATES or renewed
        contract = uow.contracts.find(tenant, device.contract_id)
        return contract is not None and contract.starts_on <= self._today <= contract.ends_on

    def _change(
        self,
        tenant: TenantId,
        charge_id: int,
        change: Callable[[UnitOfWork, RepairCharge], RepairCharge],
        *,
        dry_run: bool,
    ) -> RepairCharge:
        with self._uow_factory() as uow:
            charge = uow.billing.charges.get(tenant, charge_id)
            saved = uow.billing.charges.save(change(uow, charge))
            if not dry_run:
                uow.commit()
        return saved

    def _moved(self, charge: RepairCharge, state: ChargeState, actor: str, note: str = "") -> RepairCharge:
        if _NEXT.get(charge.state) is not state:
            raise IllegalTransition(
                f"a charge that is in {charge.state} does not go to {state}; next: {_NEXT.get(charge.state, 'nothing')}"
            )
        return replace(charge, state=state, steps=(*charge.steps, self._step(actor, state, note)))

    def _step(self, actor: str, state: ChargeState, note: str = "") -> ChargeStep:
        return ChargeStep(at=self._clock.now(), actor=actor, state=state, note=note)

    @property
    def _today(self) -> date:
        return self._clock.now().astimezone(self._zone).date()


def receipted(charge: RepairCharge, at: datetime) -> RepairCharge:
    """Return the charge in its last state: paid, or nothing was to be paid."""
    if charge.state is not ChargeState.CONFIRM:
        return charge
    step = ChargeStep(at=at, actor="drumbeat", state=ChargeState.RECEIPT, note=charge.invoice_number or "")
    return replace(charge, state=ChargeState.RECEIPT, steps=(*charge.steps, step))


def _priced(charge: RepairCharge) -> RepairPrice:
    if charge.price is None:
        raise Conflict(f"charge {charge.charge_id} is not computed yet")
    return charge.price
