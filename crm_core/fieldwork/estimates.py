"""Estimates: what a repair will probably cost, agreed before the work begins (requirements 62, 63, 75, 106).

Offer and decision are events of the ticket, so they stand in its history and are told (see `notices.announcing`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any, Final

from crm_core.billing.charges import price_of_repair, usual_job
from crm_core.billing.repair_desk import Collected, RepairDesk
from crm_core.domain.billing import PaymentMethod
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fieldwork import Estimate, EstimateState
from crm_core.domain.identity import CustomerId, TenantId, TicketId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Step, Ticket
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.ticket_states import noted

_CENT: Final = Decimal("0.01")
_SOUGHT: Final = 500


_TOLD: Final = {
    EstimateState.ACCEPTED: Step.ESTIMATE_ACCEPTED,
    EstimateState.DECLINED: Step.ESTIMATE_DECLINED,
}


class Standing(StrEnum):
    """What an estimate is now: its own state, or why nobody can decide on it any more."""

    OFFERED = "offered"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    SUPERSEDED = "superseded"  # a newer one of the ticket counts
    LAPSED = "lapsed"  # its ticket is over


def standing(estimate: Estimate, ticket: Ticket, newest: Estimate) -> Standing:
    """Return what an estimate is now; `newest` is the newest one of its ticket."""
    if estimate.state is not EstimateState.OFFERED:
        return Standing(estimate.state.value)
    if newest.estimate_id != estimate.estimate_id:
        return Standing.SUPERSEDED
    return Standing.OFFERED if ticket.is_open else Standing.LAPSED


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
            uow.tickets.save(noted(ticket, Step.ESTIMATE_OFFERED, at=made.offered_at, actor=actor))
            uow.commit()
        return made

    def accept(
        self,
        tenant: TenantId,
        estimate_id: int,
        method: PaymentMethod | None,
        *,
        actor: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> Estimate:
        """Note the customer's consent; without a method of payment it is none (requirement 106)."""
        if method is None:
            raise InvalidValue("name how the customer will pay: cash, card, transfer, wechat_pay or alipay")
        changes = {"state": EstimateState.ACCEPTED, "payment_method": method.value, "note": note}
        return self._decide(tenant, estimate_id, changes, actor, expected_version)

    def decline(
        self,
        tenant: TenantId,
        estimate_id: int,
        *,
        actor: str,
        note: str = "",
        expected_version: int | None = None,
    ) -> Estimate:
        """Note that the customer does not want the work at this price; the reason is what the next offer starts from."""
        changes = {"state": EstimateState.DECLINED, "note": note.strip()}
        return self._decide(tenant, estimate_id, changes, actor, expected_version)

    def _decide(
        self,
        tenant: TenantId,
        estimate_id: int,
        changes: Mapping[str, Any],
        actor: str,
        expected_version: int | None,
    ) -> Estimate:
        """Note a decision on an estimate that waits for one; `Conflict` says why another does not."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            estimate = uow.fieldwork.estimates.get(tenant, estimate_id)
            if expected_version not in (None, estimate.version):
                raise Conflict("the estimate was changed meanwhile; look at it again")
            ticket = uow.tickets.get(tenant, TicketId(estimate.ticket_id))
            (newest,) = uow.fieldwork.estimates.where(tenant, ticket_id=estimate.ticket_id, limit=1)
            found = standing(estimate, ticket, newest)
            if found is not Standing.OFFERED:
                raise Conflict(f"the estimate is {found}: there is nothing to decide; offer a new one")
            if changes["state"] is EstimateState.DECLINED and not changes["note"]:
                raise InvalidValue("say why the estimate is declined")
            decided = replace(estimate, **changes, decided_at=now, decided_by=actor)
            saved = uow.fieldwork.estimates.save(decided)
            uow.tickets.save(noted(ticket, _TOLD[saved.state], at=now, actor=actor, note=saved.note))
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
