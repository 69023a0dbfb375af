"""Bodies of customers: files, contacts, classes with reasons, segments."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Input, Instant, LongText, Name, Output, ShortText
from crm_core.domain.customer_files import Channel, CompanyFile, Consent, Contact, CustomerSource, PersonFile
from crm_core.domain.fleet import Customer, CustomerKind
from crm_core.domain.identity import CustomerId, SiteId, TenantId
from crm_core.domain.relations import CustomerClass, FileChange
from crm_core.domain.relations_policy import Segment
from crm_core.relations.classifier import Classification

Day = Annotated[date, Field(strict=False)]
Count = Annotated[int, Field(ge=0, le=10_000_000)]
Yuan = Annotated[int, Field(ge=0, le=10**15)]
ChannelName = Literal["phone", "mail", "sms", "wechat", "chat", "visit"]
Minutes = Annotated[int, Field(ge=0, le=1439)]


class CompanyInput(Input):
    """File of a company (requirement 17); its registration number has its own route and is kept encrypted."""

    founded_year: Annotated[int, Field(ge=1800, le=2200)] | None = None
    registered_capital: Yuan | None = None
    employees: Count | None = None
    legal_representative: ShortText | None = None
    past_defaults: Annotated[int, Field(ge=0, le=1000)] = 0
    start_up: bool = False


class PersonInput(Input):
    """File of a person (requirement 18); the identity number has its own route and is kept encrypted."""

    occupation: ShortText | None = None
    employer: ShortText | None = None
    proof_of_work: bool = False
    guarantor_name: ShortText | None = None
    guarantor_phone: ShortText | None = None
    past_defaults: Annotated[int, Field(ge=0, le=1000)] = 0


class CustomerInput(Input):
    """What people may say of a customer; the tier follows from classification."""

    name: ShortText
    kind: Literal["person", "company"] = "company"
    industry: ShortText | None = None
    contact_name: ShortText | None = None
    phone: ShortText | None = None
    email: ShortText | None = None
    language: Literal["zh-CN", "en"] = "zh-CN"
    source: Literal["online", "offline", "partner"] | None = None
    consents: list[Literal["marketing", "survey", "data"]] = Field(default_factory=list, max_length=3)
    price_sensitivity: Literal["low", "mid", "high"] | None = None
    referred_by: Name | None = None
    company: CompanyInput | None = None
    person: PersonInput | None = None

    def customer(self, tenant: TenantId, customer_id: str) -> Customer:
        """Return the customer that the body describes."""
        company, person = self.company, self.person
        return Customer(
            tenant=tenant,
            customer_id=CustomerId(customer_id),
            name=self.name,
            kind=CustomerKind(self.kind),
            industry=self.industry,
            contact_name=self.contact_name,
            phone=self.phone,
            email=self.email,
            language=self.language,
            source=CustomerSource(self.source) if self.source else None,
            consents=tuple(dict.fromkeys(Consent(each) for each in self.consents)),
            price_sensitivity=self.price_sensitivity,
            referred_by=CustomerId(self.referred_by) if self.referred_by else None,
            company=CompanyFile(**company.model_dump()) if company else None,
            person=PersonFile(**person.model_dump()) if person else None,
        )


class NewCustomer(CustomerInput):
    """A customer with the id that it shall have."""

    customer_id: Name


class CustomerRow(Output):
    """A customer in a list; `mark` is good, ordinary, potential or risk (requirement 79)."""

    customer_id: str
    name: str
    kind: str
    tier: str
    mark: str | None
    industry: str | None
    owner: str | None
    classes: dict[str, str]

    @classmethod
    def of(cls, customer: Customer, classes: Mapping[str, str]) -> "CustomerRow":
        return cls(
            customer_id=customer.customer_id,
            name=customer.name,
            kind=customer.kind.value,
            tier=customer.tier.value,
            mark=classes.get("mark"),
            industry=customer.industry,
            owner=customer.owner,
            classes=dict(classes),
        )


class CustomerBody(CustomerRow):
    """The whole file of a customer. Personal identity numbers are not in it: see `/customers/{id}/personal`."""

    contact_name: str | None
    phone: str | None
    email: str | None
    language: str
    source: str | None
    consents: list[str]
    price_sensitivity: str | None
    referred_by: str | None
    company: dict[str, str | int | bool | None] | None
    person: dict[str, str | int | bool | None] | None
    registered_on: date | None
    review_due_on: date | None
    version: int

    @classmethod
    def full(cls, customer: Customer, classes: Mapping[str, str]) -> "CustomerBody":
        """Return the body of one customer."""
        company, person = customer.company, customer.person
        return cls(
            **CustomerRow.of(customer, classes).model_dump(),
            contact_name=customer.contact_name,
            phone=customer.phone,
            email=customer.email,
            language=customer.language,
            source=customer.source,
            consents=[each.value for each in customer.consents],
            price_sensitivity=customer.price_sensitivity,
            referred_by=customer.referred_by,
            company=_file_fields(CompanyInput, company),
            person=_file_fields(PersonInput, person),
            registered_on=customer.registered_on,
            review_due_on=customer.review_due_on,
            version=customer.version,
        )


def _file_fields(
    model: type[Input], held: CompanyFile | PersonFile | None
) -> dict[str, str | int | bool | None] | None:
    return None if held is None else {name: getattr(held, name) for name in model.model_fields}


class ReasonBody(Output):
    """One reason of a class."""

    measure: str
    value: str
    relation: str
    threshold: str
    basis: str


class ClassBody(Output):
    """A class of a customer on an axis; `until` is null for the present one."""

    axis: str
    value: str
    since: Instant
    until: Instant | None
    candidate: str | None
    candidate_since: Instant | None
    policy_version: str
    reasons: list[ReasonBody]

    @classmethod
    def of(cls, row: CustomerClass) -> "ClassBody":
        return cls(
            axis=row.axis,
            value=row.value,
            since=row.since,
            until=row.until,
            candidate=row.candidate,
            candidate_since=row.candidate_since,
            policy_version=row.policy_version,
            reasons=[ReasonBody.model_validate(each) for each in row.reasons],
        )


def _by_phone() -> list[ChannelName]:
    return ["phone"]


class ContactInput(Input):
    """Somebody to speak to; quiet hours are minutes after local midnight."""

    name: ShortText
    site_id: Name | None = None
    role: Literal["decision", "accounts", "operator", "it", "other"] = "other"
    phone: ShortText | None = None
    email: ShortText | None = None
    wechat: ShortText | None = None
    channels: list[ChannelName] = Field(default_factory=_by_phone, min_length=1, max_length=6)
    language: Literal["zh-CN", "en"] = "zh-CN"
    quiet_from: Minutes | None = None
    quiet_until: Minutes | None = None
    opt_outs: list[ChannelName] = Field(default_factory=list, max_length=6)
    primary: bool = False
    active: bool = True

    def contact(self, tenant: TenantId, customer_id: str, contact_id: int = 0, version: int = 1) -> Contact:
        """Return the contact that the body describes."""
        told = self.model_dump(exclude={"site_id", "channels", "opt_outs"})
        return Contact(
            tenant=tenant,
            contact_id=contact_id,
            customer_id=CustomerId(customer_id),
            site_id=SiteId(self.site_id) if self.site_id else None,
            channels=tuple(dict.fromkeys(Channel(each) for each in self.channels)),
            opt_outs=tuple(dict.fromkeys(Channel(each) for each in self.opt_outs)),
            version=version,
            **told,
        )


class ContactBody(Output):
    """Somebody to speak to at a customer."""

    contact_id: int
    name: str
    site_id: str | None
    role: str
    phone: str | None
    email: str | None
    wechat: str | None
    channels: list[str]
    language: str
    quiet_from: int | None
    quiet_until: int | None
    opt_outs: list[str]
    primary: bool
    active: bool
    version: int


class SegmentBody(Output):
    """A segment with its definition and who is in it, at an instant (now unless asked); reproducible by both."""

    name: str
    classes: dict[str, list[str]]
    offer: str
    as_of: Instant
    policy_version: str
    customer_ids: list[str]
    reachable_ids: list[str]

    @classmethod
    def of(
        cls, segment: Segment, as_of: Instant, version: str, inside: list[CustomerId], may: list[CustomerId]
    ) -> "SegmentBody":
        return cls(
            name=segment.name,
            classes={axis: list(values) for axis, values in segment.classes.items()},
            offer=segment.offer,
            as_of=as_of,
            policy_version=version,
            customer_ids=[str(each) for each in inside],
            reachable_ids=[str(each) for each in may],
        )


class OfferedBody(Output):
    """What became of an offer: new tasks, those who had it this month already, those who want no offers."""

    made: list[str]
    already: list[str]
    opted_out: list[str]


class DryRunInput(Input):
    """Thresholds to change for a look: axis.class.measure -> value, as repair.frequent.device_tickets_90d -> 2."""

    thresholds: Annotated[
        dict[
            Annotated[str, Field(max_length=100)],
            Annotated[Decimal, Field(strict=False, ge=-(10**9), le=10**9)],
        ],
        Field(min_length=1, max_length=20),
    ]


class MoveBody(Output):
    """A customer who would change class."""

    customer_id: str
    name: str
    axis: str
    from_value: str
    to_value: str
    reasons: list[ReasonBody]


class DryRunBody(Output):
    """Who would move; nothing is kept."""

    customers: int
    moves: list[MoveBody]

    @classmethod
    def of(cls, found: Classification) -> "DryRunBody":
        return cls(
            customers=found.customers,
            moves=[
                MoveBody(
                    customer_id=move.customer_id,
                    name=move.name,
                    axis=move.axis,
                    from_value=move.from_value,
                    to_value=move.to_value,
                    reasons=[ReasonBody.model_validate(each) for each in move.reasons],
                )
                for move in found.moves
            ],
        )


class FileChangeInput(Input):
    """What a customer wants changed in the own file."""

    contact_name: ShortText | None = None
    phone: ShortText | None = None
    email: ShortText | None = None
    industry: ShortText | None = None
    language: Literal["zh-CN", "en"] | None = None


class FileChangeBody(Output):
    """Changes that a customer proposed."""

    change_id: int
    customer_id: str
    proposed_at: Instant
    proposed_by: str
    changes: dict[str, str]
    state: str
    decided_at: Instant | None
    decided_by: str | None

    @classmethod
    def of(cls, change: FileChange) -> "FileChangeBody":
        return cls.model_validate(change)


class DecisionInput(Input):
    """Yes or no to proposed changes."""

    accept: bool
    note: LongText = ""
