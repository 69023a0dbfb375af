"""The life of a rental agreement: draft, offer, signature, changes with consent, renewal and every kind of end."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final
from zoneinfo import ZoneInfo

from crm_core.agreements.contract_money import deposit_of, months_before_day, term_discount_of
from crm_core.agreements.contract_states import ContractMove, next_state
from crm_core.agreements.price_changes import PlanOf, price_rises, rent_of
from crm_core.billing.plans import check_price, get_plan, use_plan
from crm_core.domain.contracts import (
    Agreement,
    ContractEvent,
    ContractLine,
    ContractState,
    DeviceStay,
    PagePool,
    PriceConsent,
    Terms,
)
from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import Contract
from crm_core.domain.identity import ContractId, CustomerId, TenantId, checked_identifier
from crm_core.domain.money import Money
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory

_FIRST_DAY: Final = date(1990, 1, 1)
_LAST_DAY: Final = date(2200, 12, 31)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a new agreement is made of. Deposit share and payment cycle come from the credit assessment (11, 17-19)."""

    contract_id: ContractId
    customer_id: CustomerId
    starts_on: date
    ends_on: date
    lines: tuple[ContractLine, ...]
    pools: tuple[PagePool, ...] = ()
    deposit_share: Decimal
    payment_cycle_months: int = 1
    assessment_id: str | None = None
    missing: tuple[str, ...] = ()
    on_site_hours: int | None = None
    clauses: tuple[str, ...] = ()
    template: str = "rental"
    template_version: str = "1"


