"""The manager's page: how the fleet is, what is at risk, what runs out, and which devices need somebody most."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Any, Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from api.access import Principal
from api.meters import fleet_pages_by_day
from api.pages import charts
from api.pages.supply_view import Words, reasons_of, supply_name, tone_of
from api.pages.ticket_view import place_of
from api.schemas.fleet import number_of
from api.service_lists import list_tickets
from api.services import ApiServices
from crm_core.domain.service import WorkOrderState
from crm_core.fleet_census import BandCount, HealthBand
from crm_core.fleet_health import DeviceHealth, FleetOverview, RunningOut
from crm_core.ports import TicketFilter, UnitOfWork

#: Style class of each band.
TONES: Final = {
    HealthBand.DOWN: "critical",
    HealthBand.ATTENTION: "warning",
    HealthBand.WATCH: "watch",
    HealthBand.GOOD: "good",
}
_RUNNING_OUT_ROWS: Final = 14
_RISK_ROWS: Final = 6
_TREND_DAYS: Final = 30
_TREND_TICKETS: Final = 600
#: Beyond so many devices the daily trend of the whole fleet is left to Grafana: the page must stay fast.
_TREND_DEVICES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutRow:
    """One supply that runs out soon."""

    device_id: str
    name: str
    tone: str
    model: str
    place: str
    level: str
    days: str
    range: str
    strip: Markup
    why: str
    covered: bool
    soon: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstRow:
    """One of the devices that need somebody most."""

    device_id: str
    model: str
    place: str
    tone: str
    band: str
    causes: str
    risk: Markup
    chance: str
    last_seen: datetime | None


def fleet_context(
    services: ApiServices, overview: FleetOverview, uow: UnitOfWork, principal: Principal, words: Words
) -> dict[str, Any]:
    """Return everything that the manager's page shows."""
    counts = {row.band: row.devices for row in overview.bands}
    served = max(overview.devices, 1)
    return {
        "overview": overview,
        "healthy": counts.get(HealthBand.GOOD, 0),
        "healthy_share": words.formats.percent(counts.get(HealthBand.GOOD, 0) / served),
        "bands": [(TONES[row.band], row.band.value, row.devices) for row in overview.bands],
        "bands_picture": charts.shares(
            [(TONES[row.band], row.devices) for row in overview.bands], _bands_title(words, overview)
        ),
        "causes": _causes(words, overview.bands),
        "silent_after": words.formats.span(services.policy.triage.silent_after),
        "orders_open": sum(overview.work_orders.values()),
        "unassigned": overview.work_orders.get(WorkOrderState.PLANNED, 0),
        "running_out": [_run_out_row(words, row) for row in overview.running_out[:_RUNNING_OUT_ROWS]],
        "running_out_total": overview.running_out_total,
        "at_risk": overview.at_risk[:_RISK_ROWS],
        "worst": [_worst_row(words, row) for row in overview.worst],
        "levels": [(level.value, count) for level, count in overview.open_tickets.items()],
        **_ticket_trend(services, uow, principal, words),
        **_pages_trend(services, overview, principal, words),
    }


def _bands_title(words: Words, overview: FleetOverview) -> str:
    """Return the bands in a sentence, for those who do not see the picture."""
    parts = ", ".join(f"{words.t(f'band.{row.band.value}')} {row.devices}" for row in overview.bands)
    return words.t("fleet.bands_title", parts=parts)


def _causes(words: Words, bands: tuple[BandCount, ...]) -> list[tuple[str, int]]:
    """Return the families of causes of all devices that are not well, the most frequent first."""
    total: Counter[str] = Counter()
    for band in bands:
        total.update(dict(band.causes))
    return [(words.t(f"cause.{family}"), count) for family, count in total.most_common(8)]


def cause_words(words: Words, cause: str) -> str:
    """Return a cause's family in words."""
    return words.t(f"cause.{cause.partition('.')[0]}")


