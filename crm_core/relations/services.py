"""All services around customers in one value, for those who put processes together."""

from dataclasses import dataclass

from crm_core.agreements.credit import CreditDesk
from crm_core.agreements.requests import RequestDesk
from crm_core.relations.care import CareDesk
from crm_core.relations.class_report import ClassReport
from crm_core.relations.classifier import Classifier
from crm_core.relations.customers import CustomerDesk
from crm_core.relations.loyalty import Loyalty
from crm_core.relations.offers import Offers
from crm_core.relations.outcomes import Outcomes
from crm_core.relations.prevention import Prevention
from crm_core.relations.reminders import Reminders
from crm_core.relations.scorecards import Scorecards
from crm_core.relations.surveys import Surveys


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerServices:
    """Files, classes, care, loyalty, satisfaction, credit and requests."""

    files: CustomerDesk
    classifier: Classifier
    care: CareDesk
    reminders: Reminders
    loyalty: Loyalty
    surveys: Surveys
    scorecards: Scorecards
    outcomes: Outcomes
    class_report: ClassReport
    credit: CreditDesk
    requests: RequestDesk
    offers: Offers
    prevention: Prevention | None = None  # None without telemetry
