"""The figures of the business as frozen types; `config` reads them from `config/policy/*.yaml`.

A ticket or invoice keeps the `version` that it was born under. Durations carry their unit in the name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from crm_core.domain.agreements_policy import AgreementsPolicy
from crm_core.domain.billing_policy import BillingPolicy
from crm_core.domain.fieldwork_policy import FieldworkPolicy
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.notices_policy import NoticesPolicy
from crm_core.domain.quality_policy import QualityPolicy
from crm_core.domain.relations_policy import RelationsPolicy
from crm_core.domain.service import TicketLevel
from crm_core.domain.sla import BusinessCalendar, EscalationStep
from crm_core.domain.stock_policy import StockPolicy
from crm_core.domain.trust_policy import TrustPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class SlaPolicy:
    """First response and proposal by customer tier (47, 48), restore by level (22-24, 1.4), call-back (49).

    `calendars` are all that contracts may name; `escalation` is the share of a clock at which each step is told (3.4).
    """

    calendar: BusinessCalendar
    first_response: dict[CustomerTier, timedelta]
    first_response_business_hours: bool
    restore: dict[TicketLevel, timedelta]
    restore_business_hours: dict[TicketLevel, bool]
    proposal: dict[CustomerTier, timedelta]
    proposal_business_hours: bool
    call_back: timedelta
    call_back_business_hours: bool
    escalation: dict[EscalationStep, float]
    at_risk_within: timedelta  # an open promise that is due so soon is at risk
    calendars: Mapping[str, BusinessCalendar] = field(default_factory=dict)

    def calendar_named(self, name: str) -> BusinessCalendar:
        """Return the calendar of that name; the firm's own for the empty name and for one that is gone."""
        return self.calendars.get(name, self.calendar)


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseRule:
    """Hysteresis of one family of causes; `prefix` is matched against the cause, the longest prefix wins."""

    prefix: str
    raise_observations: int
    raise_after: timedelta
    clear_observations: int
    clear_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TriagePolicy:
    """When observed conditions become tickets, and when tickets close by themselves."""

    rules: tuple[CauseRule, ...]
    max_automatic_tickets_per_device_day: int
    max_automatic_tickets_per_site_day: int
    jam_count_for_ticket: int
    jam_window: timedelta
    silent_after: timedelta
    silent_business_time: timedelta = timedelta(
        hours=4
    )  # ... of which so much opening time: nights are no fault
    clear_hold: timedelta = timedelta(
        minutes=30
    )  # healthy devices send no signal: so long without one is "still clear"
    settle_after: timedelta = timedelta(minutes=15)  # a reading so soon after a repair may show the old state
    verify_after: timedelta = timedelta(hours=2)  # telemetry must stay good so long after a repair
    close_after: timedelta = timedelta(hours=72)  # a resolved ticket without complaint is closed
    recall_within: timedelta = timedelta(days=14)  # the same cause again is a recall of the last repair
    storm_devices: int = 3  # so many silent devices of a site at once are one incident ...
    storm_share: float = 0.5  # ... or this share of the site's devices
    storm_window: timedelta = timedelta(minutes=5)
    storm_settle: timedelta = timedelta(minutes=10)
    fleet_storm_share: float = 0.05  # beyond it automatic tickets wait and the operator is told
    campaign_devices: int = 5  # so many devices of a model with one new fault ...
    campaign_share: float = 0.05  # ... and more than this share of the model ...
    campaign_window: timedelta = timedelta(hours=36)  # ... within so long are one campaign

    def rule_for(self, cause: str) -> CauseRule:
        """Return the rule with the longest matching prefix; the rule with the empty prefix always matches."""
        return max(
            (rule for rule in self.rules if cause.startswith(rule.prefix)), key=lambda rule: len(rule.prefix)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplenishmentPolicy:
    """Replenish when the supply may run out before a delivery arrives; costs weigh early against late."""

    delivery_days: float
    raise_at_days_left: float  # P50 days left at which a ticket is raised when costs do not say otherwise
    clear_at_days_left: float
    stock_out_cost: float
    watch_days_left: float  # what ends within so many days is shown as running out
    early_waste_cost_per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LifePolicy:
    """Replacement of devices and parts by use (requirement 39)."""

    replacement_share: float  # 0.8 of the design life
    part_ticket_days_left: float
    device_years: float  # the second limit: age since installation
    proposal_rest: timedelta  # from a talk about replacement that changed nothing to the next one
    part_failed_share: float  # of the company's own parts of a kind: then the next one is renewed


@dataclass(frozen=True, slots=True, kw_only=True)
class FailurePolicy:
    """Tickets from failure risk: expected cost within a budget."""

    bundle_threshold_p14: float  # enough for a look while somebody is at the site anyway
    visit_threshold_p14: float
    tickets_per_100_devices_month: float
    breakdown_cost: float
    visit_cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchPolicy:
    """Assignment of work orders to technicians."""

    minutes_on_site: dict[str, int]  # by work order kind
    travel_speed_kmh: float
    day_starts_minutes: int  # minutes after local midnight
    day_ends_minutes: int
    unknown_travel: timedelta = timedelta(minutes=20)  # between places of which one has no coordinates
    promise_slack: timedelta = timedelta(
        minutes=30
    )  # by so much a promised start may slip before it is given up
    replan_share: float = 0.15  # of the promised starts, so many may change when a day is planned again
    weights: dict[str, float] = field(  # what a late minute costs, by tier of the customer
        default_factory=lambda: {"core": 10.0, "important": 5.0, "ordinary": 2.0, "potential": 1.0}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBook:
    """All policies in force from one date."""

    version: str
    effective_from: date
    sla: SlaPolicy
    triage: TriagePolicy
    replenishment: ReplenishmentPolicy
    life: LifePolicy
    failures: FailurePolicy
    dispatch: DispatchPolicy
    stock: StockPolicy
    notices: NoticesPolicy
    fieldwork: FieldworkPolicy
    relations: RelationsPolicy
    agreements: AgreementsPolicy
    billing: BillingPolicy
    trust: TrustPolicy
    quality: QualityPolicy
