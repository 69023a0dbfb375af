"""The customers' side of a process: its services over one database, and what runs by night."""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from config.supervision import Supervisor
from config.wiring.core import Core
from config.wiring.telling import addressing_of
from crm_core.agreements.contract_desk import ContractDesk
from crm_core.agreements.credit import CreditDesk
from crm_core.agreements.requests import RequestDesk
from crm_core.domain.billing import Invoice
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.notices import ReceiverKind
from crm_core.domain.policy import PolicyBook
from crm_core.domain.relations import Survey
from crm_core.fieldwork.plans import CarePlans
from crm_core.notices.addressing import Addressing
from crm_core.ports import Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.care import CareDesk
from crm_core.relations.class_report import ClassReport
from crm_core.relations.classifier import Classifier
from crm_core.relations.customers import CustomerDesk
from crm_core.relations.loyalty import Loyalty
from crm_core.relations.measures import Measurer
from crm_core.relations.money_facts import BillingMoney
from crm_core.relations.offers import Offers
from crm_core.relations.outcomes import Outcomes
from crm_core.relations.prevention import Prevention
from crm_core.relations.reminders import Reminders
from crm_core.relations.rent_reminders import Reminds, RentReminders
from crm_core.relations.scorecards import Scorecards
from crm_core.relations.services import CustomerServices
from crm_core.relations.surveys import Asks, Surveys
from crm_core.storage.sqlalchemy_uow import make_uow_factory

_log = structlog.get_logger("drumbeat.customers")
RATINGS_SECONDS: Final = 3600.0


def build_customers(
    uow_factory: UnitOfWorkFactory,
    clock: Clock,
    policy: PolicyBook,
    catalogue: Catalogue,
    store: TelemetryStore | None = None,
    asks: Asks | None = None,
    reading: UnitOfWorkFactory | None = None,
) -> CustomerServices:
    """Return the services; without `store` the print volume stays unknown, without `asks` nobody is written to."""
    money = BillingMoney(max(policy.agreements.contracts.dunning_days))
    contracts = ContractDesk(uow_factory, clock, policy)
    prevention = None
    if store is not None:
        plans = CarePlans(uow_factory, clock, policy, store)
        prevention = Prevention(uow_factory, clock, policy, plans)
    return CustomerServices(
        files=CustomerDesk(uow_factory, clock, policy),
        classifier=Classifier(uow_factory, clock, policy, Measurer(policy, catalogue, money, store), reading),
        care=CareDesk(uow_factory, clock, policy),
        reminders=Reminders(uow_factory, clock, policy),
        loyalty=Loyalty(uow_factory, clock, policy),
        surveys=Surveys(uow_factory, clock, policy, asks),
        scorecards=Scorecards(uow_factory, clock, policy),
        outcomes=Outcomes(uow_factory, clock, policy, money),
        class_report=ClassReport(clock, policy, money),
        credit=CreditDesk(uow_factory, clock, policy, money),
        requests=RequestDesk(uow_factory, clock, policy, catalogue, contracts),
        offers=Offers(uow_factory, clock, policy),
        prevention=prevention,
    )


def customers_of(core: Core, store: TelemetryStore, public_url: str = "") -> CustomerServices:
    """Return the services of a process; questions to customers go out as notices."""
    api = core.settings.api
    url = api.public_url or public_url or f"http://{api.host}:{api.port}"
    asks = ask_by_notice(addressing_of(core.settings, core.policy), core.clock, url)
    reading = make_uow_factory(core.settings.crm_url, read_only=True)
    return build_customers(core.uow_factory, core.clock, core.policy, core.catalogue, store, asks, reading)


def ask_by_notice(addressing: Addressing, clock: Clock, public_url: str) -> Asks:
    """Return how a question reaches its customer: as a notice over the channel that the customer has."""

    def ask(uow: UnitOfWork, survey: Survey, path: str) -> None:
        kind, _, what = survey.subject.partition(":")
        uow.notices.add(
            [
                addressing.notice(
                    uow,
                    survey.tenant,
                    ReceiverKind.CUSTOMER,
                    survey.customer_id,
                    unique_key=f"survey:{survey.survey_id}",
                    topic=f"survey.{kind}",
                    subject=f"survey:{survey.survey_id}",
                    text_key=f"notices.survey_{kind}",
                    arguments={"what": what, "link": f"{public_url}{path}"},
                    now=clock.now(),
                )
            ]
        )

    return ask


def remind_by_notice(addressing: Addressing, clock: Clock) -> Reminds:
    """Return how a customer is reminded of an invoice; who opted out of the channel finds it on the own pages."""

    def remind(uow: UnitOfWork, invoice: Invoice) -> bool:
        notice = addressing.notice(
            uow,
            invoice.tenant,
            ReceiverKind.CUSTOMER,
            invoice.customer_id,
            unique_key=f"rent_due:{invoice.invoice_number}",
            topic="invoice.due_soon",
            subject=f"invoice:{invoice.invoice_number}",
            text_key="notices.rent_due",
            arguments={
                "number": invoice.invoice_number,
                "amount": f"{invoice.outstanding} {invoice.currency}",
                "day": invoice.due_on.isoformat(),
            },
            now=clock.now(),
        )
        return uow.notices.add([notice]) > 0

    return remind


def schedule_customers(
    core: Core,
    customers: CustomerServices,
    supervisor: Supervisor,
    job: Callable[[Callable[[], object]], Callable[[], object]],
) -> None:
    """Register the nightly classification with what follows from it, the monthly question and the ratings of visits."""
    at = core.settings.schedule
    supervisor.daily("classification", at.classification_at, job(partial(customers_night, core, customers)))
    reminders = RentReminders(
        core.uow_factory,
        core.clock,
        core.policy,
        remind_by_notice(addressing_of(core.settings, core.policy), core.clock),
    )
    supervisor.daily("rent-reminders", at.surveys_at, job(partial(reminders.run, core.tenant)))
    supervisor.daily("surveys", at.surveys_at, job(partial(customers.surveys.ask_month, core.tenant)))
    supervisor.every(
        "ratings", RATINGS_SECONDS, job(partial(customers.surveys.ask_visits, core.tenant)), first_after=300.0
    )


def customers_night(core: Core, customers: CustomerServices) -> None:
    """Classify, make the tasks that follow from it, and give the coupons of referrals."""
    found = customers.classifier.run(core.tenant)
    tasks = customers.reminders.run(core.tenant)
    coupons = customers.loyalty.reward_referrals(core.tenant)
    plans = customers.prevention.run(core.tenant) if customers.prevention is not None else []
    _log.info(
        "customers classified",
        customers=found.customers,
        moves=len(found.moves),
        tasks=dict(tasks),
        coupons=coupons,
        care_plans=len(plans),
    )