def _run_out_row(words: Words, row: RunningOut) -> RunOutRow:
    """Return one line of what runs out."""
    forecast, formats = row.forecast, words.formats
    interval = forecast.days_to_empty
    assert interval is not None  # the overview lists only supplies with an interval
    name = supply_name(words, forecast.kind, forecast.colour, None)
    reasons = reasons_of(words, forecast)
    span = words.t("supply.range", low=formats.days(interval.p10), high=formats.days(interval.p90))
    days = formats.days(interval.p50)
    return RunOutRow(
        device_id=row.bundle.device.device_id,
        name=name,
        tone=tone_of(forecast.kind, forecast.colour),
        model=row.bundle.device.model_name or row.bundle.device.device_id,
        place=place_of(row.bundle),
        level=formats.percent(forecast.level_percent / 100 if forecast.level_percent is not None else None),
        days=days,
        range=span,
        strip=charts.interval_strip(interval, f"{name}: {words.t('supply.days', days=days)}, {span}"),
        why=reasons[0] if reasons else "",
        covered=row.covered,
        soon=interval.p50 <= 3,
    )


def _worst_row(words: Words, row: DeviceHealth) -> WorstRow:
    """Return one line of the worst devices."""
    families = dict.fromkeys(cause_words(words, cause) for cause in row.causes)
    chance = row.p_fail_14d
    shown = words.formats.percent(chance, 1 if chance is not None and chance < 0.1 else 0)
    device = row.bundle.device
    return WorstRow(
        device_id=device.device_id,
        model=device.model_name or device.device_id,
        place=place_of(row.bundle),
        tone="silent" if row.silent else TONES[row.band],
        band="silent" if row.silent and row.band is not HealthBand.DOWN else row.band.value,
        causes=" · ".join(list(families)[:3]),
        risk=charts.risk_bar(chance, words.t("wear.chance", chance=shown))
        if chance is not None
        else Markup(""),
        chance=shown,
        last_seen=row.last_seen,
    )


def _ticket_trend(
    services: ApiServices, uow: UnitOfWork, principal: Principal, words: Words
) -> dict[str, Any]:
    """Return the picture of tickets raised a day, as far back as the newest tickets reach whole days."""
    zone = ZoneInfo(services.settings.time_zone)
    today = services.clock.now().astimezone(zone).date()
    days = [today - timedelta(days=back) for back in range(_TREND_DAYS - 1, -1, -1)]
    if principal.regions:
        newest = list_tickets(principal, uow, TicketFilter(limit=_TREND_TICKETS))
        raised = Counter(ticket.raised_at.astimezone(zone).date() for ticket in newest)
        if len(newest) == _TREND_TICKETS:
            days = [day for day in days if day > min(raised)]
        values = [float(raised[day]) for day in days]
    else:  # counted in the database: nothing is decoded
        starts = [datetime.combine(day, time.min, zone) for day in (*days, today + timedelta(days=1))]
        values = [float(uow.tickets.raised_between(principal.tenant, *span)) for span in pairwise(starts)]
    title = words.t(
        "fleet.new_tickets_title", days=len(values), today=words.formats.number(values[-1] if values else 0)
    )
    return {
        "ticket_bars": charts.bars(values, title),
        "ticket_note": title,
        "trend_from": words.formats.day(days[0] if days else today),
        "trend_to": words.formats.day(today),
    }


def _pages_trend(
    services: ApiServices, overview: FleetOverview, principal: Principal, words: Words
) -> dict[str, Any]:
    """Return the picture of pages a day over the whole fleet; None for restricted sight or very large fleets."""
    if principal.regions or overview.devices > _TREND_DEVICES:
        return {"pages_bars": None, "pages_note": ""}
    today = number_of(services.clock.now().date())
    first = today - _TREND_DAYS + 1
    total = fleet_pages_by_day(services.store.daily_meters(principal.tenant, first, today))
    values = [total.get(day, 0.0) for day in range(first, today + 1)]
    mean = words.formats.number(sum(values) / len(values))
    title = words.t("fleet.pages_title", days=len(values), mean=mean)
    return {"pages_bars": charts.bars(values, title), "pages_note": title}
