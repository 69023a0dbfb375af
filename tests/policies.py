"""The figures of the business for tests: calendar, policy, fault codes and catalogue, small and fixed.

`config/policy` and `config/catalogue` hold the real ones; tests of rules must not change when those do.
"""

from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal

from crm_core.domain.agreements_policy import AgreementsPolicy
from crm_core.domain.catalogue import Catalogue, CatalogueSupply, DeviceModel, FaultCode
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.fieldwork_policy import FieldworkPolicy
from crm_core.domain.fleet import CustomerTier
from crm_core.domain.identity import ModelId
from crm_core.domain.notices_policy import NoticesPolicy
from crm_core.domain.policy import (
    CauseRule,
    DispatchPolicy,
    FailurePolicy,
    LifePolicy,
    PolicyBook,
    ReplenishmentPolicy,
    SlaPolicy,
    TriagePolicy,
)
from crm_core.domain.quality_policy import QualityPolicy
from crm_core.domain.service import TicketLevel, TicketState
from crm_core.domain.sla import BusinessCalendar, EscalationStep, WorkWindow
from crm_core.domain.trust_policy import TrustPolicy
from tests.care_policies import a_credit_policy, a_recommendation_policy, a_relations_policy
from tests.money_policies import a_billing_policy, a_contract_policy
from tests.stock_builders import a_stock_policy


def a_calendar(**changes: object) -> BusinessCalendar:
    """Return a Chinese office week: 09-12 and 13-18, Monday to Friday."""
    day = (WorkWindow(time(9), time(12)), WorkWindow(time(13), time(18)))
    fields: dict[str, object] = {
        "name": "test",
        "time_zone": "Asia/Shanghai",
        "windows": dict.fromkeys(range(5), day),
        **changes,
    }
    return BusinessCalendar(**fields)


def a_rule(
    prefix: str = "", n: int = 1, minutes: float = 0, clear_n: int = 1, clear_minutes: float = 0
) -> CauseRule:
    return CauseRule(
        prefix=prefix,
        raise_observations=n,
        raise_after=timedelta(minutes=minutes),
        clear_observations=clear_n,
        clear_after=timedelta(minutes=clear_minutes),
    )


def a_triage_policy(rules: Iterable[CauseRule] = (), **changes: object) -> TriagePolicy:
    fields: dict[str, object] = {
        "rules": (a_rule(), *rules),
        "max_automatic_tickets_per_device_day": 3,
        "max_automatic_tickets_per_site_day": 10,
        "jam_count_for_ticket": 3,
        "jam_window": timedelta(hours=24),
        "silent_after": timedelta(hours=24),
        **changes,
    }
    return TriagePolicy(**fields)


def a_notices_policy(**changes: object) -> NoticesPolicy:
    """Return quiet hours from 21 to 8 and the states that customers are told of."""
    silent = {TicketState.HELD, TicketState.MERGED, TicketState.CLOSED}
    fields: dict[str, object] = {
        "quiet_from": 1260,
        "quiet_to": 480,
        "told_states": frozenset(state.value for state in TicketState if state not in silent),
        "first_retry": timedelta(minutes=1),
        "last_retry": timedelta(hours=6),
        "attempts": 4,
        "claim": timedelta(minutes=2),
        **changes,
    }
    return NoticesPolicy(**fields)


def a_fieldwork_policy() -> FieldworkPolicy:
    """Return ten test pages, care by 30,000 pages or 180 days."""
    return FieldworkPolicy(
        usual_item="jam",
        test_pages=10,
        photos_most=3,
        photo_bytes_most=100_000,
        similar_least=5,
        similar_within=timedelta(days=730),
        list_spread=Decimal("0.2"),
        care_pages=30_000,
        care_days=180,
        granted_at_once=frozenset({"ill"}),
        ordered_within=dict.fromkeys(
            ("installation", "removal", "inspection", "maintenance"), timedelta(days=5)
        ),
        pull_share=Decimal("0.85"),
    )


def a_quality_policy() -> QualityPolicy:
    """Return when forecasts are no longer trusted, and what is odd."""
    return QualityPolicy(
        coverage_least=0.72,
        coverage_most=0.88,
        coverage_rows=200,
        window_days=120,
        drift_limit=0.25,
        silent_days=3,
        early_swaps=3,
        early_swap_level=0.15,
        unusual_share=0.01,
        idle_days=14,
        churn_volume_fall=0.3,
        churn_renewal_days=90,
        check_days=7,
    )


def a_dispatch_policy() -> DispatchPolicy:
    """Return minutes on site by kind, 25 km/h and the firm's hours."""
    return DispatchPolicy(
        minutes_on_site={
            "supply": 15,
            "repair": 60,
            "installation": 90,
            "removal": 45,
            "inspection": 25,
            "maintenance": 40,
        },
        travel_speed_kmh=25,
        day_starts_minutes=540,
        day_ends_minutes=1080,
    )


