"""From a rental request over a proposal to the draft of a contract (7, 48, 113).

The proposal clock starts with the request; its promise goes by the customer's tier. A draft takes deposit and payment
from the credit assessment, and stays a draft while something is missing (18).
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.contract_money import deposit_of
from crm_core.agreements.credit import needed_assessment
from crm_core.agreements.drafts import Draft
from crm_core.agreements.recommendation import Asked, check_needs, recommend, warnings_for
from crm_core.billing.plans import get_plan
from crm_core.domain.catalogue import Catalogue, DeviceModel
from crm_core.domain.contracts import Agreement, ContractLine
from crm_core.domain.credit import Proposal, Recommendation, RentalRequest, RequestState
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.fleet import Customer
from crm_core.domain.identity import ContractId, CustomerId, ModelId, TenantId
from crm_core.domain.money import to_cent
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.care import unmet_need
from crm_core.relations.periods import local_day, months_before
from crm_core.sla import proposal_promise, start_clock

_MOST_DEVICES = 1000
_MOST_MONTHS = 120
_SHOWN = 10
_FARTHEST = timedelta(days=3660)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The questionnaire: pages a month in all, devices, months, features by priority (7)."""

    customer_id: CustomerId
    pages_mono: int
    pages_colour: int = 0
    quantity: int = 1
    months: int = 36
    needs: dict[str, int]
    industry: str | None = None
    agreed_on: date | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is offered: a model of the ranking and a billing plan; without a rent it follows from the list price."""

    plan_id: str
    plan_edition: int
    starts_on: date
    model_id: ModelId | None = None  # None: the best one
    monthly_rent: Decimal | None = None


class RequestDesk:
    """Takes requests, proposes, and drafts contracts."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        clock: Clock,
        policy: PolicyBook,
        catalogue: Catalogue,
        contracts: ContractDesk,
    ) -> None:
        self._uow_factory = uow_factory
        self._clock = clock
        self._policy = policy
        self._catalogue = catalogue
        self._contracts = contracts

    def raise_request(self, tenant: TenantId, wish: Wish, *, by: str) -> RentalRequest:
        """Take a request: the proposal clock of the customer's tier starts now (48)."""
        check_needs(wish.needs)
        if not (wish.pages_mono + wish.pages_colour > 0 and min(wish.pages_mono, wish.pages_colour) >= 0):
            raise InvalidValue("say how many pages a month are expected")
        if not (1 <= wish.quantity <= _MOST_DEVICES and 1 <= wish.months <= _MOST_MONTHS):
            raise InvalidValue(f"1 to {_MOST_DEVICES} devices for 1 to {_MOST_MONTHS} months")
        now = self._clock.now()
        with self._uow_factory() as uow:
            customer = uow.customers.get(tenant, wish.customer_id)
            promise = proposal_promise(self._policy.sla, customer.tier)
            made = uow.agreements.requests.add(
                RentalRequest(
                    tenant=tenant,
                    request_id=0,
                    customer_id=wish.customer_id,
                    raised_at=now,
                    raised_by=by,
                    pages_mono=wish.pages_mono,
                    pages_colour=wish.pages_colour,
                    quantity=wish.quantity,
                    months=wish.months,
                    needs=dict(wish.needs),
                    clock=start_clock(self._policy.sla, self._policy.version, promise, now),
                    industry=wish.industry or customer.industry,
                    agreed_on=wish.agreed_on,
                    note=wish.note.strip(),
                )
            )
            if wish.agreed_on is not None:
                subject = f"request:{made.request_id}"
                uow.relations.tasks.add_once(unmet_need(self._policy, customer, subject, wish.agreed_on, now))
            uow.commit()
        return made

    def ranking(self, request: RentalRequest) -> list[Recommendation]:
        """Return how the models of the catalogue answer a request, per device."""
        return recommend(
            self._catalogue,
            Asked(
                pages_mono=-(-request.pages_mono // request.quantity),
                pages_colour=-(-request.pages_colour // request.quantity),
                needs=request.needs,
                industry=request.industry,
            ),
            self._policy.agreements.recommendation,
        )

    def propose(
        self, tenant: TenantId, request_id: int, choice: Choice, *, by: str, expected_version: int
    ) -> RentalRequest:
        """Offer a model with its money: the proposal clock is met. A refused model or no assessment is refused."""
        now = self._clock.now()
        with self._uow_factory() as uow:
            request = _known(
                uow, tenant, request_id, expected_version, RequestState.OPEN, RequestState.PROPOSED
            )
            if abs(choice.starts_on - self.today()) > _FARTHEST:
                raise InvalidValue("starts_on must be within ten years")
            plan = get_plan(uow, tenant, choice.plan_id, choice.plan_edition)
            assessment = needed_assessment(uow, tenant, request.customer_id, self._contracts.today)
            ranking = self.ranking(request)
            model = self._chosen(ranking, choice.model_id)
            value = Decimal(model.list_price or 0)
            rent = choice.monthly_rent
            if rent is None:
                share = self._policy.agreements.recommendation.monthly_share
                rent = plan.monthly_rent or to_cent(value * share)
            proposal = Proposal(
                made_at=now,
                made_by=by,
                model_id=model.model_id,
                plan_id=plan.plan_id,
                plan_edition=plan.edition,
                quantity=request.quantity,
                months=request.months,
                starts_on=choice.starts_on,
                device_value=value,
                monthly_rent=rent,
                deposit=deposit_of(value * request.quantity, assessment.deposit_share),
                payment_months=assessment.payment_months,
                assessment_id=assessment.assessment_id,
                ranking=tuple(ranking[:_SHOWN]),
            )
            met = replace(request.clock, met_at=request.clock.met_at or now)
            warned = warnings_for(model, request.industry, self._policy.agreements.recommendation)
            saved = uow.agreements.requests.save(
                replace(request, state=RequestState.PROPOSED, proposal=proposal, clock=met, warnings=warned)
            )
            uow.commit()
        return saved

    def accept(
        self, tenant: TenantId, request_id: int, contract_id: ContractId, *, by: str, expected_version: int
    ) -> tuple[RentalRequest, Agreement]:
        """Take the customer's yes: a draft of the contract is written, with what it still misses."""
        with self._uow_factory() as uow:
            request = _known(uow, tenant, request_id, expected_version, RequestState.PROPOSED)
            customer = uow.customers.get(tenant, request.customer_id)
            assessment = needed_assessment(uow, tenant, request.customer_id, self._contracts.today)
        assert request.proposal is not None  # a proposed request has one
        draft = self._draft(request, request.proposal, contract_id, customer)
        agreement = self._contracts.draft(
            tenant,
            replace(
                draft,
                deposit_share=assessment.deposit_share,
                payment_cycle_months=assessment.payment_months,
                assessment_id=str(assessment.assessment_id),
                missing=assessment.missing,
            ),
            actor=by,
        )
        with self._uow_factory() as uow:
            saved = uow.agreements.requests.save(
                replace(request, state=RequestState.ACCEPTED, contract_id=contract_id)
            )
            uow.commit()
        return saved, agreement

    def decline(
        self, tenant: TenantId, request_id: int, reason: str, *, expected_version: int
    ) -> RentalRequest:
        """Take the customer's no; the reason is kept (34)."""
        if not reason.strip():
            raise InvalidValue("say why: price, service, no_need, ...")
        with self._uow_factory() as uow:
            request = _known(
                uow, tenant, request_id, expected_version, RequestState.OPEN, RequestState.PROPOSED
            )
            met = replace(request.clock, met_at=request.clock.met_at or self._clock.now())
            declined = replace(request, state=RequestState.DECLINED, decline_reason=reason.strip(), clock=met)
            saved = uow.agreements.requests.save(declined)
            uow.commit()
        return saved

    def today(self) -> date:
        """Return the firm's local day."""
        return local_day(self._clock.now(), self._policy.sla.calendar.time_zone)

    def _chosen(self, ranking: list[Recommendation], model_id: ModelId | None) -> DeviceModel:
        wanted = next(
            (row for row in ranking if (model_id is None and not row.refused) or row.model_id == model_id),
            None,
        )
        if wanted is None:
            raise Conflict("no model of the catalogue answers this request; look at the ranking")
        if wanted.refused:
            why = ", ".join(
                f"{remark.feature} {remark.detail}" for remark in wanted.remarks if remark.kind == "refuses"
            )
            raise Conflict(f"{wanted.name} cannot be offered: {why}")
        model = self._catalogue.find(wanted.model_id)
        assert model is not None  # the ranking is of the catalogue
        return model

    def _draft(
        self, request: RentalRequest, proposal: Proposal, contract_id: ContractId, customer: Customer
    ) -> Draft:
        lines = tuple(
            ContractLine(
                line_id=f"L{number}",
                plan_id=proposal.plan_id,
                plan_edition=proposal.plan_edition,
                model_id=proposal.model_id,
                monthly_rent=proposal.monthly_rent,
                device_value=proposal.device_value,
            )
            for number in range(1, proposal.quantity + 1)
        )
        return Draft(
            contract_id=contract_id,
            customer_id=customer.customer_id,
            starts_on=proposal.starts_on,
            ends_on=months_before(proposal.starts_on, -request.months) - timedelta(days=1),
            lines=lines,
            deposit_share=Decimal(0),
        )


def _known(
    uow: UnitOfWork, tenant: TenantId, request_id: int, expected: int, *states: RequestState
) -> RentalRequest:
    request = uow.agreements.requests.get(tenant, request_id)
    if request.version != expected:
        raise Conflict(f"request {request_id} was changed meanwhile; read it again")
    if request.state not in states:
        raise Conflict(f"request {request_id} is {request.state} already")
    return request
