"""Bodies of billing plans and rental contracts. Amounts and prices are decimal texts in yuan."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Self

from pydantic import Field

from api.schemas.base import Input, Instant, Name, Output, ShortText
from api.schemas.billing import Amount, Price
from crm_core.agreements.drafts import Draft
from crm_core.domain.billing import BillingPlan, PageTariff, PriceStep
from crm_core.domain.contracts import Agreement, ContractLine, PagePool, Terms
from crm_core.domain.identity import ContractId, CustomerId, TenantId

Share = Annotated[str, Field(pattern=r"^(0(\.[0-9]{1,4})?|1(\.0{1,4})?)$", examples=["0.30"])]
Pages = Annotated[int, Field(ge=0, le=100_000_000)]


class StepInput(Input):
    """From this page beyond the free ones on, another price."""

    from_page: Annotated[int, Field(ge=2, le=100_000_000)]
    price: Price


class TariffInput(Input):
    """Price of a page, free pages a month, steps."""

    price: Price
    free_pages: Pages = 0
    steps: Annotated[list[StepInput], Field(max_length=20)] = Field(default_factory=list)

    def tariff(self) -> PageTariff:
        """Return the tariff."""
        return PageTariff(
            price=Decimal(self.price),
            free_pages=self.free_pages,
            steps=tuple(PriceStep(from_page=row.from_page, price=Decimal(row.price)) for row in self.steps),
        )


class PlanInput(Input):
    """A billing plan or package in an edition; never changed once a contract uses it."""

    plan_id: Name
    edition: Annotated[int, Field(ge=1, le=10_000)] = 1
    name: ShortText
    monthly_rent: Price
    mono: TariffInput
    colour: TariffInput
    carry_over_months: Annotated[int, Field(ge=0, le=60)] = 0

    def plan(self, tenant: TenantId) -> BillingPlan:
        """Return the plan."""
        return BillingPlan(
            tenant=tenant,
            plan_id=self.plan_id,
            edition=self.edition,
            name=self.name,
            monthly_rent=Decimal(self.monthly_rent),
            mono=self.mono.tariff(),
            colour=self.colour.tariff(),
            carry_over_months=self.carry_over_months,
        )


class StepBody(Output):
    """A step of a tariff."""

    from_page: int
    price: Decimal


class TariffBody(Output):
    """A tariff of one meter."""

    price: Decimal
    free_pages: int
    steps: list[StepBody]

    @classmethod
    def of(cls, tariff: PageTariff) -> Self:
        """Return the body of a tariff."""
        steps = [StepBody(from_page=row.from_page, price=row.price) for row in tariff.steps]
        return cls(price=tariff.price, free_pages=tariff.free_pages, steps=steps)


class PlanBody(Output):
    """An edition of a billing plan; `used`: a contract names it."""

    plan_id: str
    edition: int
    name: str
    monthly_rent: Decimal
    mono: TariffBody
    colour: TariffBody
    carry_over_months: int
    used: bool

    @classmethod
    def of(cls, plan: BillingPlan) -> Self:
        """Return the body of a plan."""
        return cls(
            plan_id=plan.plan_id,
            edition=plan.edition,
            name=plan.name,
            monthly_rent=plan.monthly_rent,
            mono=TariffBody.of(plan.mono),
            colour=TariffBody.of(plan.colour),
            carry_over_months=plan.carry_over_months,
            used=plan.used,
        )


class LineInput(Input):
    """One rented place for a device."""

    line_id: Name
    plan_id: Name
    plan_edition: Annotated[int, Field(ge=1)] = 1
    model_id: Name | None = None
    pool_id: Name | None = None
    monthly_rent: Price | None = None
    device_value: Amount = "0"

    def line(self) -> ContractLine:
        """Return the line."""
        return ContractLine(
            line_id=self.line_id,
            plan_id=self.plan_id,
            plan_edition=self.plan_edition,
            model_id=self.model_id,
            pool_id=self.pool_id,
            monthly_rent=None if self.monthly_rent is None else Decimal(self.monthly_rent),
            device_value=Decimal(self.device_value),
        )


class PoolInput(Input):
    """Pages that lines use together, by the tariff of a plan."""

    pool_id: Name
    plan_id: Name
    plan_edition: Annotated[int, Field(ge=1)] = 1


class ContractInput(Input):
    """A new draft. Deposit share and payment cycle come from the credit assessment."""

    contract_id: Name
    customer_id: Name
    starts_on: date = Field(strict=False)
    ends_on: date = Field(strict=False)
    lines: Annotated[list[LineInput], Field(min_length=1, max_length=500)]
    pools: Annotated[list[PoolInput], Field(max_length=50)] = Field(default_factory=list)
    deposit_share: Share
    payment_cycle_months: Annotated[int, Field(ge=1, le=12)] = 1
    on_site_hours: Annotated[int, Field(ge=1, le=720)] | None = None
    assessment_id: Name | None = None
    missing: Annotated[list[ShortText], Field(max_length=10)] = Field(default_factory=list)
    clauses: Annotated[list[ShortText], Field(max_length=100)] = Field(default_factory=list)
    template: Name = "rental"
    template_version: Name = "1"

    def draft(self) -> Draft:
        """Return what the desk makes the agreement of."""
        return Draft(
            contract_id=ContractId(self.contract_id),
            customer_id=CustomerId(self.customer_id),
            starts_on=self.starts_on,
            ends_on=self.ends_on,
            lines=tuple(row.line() for row in self.lines),
            pools=_pools(self.pools),
            deposit_share=Decimal(self.deposit_share),
            payment_cycle_months=self.payment_cycle_months,
            assessment_id=self.assessment_id,
            missing=tuple(self.missing),
            on_site_hours=self.on_site_hours,
            clauses=tuple(self.clauses),
            template=self.template,
            template_version=self.template_version,
        )


class ConsentInput(Input):
    """The customer's recorded agreement: who, how, and the document that shows it."""

    given_by: ShortText
    channel: ShortText = "signature"
    document: ShortText


