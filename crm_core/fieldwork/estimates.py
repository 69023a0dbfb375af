"""Estimates: what a repair will probably cost, agreed before the work begins (requirements 62, 63, 75, 106)."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from crm_core.billing.charges import price_of_repair, usual_job
from crm_core.billing.repair_desk import Collected, RepairDesk
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fieldwork import Estimate, EstimateState
from crm_core.domain.identity import CustomerId, TenantId, TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Ticket
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_CENT: Final = Decimal("0.01")
_SOUGHT: Final = 500


class Estimates:
    """Offers estimates for tickets and notes what customers decide."""

    def __init__(
        self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook, repairs: RepairDesk
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._repairs = repairs

    def offer(self, tenant: TenantId, ticket_id: TicketId, item: str, cause: str, *, actor: str) -> Estimate:
        """Offer what a row of the price list will cost for a ticket whose cause is thought to be `cause`."""
        with self._uow_factory() as uow:
            ticket = uow.tickets.get(tenant, ticket_id)
            if not ticket.is_open or ticket.customer_id is None:
                raise Conflict("an estimate is for an open ticket of a customer")
            usual = usual_job(item, self._policy.billing)
            found = Collected(item=item, hours=usual.hours, cause=cause, parts=usual.parts)
            job = self._repairs.job_of(uow, tenant, CustomerId(ticket.customer_id), ticket.device_id, found)
            price = price_of_repair(job, self._policy.billing, self._policy.version)
            low, high, basis = self._range(uow, ticket, item, price.total)
            made = uow.fieldwork.estimates.add(
                Estimate(
                    tenant=tenant,
                    ticket_id=ticket_id,
                    device_id=ticket.device_id,
                    customer_id=ticket.customer_id,
                    item=item,
                    low=low,
                    high=high,
                    basis=basis,
                    price=price,
                    offered_at=self._clock.now(),
                    offered_by=actor,
                    detail={"cause": cause},
                )
            )
            uow.commit()
        return made

    def accept(
        self, tenant: TenantId, estimate_id: int, method: PaymentMethod | None, *, actor: str, note: str = ""
    ) -> Estimate:
        """Note the customer's consent; without a method of payment it is none (requirement 106)."""
        if method is None:
            raise InvalidValue("name how the customer will pay: cash, card, transfer, wechat_pay or alipay")
        return self._decide(
            tenant, estimate_id, EstimateState.ACCEPTED, actor=actor, note=note, method=method.value
        )

    def decline(self, tenant: TenantId, estimate_id: int, *, actor: str, note: str = "") -> Estimate:
        """Note that the customer does not want the work at this price."""
        return self._decide(tenant, estimate_id, EstimateState.DECLINED, actor=actor, note=note)

    def _decide(
        self,
        tenant: TenantId,
        estimate_id: int,
        state: EstimateState,
        *,
        actor: str,
        note: str,
        method: str | None = None,
    ) -> Estimate:
        with self._uow_factory() as uow:
            estimate = uow.fieldwork.estimates.get(tenant, estimate_id)
            if estimate.state is not EstimateState.OFFERED:
                raise Conflict(f"the estimate is {estimate.state} already; offer a new one")
            decided = replace(
                estimate,
                state=state,
                payment_method=method,
                decided_at=self._clock.now(),
                decided_by=actor,
                note=note,
            )
            saved = uow.fieldwork.estimates.save(decided)
            uow.commit()
        return saved

    def _range(
        self, uow: UnitOfWork, ticket: Ticket, item: str, listed: Decimal
    ) -> tuple[Decimal, Decimal, int]:
        """Return P10 and P90 of what like repairs cost their customers, and how many there were; else around the list."""
        policy = self._policy.fieldwork
        since = self._clock.now() - policy.similar_within
        costs = sorted(
            visit.price.total
            for visit in uow.fieldwork.visits.where(ticket.tenant, item=item, limit=_SOUGHT)
            if visit.price is not None
            and visit.price.total > 0
            and visit.finished_at is not None
            and visit.finished_at >= since
        )
        if listed == 0:
            return Decimal("0.00"), Decimal("0.00"), 0  # nothing is charged by the rules
        if len(costs) < policy.similar_least:
            spread = listed * policy.list_spread
            return _cents(listed - spread), _cents(listed + spread), 0
        return _cents(quantile(costs, Decimal("0.1"))), _cents(quantile(costs, Decimal("0.9"))), len(costs)


def quantile(ordered: Sequence[Decimal], share: Decimal) -> Decimal:
    """Return the quantile of sorted values, linear between neighbours (the usual definition, type 7)."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _cents(amount: Decimal) -> Decimal:
    return amount.quantize(_CENT, ROUND_HALF_UP)
