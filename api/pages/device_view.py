"""The device page: state now, supplies with their future, wear, counters, alerts and tickets."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from api.access import MONEY, OFFICE, Principal
from api.meters import pages_by_day
from api.pages import charts
from api.pages.device_reminders import reminder_rows
from api.pages.fleet_view import TONES
from api.pages.part_view import part_laws, part_views
from api.pages.reading_view import readings_context
from api.pages.supply_view import SupplyView, Words, origin_of, supply_views
from api.schemas.fleet import day_of, number_of
from api.services import ApiServices
from api.wording import fault_name, reason_text
from crm_core.domain.fleet import Device, DeviceBundle
from crm_core.domain.forecast import FailureForecast
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
    services: ApiServices, uow: UnitOfWork, principal: Principal, health: DeviceHealth, words: Words
) -> dict[str, Any]:
    """Return everything that the device page shows."""
    bundle = health.bundle
    device, now = bundle.device, services.clock.now()
    key, tenant = device.device_id, device.tenant
    reading = services.store.newest(tenant, key)
    forecasts = uow.forecasts.for_device(tenant, key)
    today = number_of(now.date())
    first = today - TREND_DAYS
    rows = services.store.daily_supplies(tenant, first, today, key)
    history = {index: list(days) for index, days in groupby(rows, key=lambda row: row.supply_index)}
    tickets = uow.tickets.list(tenant, TicketFilter(device_id=key, limit=8))
    return {
        "bundle": bundle,
        "customer_href": customer_href(principal, bundle),
        "trend_days": TREND_DAYS,
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
        "parts": part_views(
            words,
            _catalogue_model(services, device),
            forecasts.life,
            part_laws(uow, device),
            services.policy.life.replacement_share,
            now,
        ),
        **readings_context(services.store, words, reading, history, (first, today), now),
        "failure": _failure_row(words, forecasts.failure),
        "facts": _facts(words, bundle, reading, principal),
        "counters": _counters(words, reading),
        **_pages_trend(services, bundle, words, now),
    }


def _catalogue_model(services: ApiServices, device: Device) -> str | None:
    """Return the id of the device's model in the catalogue, as analytics finds it."""
    catalogue = services.catalogue
    found = catalogue.find(device.model_id) or catalogue.match(device.vendor, device.model_name)
    return str(found.model_id) if found else None


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
        "reasons": reasons,
        "origin": origin_of(words, row.provenance),
    }


def _facts(
    words: Words, bundle: DeviceBundle, reading: DeviceReading | None, principal: Principal
) -> list[tuple[str, str, str]]:
    """Return label, value and link of what is known about the machine and its place; what is not known is left out."""
    device, site, customer, contract = bundle.device, bundle.site, bundle.customer, bundle.contract
    identity = reading.identity if reading else None
    rows = [
        ("customer", customer.name if customer else None, customer_href(principal, bundle)),
        ("tier", words.term("tier", customer.tier.value) if customer else None, ""),
        ("contract", contract.contract_id if contract else None, _contract_href(principal, bundle)),
        ("contract_ends", contract.ends_on.isoformat() if contract else None, ""),
        ("site", site.name if site else None, ""),
        ("address", site.address if site else None, ""),
        ("region", site.region if site else None, ""),
        ("contact", customer.contact_name if customer else None, ""),
        ("phone", customer.phone if customer else None, ""),
        ("vendor", device.vendor or (identity.vendor if identity else None), ""),
        ("serial", device.serial or (identity.serial if identity else None), ""),
        ("asset_tag", device.asset_tag, ""),
        ("firmware", identity.firmware if identity else None, ""),
        ("installed", device.installed_on.isoformat() if device.installed_on else None, ""),
        ("source", words.term("transport", device.transport.value), ""),
    ]
    return [(label, value, href) for label, value, href in rows if value]


def customer_href(principal: Principal, bundle: DeviceBundle) -> str:
    """Return the address of the customer's page for those who may open it."""
    known = bundle.customer is not None and principal.role in OFFICE.roles
    return f"/customers/{bundle.customer.customer_id}" if known and bundle.customer else ""


def _contract_href(principal: Principal, bundle: DeviceBundle) -> str:
    """Return the address of the contract's page for those who may see money."""
    known = bundle.contract is not None and principal.role in MONEY.roles
    return f"/contracts/{bundle.contract.contract_id}" if known and bundle.contract else ""


def _counters(words: Words, reading: DeviceReading | None) -> list[tuple[str, int]]:
    """Return the meters of the device by meaning."""
    if reading is None:
        return []
    rows = [("life_count", reading.counters.life_count)]
    rows += [(name, value) for name, value in reading.counters.vendor.items() if isinstance(value, int)]
    return [(words.term("counter", name), value) for name, value in rows if value is not None]