class ContractDesk:
    """Keeps rental agreements. Each change is one transaction, leaves an event, and checks the version if one is told."""

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock, policy: PolicyBook) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self.zone = ZoneInfo(policy.sla.calendar.time_zone)

    @property
    def today(self) -> date:
        """The local day of the firm."""
        return self._clock.now().astimezone(self.zone).date()

    def draft(self, tenant: TenantId, draft: Draft, *, actor: str) -> Agreement:
        """Write a new draft and the contract that the service side sees; `Conflict` when the id is taken."""
        checked_identifier(draft.contract_id, "contract id")
        _check_span(draft.starts_on, draft.ends_on)
        if not 0 <= draft.deposit_share <= 1:
            raise InvalidValue("the deposit is a share of the device value, 0 to 1")
        with self._uow_factory() as uow:
            uow.customers.get(tenant, draft.customer_id)
            terms = self._terms_of(draft)
            self._check_terms(uow, tenant, terms)
            self._keep_contract(uow, tenant, draft.contract_id, draft.customer_id, terms, draft.on_site_hours)
            made = uow.agreements.contracts.add(
                Agreement(
                    tenant=tenant,
                    contract_id=draft.contract_id,
                    customer_id=draft.customer_id,
                    state=ContractState.DRAFT,
                    terms=(terms,),
                    missing=draft.missing,
                    assessment_id=draft.assessment_id,
                    events=(self._event(actor, "draft", None, ContractState.DRAFT),),
                )
            )
            uow.commit()
        return made

    def get(self, tenant: TenantId, contract_id: str) -> Agreement:
        """Return an agreement, or raise `NotFound`."""
        with self._uow_factory() as uow:
            return get_agreement(uow, tenant, contract_id)

    def settle_missing(self, tenant: TenantId, contract_id: str, what: str, *, actor: str) -> Agreement:
        """Note that something which kept the draft back is there now (a guarantor, for example)."""

        def change(_: UnitOfWork, agreement: Agreement) -> Agreement:
            if what not in agreement.missing:
                raise Conflict(f"contract {contract_id} does not miss {what!r}")
            left = tuple(each for each in agreement.missing if each != what)
            return self._noted(replace(agreement, missing=left), actor, "settled", what)

        return self._change(tenant, contract_id, change)

    def offer(
        self, tenant: TenantId, contract_id: str, *, actor: str, version: int | None = None
    ) -> Agreement:
        """Offer the draft to the customer; a draft that misses something stays one (`Conflict`, requirement 18)."""

        def change(_: UnitOfWork, agreement: Agreement) -> Agreement:
            if agreement.missing:
                raise Conflict(
                    f"contract {contract_id} stays a draft; missing: {', '.join(agreement.missing)}"
                )
            return self._moved(agreement, ContractMove.OFFER, actor)

        return self._change(tenant, contract_id, change, version)

    def sign(
        self,
        tenant: TenantId,
        contract_id: str,
        consent: PriceConsent,
        *,
        actor: str,
        version: int | None = None,
    ) -> Agreement:
        """Both sides have signed: the agreement is active and its plans never change again (16, 53)."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            signed = self._moved(agreement, ContractMove.SIGN, actor, note=consent.document)
            for line in agreement.current.lines:
                use_plan(uow, get_plan(uow, tenant, line.plan_id, line.plan_edition))
            for pool in agreement.current.pools:
                use_plan(uow, get_plan(uow, tenant, pool.plan_id, pool.plan_edition))
            return replace(
                signed, consents=(*signed.consents, replace(consent, terms_version=agreement.current.version))
            )

        return self._change(tenant, contract_id, change, version)

    def change_terms(
        self,
        tenant: TenantId,
        contract_id: str,
        terms: Terms,
        *,
        actor: str,
        consent: PriceConsent | None = None,
        version: int | None = None,
    ) -> Agreement:
        """Put new terms in force from the first day of a month that is not billed yet.

        A price that rises without the customer's recorded consent is a `Conflict` (requirement 16).
        """

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            self._check_change(uow, agreement, terms)
            rises = price_rises(agreement.current, terms, plans_of(uow, tenant))
            if rises and consent is None:
                raise Conflict(f"a price rise needs the customer's recorded consent: {'; '.join(rises)}")
            numbered = replace(
                terms, version=agreement.current.version + 1, policy_version=self._policy.version
            )
            for line in terms.lines:
                use_plan(uow, get_plan(uow, tenant, line.plan_id, line.plan_edition))
            given = () if consent is None else (replace(consent, terms_version=numbered.version),)
            kept = uow.contracts.get(tenant, contract_id)
            self._keep_contract(
                uow,
                tenant,
                agreement.contract_id,
                agreement.customer_id,
                numbered,
                kept.on_site_hours,
                known=True,
            )
            changed = replace(
                agreement, terms=(*agreement.terms, numbered), consents=(*agreement.consents, *given)
            )
            return self._noted(changed, actor, "terms", "; ".join(rises))

        return self._change(tenant, contract_id, change, version)

    def move(
        self,
        tenant: TenantId,
        contract_id: str,
        move: ContractMove,
        *,
        actor: str,
        note: str = "",
        version: int | None = None,
    ) -> Agreement:
        """Withdraw, suspend or resume; the moves with conditions have their own methods."""
        if move not in (ContractMove.WITHDRAW, ContractMove.SUSPEND, ContractMove.RESUME):
            raise InvalidValue(f"{move} has conditions of its own")
        return self._change(
            tenant, contract_id, lambda _, agreement: self._moved(agreement, move, actor, note=note), version
        )

    def renew(
        self, tenant: TenantId, contract_id: str, successor_id: str, *, actor: str, version: int | None = None
    ) -> Agreement:
        """Note that another agreement of the customer follows this one."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            successor = get_agreement(uow, tenant, successor_id)
            if successor.customer_id != agreement.customer_id or successor_id == contract_id:
                raise Conflict(
                    f"contract {successor_id} cannot follow {contract_id}: name another one of this customer"
                )
            moved = self._moved(agreement, ContractMove.RENEW, actor, note=successor_id)
            return replace(moved, successor_id=successor_id)

        return self._change(tenant, contract_id, change, version)

    def end(
        self, tenant: TenantId, contract_id: str, reason: str, *, actor: str, version: int | None = None
    ) -> Agreement:
        """End an agreement that is not renewed; without the reason why it was lost it is refused (requirement 34)."""
        if not reason.strip():
            raise InvalidValue("say why the customer does not renew: price, service, need, other")

        def change(_: UnitOfWork, agreement: Agreement) -> Agreement:
            moved = self._moved(agreement, ContractMove.END, actor, note=reason)
            last = min(self.today, agreement.current.ends_on)
            return replace(
                moved, end_reason=reason.strip(), ended_on=last, stays=_closed(moved, self._end_of(last))
            )

        return self._change(tenant, contract_id, change, version)

    def expire_due(self, tenant: TenantId) -> list[str]:
        """Mark agreements whose end comes near as expiring; return their ids (nightly, requirement 33)."""
        months = self._policy.relations.care.renewal_months_before
        with self._uow_factory() as uow:
            rows = uow.agreements.contracts.where(tenant, state=ContractState.ACTIVE)
            near = [row for row in rows if months_before_day(row.current.ends_on, months) <= self.today]
            for row in near:
                uow.agreements.contracts.save(self._moved(row, ContractMove.EXPIRE, "drumbeat"))
            uow.commit()
        return [row.contract_id for row in near]

    def _change(
        self,
        tenant: TenantId,
        contract_id: str,
        change: Callable[[UnitOfWork, Agreement], Agreement],
        version: int | None = None,
    ) -> Agreement:
        with self._uow_factory() as uow:
            agreement = get_agreement(uow, tenant, contract_id)
            if version is not None and version != agreement.version:
                raise Conflict(
                    f"contract {contract_id} was changed meanwhile; read it again and repeat the change"
                )
            saved = uow.agreements.contracts.save(change(uow, agreement))
            uow.commit()
        return saved

    def _moved(self, agreement: Agreement, move: ContractMove, actor: str, *, note: str = "") -> Agreement:
        state = next_state(agreement.state, move)
        event = self._event(actor, move.value, agreement.state, state, note)
        return replace(agreement, state=state, events=(*agreement.events, event))

    def _noted(self, agreement: Agreement, actor: str, what: str, note: str) -> Agreement:
        event = self._event(actor, what, agreement.state, agreement.state, note)
        return replace(agreement, events=(*agreement.events, event))

    def _event(
        self, actor: str, event: str, before: ContractState | None, after: ContractState, note: str = ""
    ) -> ContractEvent:
        return ContractEvent(
            at=self._clock.now(), actor=actor, event=event, from_state=before, to_state=after, note=note
        )

    def _terms_of(self, draft: Draft) -> Terms:
        policy = self._policy.agreements.contracts
        value = sum((line.device_value for line in draft.lines), Decimal(0))
        return Terms(
            version=1,
            effective_on=draft.starts_on,
            starts_on=draft.starts_on,
            ends_on=draft.ends_on,
            lines=draft.lines,
            pools=draft.pools,
            payment_cycle_months=draft.payment_cycle_months,
            payment_days=self._policy.billing.payment_days,
            deposit_share=draft.deposit_share,
            deposit=deposit_of(value, draft.deposit_share),
            term_discount=term_discount_of(draft.starts_on, draft.ends_on, policy),
            template=draft.template,
            template_version=draft.template_version,
            clauses=draft.clauses,
            policy_version=self._policy.version,
        )

    def _check_terms(self, uow: UnitOfWork, tenant: TenantId, terms: Terms) -> None:
        ids = [line.line_id for line in terms.lines]
        _check_span(terms.starts_on, terms.ends_on)
        if not ids or len(ids) != len(set(ids)):
            raise InvalidValue("a contract needs lines with ids of their own")
        if terms.payment_cycle_months not in (1, 3, 6, 12):
            raise InvalidValue("the payment cycle is 1, 3, 6 or 12 months")
        pools = {pool.pool_id for pool in terms.pools}
        for pool in terms.pools:
            get_plan(uow, tenant, pool.plan_id, pool.plan_edition)
        for line in terms.lines:
            get_plan(uow, tenant, line.plan_id, line.plan_edition)
            check_price(line.device_value, "the device value")
            if line.monthly_rent is not None:
                check_price(line.monthly_rent, "the monthly rent")
            if line.pool_id is not None and line.pool_id not in pools:
                raise InvalidValue(
                    f"line {line.line_id} names pool {line.pool_id}, which the contract does not have"
                )

    def _check_change(self, uow: UnitOfWork, agreement: Agreement, terms: Terms) -> None:
        """Refuse terms that begin within a month or before what is billed, and any for an ended agreement."""
        if agreement.state not in (ContractState.ACTIVE, ContractState.EXPIRING, ContractState.SUSPENDED):
            raise Conflict(f"contract {agreement.contract_id} is {agreement.state}: its terms do not change")
        self._check_terms(uow, agreement.tenant, terms)
        if terms.effective_on.day != 1 or terms.effective_on <= agreement.current.effective_on:
            raise InvalidValue("new terms begin on the first day of a month after the present terms")
        billed = uow.billing.invoices.where(agreement.tenant, contract_id=agreement.contract_id)
        if any(row.period_to >= terms.effective_on for row in billed if row.run_key.startswith("rent:")):
            raise Conflict("the month is billed already; choose a later first day")

    def _keep_contract(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        contract_id: ContractId,
        customer_id: CustomerId,
        terms: Terms,
        on_site_hours: int | None,
        *,
        known: bool = False,
    ) -> None:
        """Keep what the service side knows of the contract: period, rent of all lines, promised arrival."""
        present = uow.contracts.find(tenant, contract_id)
        if present is not None and present.customer_id != customer_id:
            raise Conflict(f"contract {contract_id} belongs to {present.customer_id}")
        if present is not None and not known and on_site_hours is None:
            on_site_hours = present.on_site_hours
        plan_of = plans_of(uow, tenant)
        rent = sum((rent_of(line, plan_of) for line in terms.lines), Decimal(0))
        changes = {
            "starts_on": terms.starts_on,
            "ends_on": terms.ends_on,
            "monthly_rent": Money(rent),
            "on_site_hours": on_site_hours,
        }
        base = present or Contract(
            tenant=tenant,
            contract_id=contract_id,
            customer_id=customer_id,
            starts_on=terms.starts_on,
            ends_on=terms.ends_on,
            monthly_rent=Money(rent),
        )
        uow.contracts.save(replace(base, **changes))  # type: ignore[arg-type]  # fields of Contract by name

    def _end_of(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), self.zone)


def _check_span(starts_on: date, ends_on: date) -> None:
    if not _FIRST_DAY <= starts_on <= ends_on <= _LAST_DAY:
        raise InvalidValue(f"a contract runs within {_FIRST_DAY} to {_LAST_DAY} and ends after it starts")


def get_agreement(uow: UnitOfWork, tenant: TenantId, contract_id: str) -> Agreement:
    """Return the agreement of a contract, or raise `NotFound`."""
    found = uow.agreements.contracts.of_contract(tenant, contract_id)
    if found is None:
        raise NotFound(
            f"there is no agreement for contract {contract_id[:64]!r}; list the contracts to see them"
        )
    return found


def plans_of(uow: UnitOfWork, tenant: TenantId) -> PlanOf:
    """Return the look-up of plan editions in this transaction."""
    return partial(get_plan, uow, tenant)


def _closed(agreement: Agreement, at: datetime) -> tuple[DeviceStay, ...]:
    return tuple(
        replace(stay, to_at=at) if stay.to_at is None or stay.to_at > at else stay for stay in agreement.stays
    )