def a_policy(triage: TriagePolicy | None = None, calendar: BusinessCalendar | None = None) -> PolicyBook:
    """Return the rental firm's figures: 30 min / 1 h / 2 h first response, 8 h / 24 h / 48 h restore."""
    return PolicyBook(
        version="test-1",
        effective_from=date(2026, 1, 1),
        sla=SlaPolicy(
            calendar=calendar or a_calendar(),
            first_response={
                CustomerTier.CORE: timedelta(minutes=30),
                CustomerTier.IMPORTANT: timedelta(hours=1),
                CustomerTier.ORDINARY: timedelta(hours=2),
                CustomerTier.POTENTIAL: timedelta(hours=2),
            },
            first_response_business_hours=True,
            restore={
                TicketLevel.L1: timedelta(hours=8),
                TicketLevel.L2: timedelta(hours=24),
                TicketLevel.L3: timedelta(hours=48),
            },
            restore_business_hours={TicketLevel.L1: True, TicketLevel.L2: False, TicketLevel.L3: False},
            proposal={
                CustomerTier.CORE: timedelta(hours=1),
                CustomerTier.IMPORTANT: timedelta(hours=2),
                CustomerTier.ORDINARY: timedelta(hours=4),
                CustomerTier.POTENTIAL: timedelta(hours=4),
            },
            proposal_business_hours=True,
            call_back=timedelta(hours=24),
            call_back_business_hours=False,
            at_risk_within=timedelta(hours=4),
            escalation=dict(zip(EscalationStep, (0.5, 0.8, 1.0, 1.5), strict=True)),
        ),
        triage=triage or a_triage_policy(),
        replenishment=ReplenishmentPolicy(
            delivery_days=2,
            raise_at_days_left=7,
            clear_at_days_left=14,
            watch_days_left=14,
            stock_out_cost=100,
            early_waste_cost_per_day=1,
        ),
        life=LifePolicy(
            replacement_share=0.8,
            part_ticket_days_left=14,
            device_years=7.0,
            part_failed_share=0.2,
            proposal_rest=timedelta(days=90),
        ),
        failures=FailurePolicy(
            bundle_threshold_p14=0.15,
            visit_threshold_p14=0.35,
            tickets_per_100_devices_month=5,
            breakdown_cost=800,
            visit_cost=280,
        ),
        dispatch=a_dispatch_policy(),
        stock=a_stock_policy(),
        notices=a_notices_policy(),
        fieldwork=a_fieldwork_policy(),
        relations=a_relations_policy(),
        agreements=AgreementsPolicy(
            contracts=a_contract_policy(), credit=a_credit_policy(), recommendation=a_recommendation_policy()
        ),
        billing=a_billing_policy(),
        trust=TrustPolicy(),
        quality=a_quality_policy(),
    )


def a_code(
    code: str | int, name: str, category: str, level: TicketLevel | None, scheme: str = "prtAlertCode"
) -> FaultCode:
    return FaultCode(
        scheme=scheme,
        vendor=None,
        match="exact",
        code=str(code),
        name=name,
        category=category,
        level=level,
        source="test",
    )


L1, L2, L3 = TicketLevel.L1, TicketLevel.L2, TicketLevel.L3


def a_book(*more: FaultCode) -> FaultCodeBook:
    """Return a short book of the codes that tests use; names and levels as in RFC 3805 and the shared list."""
    bits = "hrPrinterDetectedErrorState"
    rows = [
        a_code(8, "jam", "jam", L1),
        a_code(501, "doorOpen", "cover", L1),
        a_code(503, "powerUp", "electronic", None),
        a_code(808, "inputMediaSupplyEmpty", "paper", L1),
        a_code(13, "subunitEmpty", "consumable", L2),
        a_code(1001, "markerFuserUnderTemperature", "fuser_heat", L3),
        a_code(1002, "markerFuserOverTemperature", "fuser_heat", L3),
        a_code(33, "subunitMotorFailure", "mechanical", L3),
        a_code(1101, "markerTonerEmpty", "consumable", L2),
        a_code(1104, "markerTonerAlmostEmpty", "consumable", L2),
        a_code(1105, "markerInkAlmostEmpty", "consumable", L2),
        a_code(1115, "markerTonerCartridgeMissing", "consumable", L1),
        a_code("lowPaper", "lowPaper", "paper", L1, bits),
        a_code("noPaper", "noPaper", "paper", L1, bits),
        a_code("lowToner", "lowToner", "consumable", L2, bits),
        a_code("noToner", "noToner", "consumable", L2, bits),
        a_code("doorOpen", "doorOpen", "cover", L1, bits),
        a_code("jammed", "jammed", "jam", L1, bits),
        a_code("offline", "offline", "network", L1, bits),
        a_code("serviceRequested", "serviceRequested", "mechanical", L3, bits),
    ]
    return FaultCodeBook([*rows, *more])


def a_catalogue() -> Catalogue:
    """Return one colour laser device with toner part numbers."""
    toner = [
        CatalogueSupply(kind="toner", colour=colour, part_number=f"TN-{colour}", yield_pages=5000)
        for colour in ("black", "cyan", "magenta", "yellow")
    ]
    return Catalogue(
        [
            DeviceModel(
                model_id=ModelId("acme-c1"),
                vendor="Acme",
                name="C1",
                name_patterns=("acme c1",),
                technology="laser",
                design_life_pages=300_000,
                typical_pages_a_month=3000,
                supplies=tuple(toner),
            )
        ]
    )
