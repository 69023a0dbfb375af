"""The device page: state now, supplies with their future, wear, counters, alerts and tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from api.meters import pages_by_day
from api.pages import charts
from api.pages.device_reminders import reminder_rows
from api.pages.fleet_view import TONES
from api.pages.supply_view import HISTORY_DAYS, SupplyView, Words, origin_of, supply_views
from api.schemas.fleet import day_of, number_of
from api.services import ApiServices
from api.wording import fault_name, reason_text
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.forecast import FailureForecast, LifeForecast
from crm_core.domain.telemetry import DeviceReading, PrinterAlert
from crm_core.fleet_health import DeviceHealth
from crm_core.ports import TicketFilter, UnitOfWork
from crm_core.relations.device_reminders import device_reminders

TREND_DAYS: Final = 90
_CRITICAL_ERRORS: Final = frozenset(
    {"noPaper", "noToner", "doorOpen", "jammed", "offline", "serviceRequested", "markerSupplyMissing", "inputTrayMissing", "outputTrayMissing", "inputTrayEmpty"}
)  # fmt: skip
_SEVERITY: Final = {3: "critical", 4: "warning"}


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that the device says is not as it should be."""

    tone: str
    text: str
    sub: str = ""


def troubles_of(words: Words, reading: DeviceReading | None) -> list[Trouble]:
    """Return what the device complains about now, the worst first."""
    if reading is None:
        return []
    rows = [
        Trouble("critical" if name in _CRITICAL_ERRORS else "warning", words.term("error", name))
        for name in sorted(reading.error_names)
    ]
    known = {row.text for row in rows}
    for fault in reading.derived.faults:
        text = fault_name(fault.name or fault.code, words.messages, words.language)
        if fault.scheme == "vendor" and text not in known:
            known.add(text)
            rows.append(Trouble("critical", text, words.t("device.fault_code", code=fault.code)))
    return sorted(rows, key=lambda row: row.tone != "critical")


def alerts_of(words: Words, alerts: Sequence[PrinterAlert]) -> list[Trouble]:
    """Return the device's own alert rows."""
    return [
        Trouble(
            _SEVERITY.get(alert.severity or 0, "silent"),
            alert.desc or words.t("device.alert_code", code=alert.code or 0),
            words.t(
                "device.alert_sub",
                code=alert.code or 0,
                severity=words.t(f"severity.{_SEVERITY.get(alert.severity or 0, 'other')}"),
            ),
        )
        for alert in alerts[:12]
    ]


def device_context(
    services: ApiServices, uow: UnitOfWork, health: DeviceHealth, words: Words
) -> dict[str, Any]:
    """Return everything that the device page shows."""
    bundle = health.bundle
    device, now = bundle.device, services.clock.now()
    key, tenant = device.device_id, device.tenant
    reading = services.store.newest(tenant, key)
    forecasts = uow.forecasts.for_device(tenant, key)
    today = number_of(now.date())
    rows = services.store.daily_supplies(tenant, today - HISTORY_DAYS, today, key)
    history = {index: list(days) for index, days in groupby(rows, key=lambda row: row.supply_index)}
    tickets = uow.tickets.list(tenant, TicketFilter(device_id=key, limit=8))
    return {
        "bundle": bundle,
        "device": device,
        "reading": reading,
        "seen": reading.polled_at if reading else None,
        "band": "silent" if health.silent else health.band.value,
        "band_tone": "silent" if health.silent else TONES[health.band],
        "troubles": troubles_of(words, reading),
        "alerts": alerts_of(words, reading.alerts) if reading else [],
        **_supplies(supply_views(words, reading, forecasts.supplies, history, today)),
        "tickets": tickets,
        "coming": reminder_rows(words, device_reminders(uow, bundle, services.policy, now), now.date()),
        "life": [_life_row(words, row, now) for row in forecasts.life],
        "failure": _failure_row(words, forecasts.failure),
        "facts": _facts(words, bundle, reading),
        "counters": _counters(words, reading),
        **_pages_trend(services, bundle, words, now),
    }


def _supplies(views: list[SupplyView]) -> dict[str, Any]:
    """Return the supplies with their pictures, and those that take one line: plenty left, or nothing to draw."""
    drawn = [view for view in views if view.pictured]
    shown = [view for place, view in enumerate(drawn) if place < 3 or not view.plenty]
    rest = {
        "long": [view for view in drawn if view not in shown],
        "unforeseen": [view for view in views if not view.pictured],
    }
    return {"supplies": shown, "rest": rest}


