"""The life of a rental agreement: draft, offer, signature, changes with consent, renewal and every kind of end."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from crm_core.agreements.changes import AgreementChanges, get_agreement
from crm_core.agreements.contract_money import months_before_day
from crm_core.agreements.contract_states import ContractMove, next_state
from crm_core.agreements.drafts import Draft, check_span, check_terms, keep_contract, plans_of, terms_of
from crm_core.agreements.price_changes import price_rises
from crm_core.agreements.succession import successor_draft, with_devices
from crm_core.billing.deposits import ask_deposit, return_deposit
from crm_core.billing.plans import get_plan, use_plan
from crm_core.domain.contracts import (
    Agreement,
    ContractEvent,
    ContractState,
    DeviceStay,
    PriceConsent,
    Terms,
)
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.identity import ContractId, TenantId, checked_identifier
from crm_core.ports import UnitOfWork


class ContractDesk(AgreementChanges):
    """Keeps rental agreements. Each change is one transaction, leaves an event, and checks the version if one is told."""

    def draft(self, tenant: TenantId, draft: Draft, *, actor: str, dry_run: bool = False) -> Agreement:
        """Write a new draft and the contract that the service side sees; `Conflict` when the id is taken."""
        checked_identifier(draft.contract_id, "contract id")
        check_span(draft.starts_on, draft.ends_on)
        if not 0 <= draft.deposit_share <= 1:
            raise InvalidValue("the deposit is a share of the device value, 0 to 1")
        with self._uow_factory() as uow:
            made = self._add(uow, tenant, draft, actor)
            if not dry_run:
                uow.commit()
        return made

    def _add(self, uow: UnitOfWork, tenant: TenantId, draft: Draft, actor: str) -> Agreement:
        uow.customers.get(tenant, draft.customer_id)
        terms = terms_of(draft, self._policy)
        check_terms(uow, tenant, terms)
        keep_contract(uow, tenant, draft.contract_id, draft.customer_id, terms, draft.on_site_hours)
        first = ContractEvent(
            at=self.now, actor=actor, event="draft", from_state=None, to_state=ContractState.DRAFT
        )
        return uow.agreements.contracts.add(
            Agreement(
                tenant=tenant,
                contract_id=draft.contract_id,
                customer_id=draft.customer_id,
                state=ContractState.DRAFT,
                terms=(terms,),
                missing=draft.missing,
                assessment_id=draft.assessment_id,
                events=(first,),
            )
        )

    def enter_running(self, uow: UnitOfWork, tenant: TenantId, draft: Draft, *, document: str) -> Agreement:
        """Enter a contract that was signed before this product was: active at once, its deposit is not asked again."""
        check_span(draft.starts_on, draft.ends_on)
        made = self._add(uow, tenant, draft, "import")
        for line in draft.lines:
            use_plan(uow, get_plan(uow, tenant, line.plan_id, line.plan_edition))
        signed = PriceConsent(
            given_by=draft.customer_id,
            given_at=self.now,
            channel="import",
            document=document or "import",
            terms_version=1,
        )
        running = self._noted(made, "import", "imported", state=ContractState.ACTIVE)
        return uow.agreements.contracts.save(replace(running, consents=(signed,)))

    def get(self, tenant: TenantId, contract_id: str) -> Agreement:
        """Return an agreement, or raise `NotFound`."""
        with self._uow_factory() as uow:
            return get_agreement(uow, tenant, contract_id)

    def settle_missing(
        self, tenant: TenantId, contract_id: str, what: str, *, actor: str, dry_run: bool = False
    ) -> Agreement:
        """Note that something which kept the draft back is there now (a guarantor, for example)."""

        def change(_: UnitOfWork, agreement: Agreement) -> Agreement:
            if what not in agreement.missing:
                raise Conflict(f"contract {contract_id} does not miss {what!r}")
            left = tuple(each for each in agreement.missing if each != what)
            return self._noted(replace(agreement, missing=left), actor, "settled", what)

        return self._change(tenant, contract_id, change, dry_run=dry_run)

    def offer(
        self,
        tenant: TenantId,
        contract_id: str,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """Offer the draft to the customer; a draft that misses something stays one (`Conflict`, requirement 18)."""

        def change(_: UnitOfWork, agreement: Agreement) -> Agreement:
            if agreement.missing:
                raise Conflict(
                    f"contract {contract_id} stays a draft; missing: {', '.join(agreement.missing)}"
                )
            return self._moved(agreement, ContractMove.OFFER, actor)

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def sign(
        self,
        tenant: TenantId,
        contract_id: str,
        consent: PriceConsent,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """Both sides have signed: the agreement is active, its plans never change again, its deposit is invoiced (11, 16, 53)."""

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            signed = self._moved(agreement, ContractMove.SIGN, actor, note=consent.document)
            for line in agreement.current.lines:
                use_plan(uow, get_plan(uow, tenant, line.plan_id, line.plan_edition))
            for pool in agreement.current.pools:
                use_plan(uow, get_plan(uow, tenant, pool.plan_id, pool.plan_edition))
            given = replace(consent, terms_version=agreement.current.version)
            active = replace(signed, consents=(*signed.consents, given))
            ask_deposit(uow, active, self.today, self._clock.now())
            return with_devices(uow, active, self.zone)

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def change_terms(
        self,
        tenant: TenantId,
        contract_id: str,
        terms: Terms,
        *,
        actor: str,
        consent: PriceConsent | None = None,
        version: int | None = None,
        dry_run: bool = False,
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
            keep_contract(
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

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def move(
        self,
        tenant: TenantId,
        contract_id: str,
        move: ContractMove,
        *,
        actor: str,
        note: str = "",
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """Withdraw, suspend or resume; the moves with conditions have their own methods."""
        if move not in (ContractMove.WITHDRAW, ContractMove.SUSPEND, ContractMove.RESUME):
            raise InvalidValue(f"{move} has conditions of its own")
        return self._change(
            tenant,
            contract_id,
            lambda _, agreement: self._moved(agreement, move, actor, note=note),
            version,
            dry_run=dry_run,
        )

    def renew(
        self,
        tenant: TenantId,
        contract_id: str,
        successor_id: str,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
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

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def renew_for(
        self,
        tenant: TenantId,
        contract_id: str,
        successor_id: str,
        months: int,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """Renew for so many months: a draft with the present terms follows; signing it keeps the devices where they are."""
        identifier = ContractId(checked_identifier(successor_id, "contract id"))

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            hours = uow.contracts.get(tenant, contract_id).on_site_hours
            self._add(uow, tenant, successor_draft(agreement, identifier, months, hours), actor)
            moved = self._moved(agreement, ContractMove.RENEW, actor, note=identifier)
            return replace(moved, successor_id=identifier)

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

    def end(
        self,
        tenant: TenantId,
        contract_id: str,
        reason: str,
        *,
        actor: str,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Agreement:
        """End an agreement that is not renewed; without the reason why it was lost it is refused (requirement 34)."""
        if not reason.strip():
            raise InvalidValue("say why the customer does not renew: price, service, need, other")

        def change(uow: UnitOfWork, agreement: Agreement) -> Agreement:
            moved = self._moved(agreement, ContractMove.END, actor, note=reason)
            return_deposit(uow, agreement, self.today, self._clock.now())
            last = min(self.today, agreement.current.ends_on)
            return replace(
                moved, end_reason=reason.strip(), ended_on=last, stays=_closed(moved, self._end_of(last))
            )

        return self._change(tenant, contract_id, change, version, dry_run=dry_run)

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

    def _moved(self, agreement: Agreement, move: ContractMove, actor: str, *, note: str = "") -> Agreement:
        return self._noted(agreement, actor, move.value, note, next_state(agreement.state, move))

    def _check_change(self, uow: UnitOfWork, agreement: Agreement, terms: Terms) -> None:
        """Refuse terms that begin within a month or before what is billed, and any for an ended agreement."""
        if agreement.state not in (ContractState.ACTIVE, ContractState.EXPIRING, ContractState.SUSPENDED):
            raise Conflict(f"contract {agreement.contract_id} is {agreement.state}: its terms do not change")
        check_terms(uow, agreement.tenant, terms)
        gone = {line.line_id for line in agreement.current.lines} - {line.line_id for line in terms.lines}
        left = [stay for stay in agreement.stays if stay.line_id in gone and stay.to_at is None]
        if left:
            raise Conflict(f"line {left[0].line_id} still has device {left[0].device_id}; take it away first")
        if terms.effective_on.day != 1 or terms.effective_on <= agreement.current.effective_on:
            raise InvalidValue("new terms begin on the first day of a month after the present terms")
        billed = uow.billing.invoices.where(agreement.tenant, contract_id=agreement.contract_id)
        if any(row.period_to >= terms.effective_on for row in billed if row.run_key.startswith("rent:")):
            raise Conflict("the month is billed already; choose a later first day")

    def _end_of(self, day: date) -> datetime:
        return datetime.combine(day + timedelta(days=1), datetime.min.time(), self.zone)


def _closed(agreement: Agreement, at: datetime) -> tuple[DeviceStay, ...]:
    return tuple(
        replace(stay, to_at=at) if stay.to_at is None or stay.to_at > at else stay for stay in agreement.stays
    )
