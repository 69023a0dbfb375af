"""The month end: one invoice for each contract that is due, the same whether it is looked at, written, or run again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.agreements.price_changes import rent_of
from crm_core.billing.history import BilledPast
from crm_core.billing.meters import EXACT_FLAGS, MeterReader, month_start
from crm_core.billing.monthly import MonthlyBill
from crm_core.billing.months import MonthPart, month_part, months_due
from crm_core.billing.pages_price import month_after
from crm_core.billing.settling import blank_invoice, compose, write
from crm_core.billing.stays import follow
from crm_core.domain.billing import (
    BillingPlan,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    InvoiceState,
    LineKind,
)
from crm_core.domain.contracts import Agreement, ContractLine, ContractState, DeviceStay
from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.fleet import InstalledPeriod
from crm_core.domain.identity import CustomerId, DeviceId, TenantId
from crm_core.domain.loans import DownTime, Loan
from crm_core.domain.messages import packed
from crm_core.domain.meter_statements import StatementState
from crm_core.domain.money import Money
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory
from crm_core.stock.down_time import rent_credit

_NEVER_BILLED: Final = frozenset({ContractState.DRAFT, ContractState.OFFERED, ContractState.SUSPENDED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What a run wrote or would write. `problems` are (contract, a packed message: what it means and what to do)."""

    month: date
    dry_run: bool
    invoices: tuple[Invoice, ...]
    written: int
    existing: int
    problems: tuple[tuple[str, str], ...]

    @property
    def total(self) -> Decimal:
        """The sum of all invoices."""
        return sum((row.total for row in self.invoices), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class _Fleet:
    """What all contracts of a run share, read once."""

    plans: dict[tuple[str, int], BillingPlan]
    devices: dict[str, list[DeviceId]]  # by contract
    loans: Sequence[Loan]
    down: dict[str, list[DownTime]]  # by contract


class BillingRun:
    """Writes the invoices of a month. Meters come from the store, everything else from the CRM."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, store: TelemetryStore, clock: Clock, policy: PolicyBook
    ) -> None:
        self._uow_factory = uow_factory
        self._store = store
        self._clock = clock
        self._policy = policy
        self._zone = ZoneInfo(policy.sla.calendar.time_zone)

    def preview(self, tenant: TenantId, month: date, contract_id: str | None = None) -> RunReport:
        """Return what `run` would do now; nothing is written."""
        return self._all(tenant, month, contract_id, dry_run=True)

    def run(self, tenant: TenantId, month: date, contract_id: str | None = None) -> RunReport:
        """Write the invoices of all contracts that are due after `month`; a repeat finds them and writes nothing."""
        return self._all(tenant, month, contract_id, dry_run=False)

    def last_month(self) -> date:
        """Return the first day of the month that ended last, in the firm's time zone."""
        return month_after(self._clock.now().astimezone(self._zone).date(), -1)

    def _all(self, tenant: TenantId, month: date, contract_id: str | None, *, dry_run: bool) -> RunReport:
        month = month.replace(day=1)
        if month_start(month_after(month), self._zone) > self._clock.now():
            raise InvalidValue(
                f"{month:%Y-%m} is not over yet; bill it from the first day of the next month on"
            )
        with self._uow_factory() as uow:
            stated = uow.billing.statements.where(tenant, state=StatementState.ACCEPTED)
            agreements = sorted(uow.agreements.contracts.where(tenant), key=lambda row: row.contract_id)
            fleet = self._fleet(uow, tenant, month)
        reader = MeterReader(self._store, self._policy.billing.meters, self._zone, stated)
        if contract_id is not None:
            agreements = [row for row in agreements if row.contract_id == contract_id]
            if not agreements:
                raise NotFound(f"there is no agreement for contract {contract_id[:64]!r}")
        return self._bill(tenant, month, agreements, fleet, reader, dry_run=dry_run)

    def _bill(
        self,
        tenant: TenantId,
        month: date,
        agreements: Sequence[Agreement],
        fleet: _Fleet,
        reader: MeterReader,
        *,
        dry_run: bool,
    ) -> RunReport:
        contracts = frozenset(
            row.contract_id
            for row in agreements
            if row.state not in _NEVER_BILLED and month_part(row, month) is not None
        )
        invoices: list[Invoice] = []
        problems: list[tuple[str, str]] = []
        taken: set[str] = set()
        written = existing = 0
        for agreement in agreements:
            if agreement.state in _NEVER_BILLED:
                continue
            with self._uow_factory() as uow:
                draft, said = self._draft(uow, agreement, month, fleet, reader)
                problems += [(agreement.contract_id, text) for text in said]
                if draft is None:
                    continue
                if draft.invoice_id:
                    existing += 1
                    invoices.append(draft)
                    continue
                composed = compose(uow, draft, contracts, frozenset(taken))
                if dry_run:
                    taken.update(item.item_key for item in composed.items)
                    taken.update(f"coupon:{row.coupon_id}" for row in composed.coupons)
                    invoices.append(composed.invoice)
                    continue
                made = write(uow, composed, self._clock.now())
                uow.commit()
                if made is None:  # another process wrote it between our look and our turn
                    made = uow.billing.invoices.where(tenant, run_key=draft.run_key)[0]
                    existing += 1
                else:
                    written += 1
                invoices.append(made)
        if len(agreements) != 1:
            written += self._bill_waiting(tenant, month, invoices, taken, dry_run=dry_run)
        return RunReport(
            month=month,
            dry_run=dry_run,
            invoices=tuple(invoices),
            written=written,
            existing=existing,
            problems=tuple(problems),
        )

    def _bill_waiting(
        self, tenant: TenantId, month: date, invoices: list[Invoice], taken: set[str], *, dry_run: bool
    ) -> int:
        """Bill charges of customers who get no rent invoice this month (a contract that ended early, a loss)."""
        with self._uow_factory() as uow:
            waiting = uow.billing.items.where(tenant, waiting=True)
        served = {row.customer_id for row in invoices}
        written = 0
        for customer in sorted({row.customer_id for row in waiting if row.amount > 0} - served):
            with self._uow_factory() as uow:
                composed = compose(uow, self._other(tenant, customer, month), frozenset(), frozenset(taken))
                if composed.invoice.total <= 0:
                    continue
                made: Invoice | None = composed.invoice
                if not dry_run:
                    made = write(uow, composed, self._clock.now())
                    uow.commit()
                    written += made is not None
            if made is not None:
                invoices.append(made)
        return written

    def _other(self, tenant: TenantId, customer: CustomerId, month: date) -> Invoice:
        issued = self._clock.now().astimezone(self._zone).date()
        return blank_invoice(
            tenant,
            run_key=f"items:{customer}:{month:%Y-%m}:{issued}",
            kind=InvoiceKind.OTHER,
            customer_id=customer,
            issued_on=issued,
            due_on=issued + timedelta(days=self._policy.billing.payment_days),
            policy_version=self._policy.version,
        )

    def _draft(
        self, uow: UnitOfWork, agreement: Agreement, month: date, fleet: _Fleet, reader: MeterReader
    ) -> tuple[Invoice | None, list[str]]:
        """Return the invoice of one contract (the stored one when it is written already) and what is wrong with it."""
        earlier = uow.billing.invoices.where(agreement.tenant, contract_id=agreement.contract_id)
        credited = sum(row.state is InvoiceState.CREDITED for row in earlier)
        run_key = f"rent:{agreement.contract_id}:{month:%Y-%m}" + (f":{credited}" if credited else "")
        known = next((row for row in earlier if row.run_key == run_key), None)
        if known is not None:
            return known, []
        past = BilledPast.of(earlier)
        parts = months_due(agreement, month, past.billed_until)
        if not parts:
            return None, []
        periods = self._periods(uow, agreement, fleet)
        followed = follow(agreement, periods, fleet.loans, self._zone)

        def plan_of(plan_id: str, edition: int) -> BillingPlan:
            return fleet.plans[(plan_id, edition)]

        billed = MonthlyBill(agreement, followed.stays, past, plan_of, reader).make(parts)
        terms = agreement.terms_on(parts[-1].last)
        credit_lines = self._rent_credits(agreement, followed.stays, parts, fleet, earlier)
        issued = self._clock.now().astimezone(self._zone).date()
        draft = blank_invoice(
            agreement.tenant,
            run_key=run_key,
            kind=InvoiceKind.RENT,
            customer_id=agreement.customer_id,
            issued_on=issued,
            due_on=issued + timedelta(days=terms.payment_days),
            policy_version=self._policy.version,
            contract_id=agreement.contract_id,
            period_from=parts[0].first,
            period_to=parts[-1].last,
            lines=(*billed.lines, *credit_lines),
            terms_version=terms.version,
            usage=billed.usage,
            balances=billed.balances,
            trued_up=billed.trued_up,
        )
        flagged = [
            packed(f"billing.problem.{flag}", device=used.device_id)
            for used in billed.usage
            for flag in used.flags
            if flag not in EXACT_FLAGS
        ]
        return draft, [*followed.problems, *flagged]

    def _rent_credits(
        self,
        agreement: Agreement,
        stays: Sequence[DeviceStay],
        parts: Sequence[MonthPart],
        fleet: _Fleet,
        earlier: Sequence[Invoice],
    ) -> list[InvoiceLine]:
        """Return the credits for repairs that took long (requirement 25): of the months billed, and late ones once."""
        valid = [row for row in earlier if row.state is not InvoiceState.CREDITED]
        given = {line.rule for row in valid for line in row.lines}
        first = min((row.period_from for row in valid), default=parts[0].month)
        begin = month_start(min(first, parts[0].month), self._zone)
        end = month_start(month_after(parts[-1].month), self._zone)
        lines = []
        for down in fleet.down.get(agreement.contract_id, ()):
            line = self._line_of(agreement, stays, down)
            rule = f"down_time:{down.ticket_id}"
            if not begin <= down.until < end or line is None or rule in given:
                continue
            rent = rent_of(line, lambda plan, edition: fleet.plans[(plan, edition)])
            amount = rent_credit(Money(rent), down.counted, self._policy.stock.rent_credit).amount
            if amount:
                days = f"{down.counted / timedelta(days=1):.1f}"
                text = packed("billing.line.rent_credit", device=down.device_id, days=days)
                lines.append(
                    InvoiceLine(
                        kind=LineKind.RENT_CREDIT,
                        text=text,
                        amount=-amount,
                        line_id=line.line_id,
                        device_id=down.device_id,
                        rule=rule,
                    )
                )
        return lines

    def _line_of(
        self, agreement: Agreement, stays: Sequence[DeviceStay], down: DownTime
    ) -> ContractLine | None:
        for stay in stays:
            if stay.device_id == down.device_id and (stay.to_at is None or stay.to_at > down.since):
                return agreement.terms_on(down.since.astimezone(self._zone).date()).line(stay.line_id)
        return None

    def _fleet(self, uow: UnitOfWork, tenant: TenantId, month: date) -> _Fleet:
        devices: dict[str, list[DeviceId]] = {}
        for device in uow.devices.all(tenant):
            if device.contract_id is not None:
                devices.setdefault(device.contract_id, []).append(device.device_id)
        down: dict[str, list[DownTime]] = {}
        since: datetime = month_start(month_after(month, -12), self._zone)
        until = month_start(month_after(month), self._zone)
        for row in uow.stock.down_times(tenant, since, until):
            if row.contract_id is not None:
                down.setdefault(row.contract_id, []).append(row)
        return _Fleet(
            plans={(plan.plan_id, plan.edition): plan for plan in uow.billing.plans.where(tenant)},
            devices=devices,
            loans=uow.stock.loans(tenant),
            down=down,
        )

    def _periods(
        self, uow: UnitOfWork, agreement: Agreement, fleet: _Fleet
    ) -> dict[DeviceId, Sequence[InstalledPeriod]]:
        lent = {loan.device_id for loan in fleet.loans}
        named = {stay.device_id for stay in agreement.stays}
        standing = {row for row in fleet.devices.get(agreement.contract_id, ()) if row not in lent}
        lent_here = {loan.device_id for loan in fleet.loans if loan.for_device in named | standing}
        devices = sorted(named | standing | lent_here)
        return {device: uow.devices.periods(agreement.tenant, device) for device in devices}