class TermsInput(Input):
    """New lines and pools from the first day of a month; a price rise needs `consent` (409 without)."""

    effective_on: date = Field(strict=False)
    ends_on: date | None = Field(default=None, strict=False)
    lines: Annotated[list[LineInput], Field(min_length=1, max_length=500)]
    pools: Annotated[list[PoolInput], Field(max_length=50)] = Field(default_factory=list)
    consent: ConsentInput | None = None

    def terms(self, present: Terms) -> Terms:
        """Return the new terms; what is not told stays as it is."""
        return Terms(
            version=present.version,
            effective_on=self.effective_on,
            starts_on=present.starts_on,
            ends_on=self.ends_on or present.ends_on,
            lines=tuple(row.line() for row in self.lines),
            pools=_pools(self.pools),
            payment_cycle_months=present.payment_cycle_months,
            payment_days=present.payment_days,
            deposit_share=present.deposit_share,
            deposit=present.deposit,
            term_discount=present.term_discount,
            template=present.template,
            template_version=present.template_version,
            clauses=present.clauses,
        )


class PlaceInput(Input):
    """A device that begins to serve a line now; the one that is there is taken away."""

    device_id: Name
    start_count: Pages | None = None
    end_count: Pages | None = None


class TakeAwayInput(Input):
    """The last count of the device that leaves its line."""

    end_count: Pages | None = None


class LostInput(Input):
    """A device of the contract that was lost, and when (today unless told)."""

    device_id: Name
    lost_on: Annotated[date | None, Field(strict=False)] = None


class SettleInput(Input):
    """What was missing, as the contract names it."""

    what: Name


class TerminateInput(Input):
    """The last day, included, and why."""

    last_day: date = Field(strict=False)
    reason: ShortText


class SuccessorInput(Input):
    """The contract that follows."""

    successor_id: Name


class LineBody(Output):
    """One line with the device that serves it now."""

    line_id: str
    plan_id: str
    plan_edition: int
    model_id: str | None
    pool_id: str | None
    monthly_rent: Decimal | None
    device_value: Decimal
    device_id: str | None


class PriceConsentBody(Output):
    """A recorded consent of the customer."""

    given_by: str
    given_at: Instant
    channel: str
    document: str
    terms_version: int


class ContractEventBody(Output):
    """One step of the agreement's life."""

    at: Instant
    actor: str
    event: str
    to_state: str
    note: str


class ContractRow(Output):
    """An agreement in lists."""

    contract_id: str
    customer_id: str
    state: str
    starts_on: date
    ends_on: date
    terms_version: int
    payment_cycle_months: int
    deposit: Decimal

    @classmethod
    def of(cls, agreement: Agreement) -> Self:
        """Return the row of an agreement."""
        terms = agreement.current
        return cls(
            contract_id=agreement.contract_id,
            customer_id=agreement.customer_id,
            state=agreement.state.value,
            starts_on=terms.starts_on,
            ends_on=agreement.last_day,
            terms_version=terms.version,
            payment_cycle_months=terms.payment_cycle_months,
            deposit=terms.deposit,
        )


class ContractBody(ContractRow):
    """An agreement with its lines, consents and history; `events` is empty for customers."""

    deposit_share: Decimal
    term_discount: Decimal
    payment_days: int
    template: str
    template_version: str
    clauses: list[str]
    policy_version: str
    lines: list[LineBody]
    consents: list[PriceConsentBody]
    events: list[ContractEventBody]
    missing: list[str]
    assessment_id: str | None
    successor_id: str | None
    end_reason: str

    @classmethod
    def full(cls, agreement: Agreement, *, inside: bool) -> Self:
        """Return the whole agreement; remarks among staff only `inside`."""
        terms = agreement.current
        serving = {stay.line_id: stay.device_id for stay in agreement.stays if stay.to_at is None}
        plain = ("line_id", "plan_id", "plan_edition", "model_id", "pool_id", "monthly_rent", "device_value")
        return cls(
            **ContractRow.of(agreement).model_dump(),
            deposit_share=terms.deposit_share,
            term_discount=terms.term_discount,
            payment_days=terms.payment_days,
            template=terms.template,
            template_version=terms.template_version,
            clauses=list(terms.clauses),
            policy_version=terms.policy_version,
            lines=[
                LineBody(**{name: getattr(line, name) for name in plain}, device_id=serving.get(line.line_id))
                for line in terms.lines
            ],
            consents=[
                PriceConsentBody.model_validate(row, from_attributes=True) for row in agreement.consents
            ],
            events=[
                ContractEventBody.model_validate(row, from_attributes=True)
                for row in (agreement.events if inside else ())
            ],
            missing=list(agreement.missing) if inside else [],
            assessment_id=agreement.assessment_id if inside else None,
            successor_id=agreement.successor_id,
            end_reason=agreement.end_reason if inside else "",
        )


class TerminatedBody(Output):
    """An agreement that ended before its time, and the penalty that waits for its last invoice."""

    contract: ContractBody
    penalty: Decimal


class LostBody(Output):
    """The contract, and the compensation that waits for its next invoice."""

    contract: ContractBody
    compensation: Decimal


class ShortRentalBody(Output):
    """The price of a short rental."""

    price: Decimal
    weekend_packages: int
    days: int


def _pools(rows: list[PoolInput]) -> tuple[PagePool, ...]:
    return tuple(
        PagePool(pool_id=row.pool_id, plan_id=row.plan_id, plan_edition=row.plan_edition) for row in rows
    )
