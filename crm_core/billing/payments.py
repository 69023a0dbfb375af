"""What happens to an invoice after it is written: payments, instalments, credit notes, interest, dunning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from crm_core.agreements.contract_money import dunning_level, interest_of
from crm_core.billing.charges import instalments_of
from crm_core.billing.credit_notes import take_back
from crm_core.billing.pages_price import month_after
from crm_core.billing.repair_desk import receipted
from crm_core.billing.settling import add_item, get_invoice
from crm_core.domain.billing import (
    AccountItem,
    DunningStep,
    Instalment,
    Invoice,
    InvoiceState,
    LineKind,
    Payment,
    PaymentMethod,
)
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.messages import packed
from crm_core.domain.money import Money, to_cent
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Task
from crm_core.domain.service import Role
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.ports.billing import PaymentChannel
from crm_core.relations.loyalty import Loyalty

OPEN_STATES = frozenset({InvoiceState.OPEN, InvoiceState.PART_PAID})


@dataclass(frozen=True, slots=True)
class RecordedChannel:
    """A channel whose payments people read off its statement and record; cash has no number but its receipt."""

    method: PaymentMethod

    def confirm(self, invoice: Invoice, amount: str, external_number: str) -> str:
        """Return the recorded number; every channel but cash must name one."""
        number = external_number.strip()
        if number:
            return number
        if self.method is PaymentMethod.CASH:
            return f"{invoice.invoice_number}/{invoice.paid}+{amount}"
        raise InvalidValue(f"a payment by {self.method} needs the number under which the channel knows it")


def recorded_channels() -> dict[PaymentMethod, PaymentChannel]:
    """Return the channels of the product: payments are recorded, no money is moved."""
    return {method: RecordedChannel(method) for method in PaymentMethod}


class PaymentDesk:
    """Takes payments and follows up what is not paid."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        channels: Mapping[PaymentMethod, PaymentChannel] | None = None,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._channels = recorded_channels() if channels is None else channels
        self._loyalty = Loyalty(uow_factory, clock, policy)
        self._zone = ZoneInfo(policy.sla.calendar.time_zone)

    def pay(
        self,
        tenant: TenantId,
        invoice_number: str,
        amount: Decimal,
        method: PaymentMethod,
        external_number: str = "",
        *,
        actor: str,
        paid_at: datetime | None = None,
        dry_run: bool = False,
    ) -> Payment:
        """Record a payment; the same channel and external number again has no further effect.

        More than is open is a `Conflict`. A late payment in full lets its interest wait for the next invoice
        (requirement 12); a paid invoice gives points (requirement 30).
        """
        if amount <= 0 or amount != to_cent(amount):
            raise InvalidValue("an amount is more than 0.00 and has at most two decimals")
        at = paid_at or self._clock.now()
        if at > self._clock.now():
            raise InvalidValue("a payment cannot be recorded before it is made")
        with self._uow_factory() as uow:
            invoice = get_invoice(uow, tenant, invoice_number)
            number = self._channels[method].confirm(invoice, f"{amount}", external_number)
            known = uow.billing.payments.where(tenant, channel=method, external_number=number)
            if known:
                return _same(known[0], invoice_number, amount)
            if invoice.state not in OPEN_STATES or amount > invoice.outstanding:
                raise Conflict(f"invoice {invoice_number} has {invoice.outstanding} open, not {amount}")
            payment = uow.billing.payments.add(
                Payment(
                    tenant=tenant,
                    invoice_number=invoice_number,
                    customer_id=invoice.customer_id,
                    amount=amount,
                    channel=method,
                    external_number=number,
                    paid_at=at,
                    recorded_by=actor,
                )
            )
            self._settle(uow, invoice, amount)
            if not dry_run:
                uow.commit()
        return payment

    def _settle(self, uow: UnitOfWork, invoice: Invoice, amount: Decimal) -> None:
        paid = invoice.paid + amount
        full = paid + invoice.credited >= invoice.total
        state = InvoiceState.PAID if full else InvoiceState.PART_PAID
        uow.billing.invoices.save(replace(invoice, paid=paid, state=state))
        if not full:
            return
        self._loyalty.award_paid(
            uow, invoice.tenant, invoice.customer_id, invoice.invoice_number, Money(invoice.earned)
        )
        self._let_interest_wait(uow, invoice)
        for charge in uow.billing.charges.where(invoice.tenant, customer_id=invoice.customer_id):
            if charge.invoice_number == invoice.invoice_number:
                uow.billing.charges.save(receipted(charge, self._clock.now()))

    def _let_interest_wait(self, uow: UnitOfWork, invoice: Invoice) -> None:
        interest = self.interest(uow, invoice)
        if interest <= 0:
            return
        add_item(
            uow,
            AccountItem(
                tenant=invoice.tenant,
                item_key=f"interest:{invoice.invoice_number}",
                customer_id=invoice.customer_id,
                contract_id=None,
                kind=LineKind.INTEREST,
                amount=interest,
                text=packed("billing.line.interest", number=invoice.invoice_number, due=invoice.due_on),
                created_at=self._clock.now(),
                rule="interest",
            ),
        )

    def interest(self, uow: UnitOfWork, invoice: Invoice, until: date | None = None) -> Decimal:
        """Return the interest on an invoice until `until` (today), by its instalments and payments."""
        day = until or self.today
        rows = uow.billing.payments.where(invoice.tenant, invoice_number=invoice.invoice_number)
        paid = [(row.paid_at.astimezone(self._zone).date(), row.amount) for row in rows]
        policy = self._policy.agreements.contracts
        due = invoice.instalments or (
            Instalment(due_on=invoice.due_on, amount=invoice.total - invoice.credited),
        )
        return sum(
            (
                interest_of(part.amount, part.due_on, day, policy, of_part)
                for part, of_part in _shared(due, paid)
            ),
            Decimal("0.00"),
        )

    def instalments(
        self,
        tenant: TenantId,
        invoice_number: str,
        number: int,
        *,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Invoice:
        """Let an unpaid invoice be paid in monthly parts that sum to it to the cent (requirement 65)."""
        with self._uow_factory() as uow:
            invoice = get_invoice(uow, tenant, invoice_number)
            if version is not None and version != invoice.version:
                raise Conflict(f"invoice {invoice_number} was changed meanwhile; read it again")
            if invoice.state is not InvoiceState.OPEN:
                raise Conflict(
                    f"invoice {invoice_number} is {invoice.state}: parts are agreed before the first payment"
                )
            amounts = instalments_of(invoice.outstanding, number, self._policy.billing.repairs)
            parts = tuple(
                Instalment(due_on=_months_later(invoice.due_on, place), amount=amount)
                for place, amount in enumerate(amounts)
            )
            saved = uow.billing.invoices.save(replace(invoice, instalments=parts))
            if not dry_run:
                uow.commit()
        return saved

    def credit(
        self, tenant: TenantId, invoice_number: str, reason: str, *, actor: str, dry_run: bool = False
    ) -> Invoice:
        """Take a whole invoice back by a credit note; what was paid waits as a credit for the next invoice.

        What the invoice took up waits again. `dry_run` returns the note that would be written.
        """
        if not reason.strip():
            raise InvalidValue("say why the invoice is taken back")
        with self._uow_factory() as uow:
            invoice = get_invoice(uow, tenant, invoice_number)
            made = take_back(uow, invoice, reason, actor=actor, today=self.today, now=self._clock.now())
            if not dry_run:
                uow.commit()
        return made

    def redeem_points(
        self, tenant: TenantId, customer_id: CustomerId, points: int, *, dry_run: bool = False
    ) -> AccountItem:
        """Spend points on rent: their value is a credit on the next invoice (29, 30); once a day for a customer."""
        what = f"rent:{self.today}"
        with self._uow_factory() as uow:
            uow.customers.get(tenant, customer_id)
            value = self._loyalty.redeem(uow, tenant, customer_id, points, what)
            item = add_item(
                uow,
                AccountItem(
                    tenant=tenant,
                    item_key=f"points:{customer_id}:{what}",
                    customer_id=customer_id,
                    contract_id=None,
                    kind=LineKind.POINTS,
                    amount=-value.amount,
                    text=packed("billing.line.points", points=points),
                    created_at=self._clock.now(),
                    rule="points",
                ),
            )
            if item is None:
                raise Conflict("points were redeemed for rent today already")
            if not dry_run:
                uow.commit()
        return item

    def dun(self, tenant: TenantId) -> list[DunningStep]:
        """Note the dunning level that each overdue invoice reached, once, with a task for the customer's person (81)."""
        made = []
        with self._uow_factory() as uow:
            for state in sorted(OPEN_STATES):
                for invoice in uow.billing.invoices.where(tenant, state=state):
                    step = self._dunned(uow, invoice)
                    if step is not None:
                        made.append(step)
            uow.commit()
        return made

    def _dunned(self, uow: UnitOfWork, invoice: Invoice) -> DunningStep | None:
        overdue = overdue_of(invoice, self.today)
        if overdue is None:
            return None
        since, amount = overdue
        days = (self.today - since).days
        level = dunning_level(days, self._policy.agreements.contracts)
        if not level:
            return None
        step = uow.billing.dunning.add_once(
            DunningStep(
                tenant=invoice.tenant,
                invoice_number=invoice.invoice_number,
                level=level,
                customer_id=invoice.customer_id,
                reached_on=self.today,
                overdue_days=days,
                outstanding=amount,
                interest=self.interest(uow, invoice),
            )
        )
        if step is not None:
            uow.relations.tasks.add_once(self._task(step))
        return step

    def _task(self, step: DunningStep) -> Task:
        now = self._clock.now()
        return Task(
            tenant=step.tenant,
            task_id=0,
            kind="dunning",
            subject=f"invoice:{step.invoice_number}",
            period=f"level-{step.level}",
            customer_id=step.customer_id,
            due_at=now + timedelta(days=1),
            created_at=now,
            role=Role.SPECIALIST.value,
            detail={
                "invoice": step.invoice_number,
                "level": str(step.level),
                "days": str(step.overdue_days),
                "outstanding": f"{step.outstanding}",
                "interest": f"{step.interest}",
            },
        )

    @property
    def today(self) -> date:
        """The local day of the firm."""
        return self._clock.now().astimezone(self._zone).date()


def overdue_of(invoice: Invoice, today: date) -> tuple[date, Decimal] | None:
    """Return since when and how much of an invoice is overdue, by its instalments; None when nothing is."""
    if invoice.state not in OPEN_STATES:
        return None
    parts = invoice.instalments or (
        Instalment(due_on=invoice.due_on, amount=invoice.total - invoice.credited),
    )
    paid, since, amount = invoice.paid, None, Decimal(0)
    for part in parts:
        open_part = max(part.amount - paid, Decimal(0))
        paid = max(paid - part.amount, Decimal(0))
        if open_part and part.due_on < today:
            since, amount = since or part.due_on, amount + open_part
    return None if since is None else (since, amount)


def _shared(
    parts: Sequence[Instalment], paid: Sequence[tuple[date, Decimal]]
) -> list[tuple[Instalment, list[tuple[date, Decimal]]]]:
    """Return which payments went to which part: the earliest due first."""
    left = sorted(paid)
    shares = []
    for part in parts:
        missing, mine = part.amount, []
        while missing > 0 and left:
            day, amount = left.pop(0)
            used = min(amount, missing)
            mine.append((day, used))
            missing -= used
            if amount > used:
                left.insert(0, (day, amount - used))
        shares.append((part, mine))
    return shares


def _months_later(day: date, months: int) -> date:
    first = month_after(day, months)
    last = (month_after(first) - timedelta(days=1)).day
    return first.replace(day=min(day.day, last))


def _same(known: Payment, invoice_number: str, amount: Decimal) -> Payment:
    if known.invoice_number != invoice_number or known.amount != amount:
        raise Conflict(
            f"number {known.external_number} was recorded for invoice {known.invoice_number} with {known.amount}"
        )
    return known
