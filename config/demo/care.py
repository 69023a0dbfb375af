"""The demonstration's care of customers: files, leads, monthly classes, talks, questions with their answers, complaints.

Everything goes through the services that people use; what is said and answered follows from ids and months alone, so that
the same demonstration is the same each time.
"""

import tomllib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from config.wiring.core import Core
from config.wiring.customers import build_customers, customers_night
from crm_core.agreements.requests import Choice, Wish
from crm_core.domain.customer_files import Channel, CompanyFile, Consent, Contact, CustomerSource
from crm_core.domain.fleet import Customer
from crm_core.domain.identity import CustomerId
from crm_core.domain.relations import Complaint, Survey
from crm_core.ports import TelemetryStore, UnitOfWork
from crm_core.relations.care import Spoken
from crm_core.relations.reminders import open_tasks
from crm_core.relations.services import CustomerServices
from crm_core.relations.surveys import Answer

_TOLD: Final = Path(__file__).with_name("care.toml")
_TALK_DAYS: Final = (6, 17)  # of a month; the second one only for core customers
_VISIT_MONTHS: Final = (2, 5, 8, 11)
_SECONDS_TO_WRITE: Final = 3600
_ACTION_DAYS: Final = 7
_DONE_WITHOUT_CHOICE: Final = frozenset(
    {
        "hand_over",
        "contact",
        "visit",
        "head_review",
        "check_task",
        "care_plan_task",
        "calibration_task",
        "survey_call_back",
    }
)