def _pages_trend(services: ApiServices, bundle: DeviceBundle, words: Words, now: datetime) -> dict[str, Any]:
    """Return the picture of pages a day."""
    today = number_of(now.date())
    first = today - TREND_DAYS
    device = bundle.device
    rows = services.store.daily_meters(device.tenant, first, today, device.device_id)
    by_day = pages_by_day(rows)
    values = [by_day.get(day) for day in range(first, today + 1)]
    known = [value for value in values if value is not None]
    mean = sum(known) / len(known) if known else None
    note = words.t("device.pages_mean", pages=words.formats.number(mean))
    return {
        "pages_chart": charts.sparkline(values, note),
        "pages_note": note,
        "pages_from": words.formats.day(day_of(first)),
        "pages_to": words.formats.day(day_of(today)),
    }


def _life_row(words: Words, row: LifeForecast, now: datetime) -> dict[str, str]:
    """Return one line of the table of wear."""
    interval = row.days_to_replacement
    if interval is None:
        when = words.messages.text(words.language, row.missing_reason) if row.missing_reason else "–"
    elif interval.p50 <= 0:
        when = words.t("wear.reached")
    else:
        early, late = (now + timedelta(days=min(days, 3650)) for days in (interval.p10, interval.p90))
        when = words.t("wear.between", early=_month(words, early, now), late=_month(words, late, now))
    reasons = [reason_text(reason, words.messages, words.language) for reason in row.provenance.reasons[:2]]
    return {
        "name": words.term("component", row.component),
        "used": words.formats.percent(row.used_share),
        "when": when,
        "why": " · ".join([*reasons, origin_of(words, row.provenance)]),
    }


def _month(words: Words, instant: datetime, now: datetime) -> str:
    """Return a day of this year, or year and month beyond it."""
    far = instant - now > timedelta(days=300)
    return instant.strftime("%Y-%m") if far else words.formats.day(instant)


def _failure_row(words: Words, row: FailureForecast | None) -> dict[str, Any] | None:
    """Return the line about the chance of a failure."""
    if row is None or row.p_fail_14d is None:
        return None
    reasons = [reason_text(reason, words.messages, words.language) for reason in row.provenance.reasons[:3]]
    chance = words.formats.percent(row.p_fail_14d, 1 if row.p_fail_14d < 0.1 else 0)
    return {
        "component": words.term("component", row.component),
        "p14": chance,
        "bar": charts.risk_bar(row.p_fail_14d, words.t("wear.chance", chance=chance)),
        "why": " · ".join([*reasons, origin_of(words, row.provenance)]),
    }


def _facts(words: Words, bundle: DeviceBundle, reading: DeviceReading | None) -> list[tuple[str, str]]:
    """Return what is known about the machine and its place; what is not known is left out."""
    device, site, customer, contract = bundle.device, bundle.site, bundle.customer, bundle.contract
    identity = reading.identity if reading else None
    rows = [
        ("vendor", device.vendor or (identity.vendor if identity else None)),
        ("serial", device.serial or (identity.serial if identity else None)),
        ("asset_tag", device.asset_tag),
        ("firmware", identity.firmware if identity else None),
        ("source", words.term("transport", device.transport.value)),
        ("customer", customer.name if customer else None),
        ("tier", words.term("tier", customer.tier.value) if customer else None),
        ("site", site.name if site else None),
        ("address", site.address if site else None),
        ("region", site.region if site else None),
        ("contact", customer.contact_name if customer else None),
        ("phone", customer.phone if customer else None),
        ("contract_ends", contract.ends_on.isoformat() if contract else None),
        ("installed", device.installed_on.isoformat() if device.installed_on else None),
    ]
    return [(label, value) for label, value in rows if value]


def _counters(words: Words, reading: DeviceReading | None) -> list[tuple[str, int]]:
    """Return the meters of the device by meaning."""
    if reading is None:
        return []
    rows = [("life_count", reading.counters.life_count)]
    rows += [(name, value) for name, value in reading.counters.vendor.items() if isinstance(value, int)]
    return [(words.term("counter", name), value) for name, value in rows if value is not None]