@dataclass(slots=True)
class CareDays:
    """Cares for the customers day by day, up to `until`."""

    core: Core
    store: TelemetryStore
    until: datetime
    _customers: CustomerServices = field(init=False)
    _told: Mapping[str, Any] = field(init=False)
    _links: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        core = self.core
        self._told = tomllib.loads(_TOLD.read_text(encoding="utf-8"))
        self._customers = build_customers(
            core.uow_factory, core.clock, core.policy, core.catalogue, self.store, self._keep_link
        )

    def found(self) -> None:
        """Complete the files of the customers, add the leads, and classify everybody for the first time."""
        today = self._customers.requests.today()
        with self.core.uow_factory() as uow:
            for customer in uow.customers.all(self.core.tenant):
                told = self._told["files"].get(customer.customer_id)
                if told is not None:
                    uow.customers.save(replace(_with_file(customer, told), registered_on=today))
            uow.commit()
        with self.core.uow_factory() as uow:
            known = list(uow.customers.all(self.core.tenant))
        for customer in known:
            contact = Contact(
                tenant=self.core.tenant,
                contact_id=0,
                customer_id=customer.customer_id,
                name=customer.contact_name or customer.name,
                role="decision",
                phone=customer.phone,
                email=customer.email,
                channels=(Channel.PHONE, Channel.MAIL),
                primary=True,
            )
            self._customers.files.add_contact(contact)
        for lead in self._told["leads"]:
            self._customers.files.register(_lead(self.core, lead))
        customers_night(self.core, self._customers)

    def end_of_day(self, now: datetime) -> None:
        """Do what falls on this day."""
        if now.day == 1:
            customers_night(self.core, self._customers)
            self._customers.surveys.ask_month(self.core.tenant)
            self._answer()
        if now.day in _TALK_DAYS:
            self._talk(now)
        if now.weekday() == 0:
            self._finish_tasks(now)
            self._customers.surveys.ask_visits(self.core.tenant)
            self._answer()
        days_left = (self.until - now).days
        for told in self._told["complaints"]:
            if told["days_before"] == days_left:
                self._complain(told)
        if days_left == 1:
            self._last_day()

    def _last_day(self) -> None:
        """Classify with what is known now; the leads ask for devices, and one of them has a proposal already."""
        customers_night(self.core, self._customers)
        for place, lead in enumerate(self._told["leads"]):
            wish = Wish(
                customer_id=CustomerId(lead["id"]),
                pages_mono=lead["pages_mono"],
                pages_colour=lead["pages_colour"],
                quantity=lead["quantity"],
                months=lead["months"],
                needs=dict(lead["needs"]),
            )
            request = self._customers.requests.raise_request(self.core.tenant, wish, by=lead["contact"])
            self._customers.credit.assess(self.core.tenant, wish.customer_id, assessor="specialist")
            with self.core.uow_factory() as uow:
                plan = next(iter(uow.billing.plans.where(self.core.tenant, limit=1)), None)
            if place == 1 and plan is not None:
                starts_on = self._customers.requests.today() + timedelta(days=14)
                choice = Choice(plan_id=plan.plan_id, plan_edition=plan.edition, starts_on=starts_on)
                self._customers.requests.propose(
                    self.core.tenant,
                    request.request_id,
                    choice,
                    by="specialist",
                    expected_version=request.version,
                )

    def _finish_tasks(self, now: datetime) -> None:
        """Let people do most of what is due; the rest is what a user of the demonstration finds."""
        with self.core.uow_factory() as uow:
            due = [task for task in open_tasks(uow, self.core.tenant) if task.due_at <= now]
        for task in due:
            if task.kind in _DONE_WITHOUT_CHOICE and _luck(f"task:{task.task_id}") % 4:
                self._customers.care.finish(
                    self.core.tenant, task.task_id, by=task.owner or task.role, note=self._told["done"]
                )

    def _talk(self, now: datetime) -> None:
        """Speak with the customers whose turn it is; core ones twice a month, some in person."""
        with self.core.uow_factory() as uow:
            customers = uow.customers.all(self.core.tenant)
        spoken = self._told["spoken"]
        for customer in customers:
            second = now.day == _TALK_DAYS[1]
            luck = _luck(f"{customer.customer_id}:{now:%Y-%m-%d}")
            if (second and customer.tier.value != "core") or luck % 5 == 0:
                continue  # somebody forgot: a task will say so
            visit = not second and now.month in _VISIT_MONTHS and luck % 2 == 0
            self._customers.care.record(
                self.core.tenant,
                Spoken(
                    customer_id=customer.customer_id,
                    channel=Channel.VISIT if visit else Channel.PHONE,
                    at=now - timedelta(seconds=_SECONDS_TO_WRITE * (1 + luck % 40)),
                    content=spoken["content"][luck % 4],
                    needs=spoken["needs"][luck // 4 % 4],
                    feedback=spoken["feedback"][luck // 16 % 4],
                ),
                by=customer.owner or "specialist",
            )

    def _keep_link(self, uow: UnitOfWork, survey: Survey, path: str) -> None:
        del uow
        self._links[survey.survey_id] = path.rsplit("/", 1)[-1]

    def _answer(self) -> None:
        """Let most customers answer what they were asked."""
        for survey_id, token in sorted(self._links.items()):
            luck = _luck(f"survey:{survey_id}")
            if luck % 3:
                self._customers.surveys.answer(
                    self.core.tenant,
                    token,
                    Answer(
                        satisfaction=(100, 95, 90, 90, 85, 80, 75, 60)[luck // 3 % 8],
                        contacted_in_time=luck % 7 != 0,
                        fixed_first_time=luck % 4 != 0,
                    ),
                )
        self._links.clear()

    def _complain(self, told: Mapping[str, Any]) -> None:
        care, tenant = self._customers.care, self.core.tenant
        raised = care.complain(
            tenant,
            CustomerId(told["customer"]),
            subject=told["subject"],
            text=told["text"],
            channel=Channel.PHONE,
        )
        if "action" in told:
            self._settle(raised, told)

    def _settle(self, raised: Complaint, told: Mapping[str, Any]) -> None:
        care, tenant = self._customers.care, self.core.tenant
        acting = care.act(
            tenant,
            raised.complaint_id,
            cause=told["cause"],
            action=told["action"],
            action_owner=raised.owner,
            action_due=self._customers.requests.today() + timedelta(days=_ACTION_DAYS),
            expected_version=raised.version,
        )
        care.close_complaint(
            tenant,
            raised.complaint_id,
            closing_call=told["closing_call"],
            by="supervisor",
            expected_version=acting.version,
        )


def _with_file(customer: Customer, told: Mapping[str, Any]) -> Customer:
    company = CompanyFile(
        founded_year=told["founded_year"],
        registered_capital=told.get("registered_capital"),
        employees=told["employees"],
        past_defaults=told.get("past_defaults", 0),
    )
    referred_by = told.get("referred_by")
    consents = (Consent.SURVEY, *((Consent.MARKETING,) if told["marketing"] else ()))
    return replace(
        customer,
        source=CustomerSource(told["source"]),
        company=company,
        consents=consents,
        price_sensitivity=told["price_sensitivity"],
        referred_by=CustomerId(referred_by) if referred_by else None,
    )


def _lead(core: Core, told: Mapping[str, Any]) -> Customer:
    return Customer(
        tenant=core.tenant,
        customer_id=CustomerId(told["id"]),
        name=told["name"],
        industry=told["industry"],
        contact_name=told["contact"],
        phone=told["phone"],
        source=CustomerSource(told["source"]),
        consents=(Consent.MARKETING,),
        company=CompanyFile(
            start_up=told["start_up"],
            founded_year=told.get("founded_year"),
            registered_capital=told.get("registered_capital"),
        ),
    )


def _luck(text: str) -> int:
    """Return a number that belongs to the text: chance that is the same in every run."""
    return zlib.crc32(text.encode())
