"""Devices, their series and their forecasts as JSON."""

from datetime import date

from pydantic import Field

from api.schemas.base import Instant, Output
from api.wording import reason_text
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.forecast import FailureForecast, Forecast, Interval, LifeForecast, SupplyForecast
from crm_core.domain.messages import Messages
from crm_core.domain.telemetry import DailyMeters, DailySupply, DeviceState
from crm_core.ports import DeviceForecasts
from crm_core.relations.device_reminders import DeviceReminder


class DeviceRow(Output):
    """One device in a list, with its newest state in brief. Percent values are of consumables with a known level."""

    device_id: str
    vendor: str | None
    model: str | None
    model_id: str | None
    serial: str | None
    asset_tag: str | None
    owner_state: str
    transport: str
    customer_id: str | None
    customer_name: str | None
    site_id: str | None
    site_name: str | None
    region: str | None
    last_seen: Instant | None
    life_count: int | None
    lowest_supply_percent: float | None
    error_names: list[str]
    worst_alert_severity: int | None

    @classmethod
    def of(cls, bundle: DeviceBundle, state: DeviceState | None) -> "DeviceRow":
        return cls(**_device_fields(bundle, state))


class DeviceDetail(DeviceRow):
    """One device with its place, people and contract."""

    address: str | None
    access_notes: str | None
    contact_name: str | None
    contact_phone: str | None
    contract_id: str | None
    contract_ends_on: date | None
    installed_on: date | None

    @classmethod
    def full(cls, bundle: DeviceBundle, state: DeviceState | None) -> "DeviceDetail":
        return cls(
            **_device_fields(bundle, state),
            address=bundle.site.address if bundle.site else None,
            access_notes=bundle.site.access_notes if bundle.site else None,
            contact_name=bundle.customer.contact_name if bundle.customer else None,
            contact_phone=bundle.customer.phone if bundle.customer else None,
            contract_id=bundle.contract.contract_id if bundle.contract else None,
            contract_ends_on=bundle.contract.ends_on if bundle.contract else None,
            installed_on=bundle.device.installed_on,
        )


def _device_fields(bundle: DeviceBundle, state: DeviceState | None) -> dict[str, object]:
    """Return what the row and the detail share."""
    device, site, customer = bundle.device, bundle.site, bundle.customer
    return {
        "device_id": device.device_id,
        "vendor": device.vendor,
        "model": device.model_name,
        "model_id": device.model_id,
        "serial": device.serial,
        "asset_tag": device.asset_tag,
        "owner_state": device.owner_state.value,
        "transport": device.transport.value,
        "customer_id": device.customer_id,
        "customer_name": customer.name if customer else None,
        "site_id": device.site_id,
        "site_name": site.name if site else None,
        "region": site.region if site else None,
        "last_seen": state.last_seen if state else None,
        "life_count": state.life_count if state else None,
        "lowest_supply_percent": state.lowest_supply_percent if state else None,
        "error_names": list(state.error_names) if state else [],
        "worst_alert_severity": state.worst_alert_severity if state else None,
    }


class IntervalBody(Output):
    """P10, P50 and P90 of a quantity; they rise."""

    p10: float
    p50: float
    p90: float

    @classmethod
    def of(cls, interval: Interval | None) -> "IntervalBody | None":
        return cls(p10=interval.p10, p50=interval.p50, p90=interval.p90) if interval else None


class ReasonBody(Output):
    """A reason in words, with its key for machines."""

    key: str
    text: str


class ForecastBase(Output):
    """Where a forecast comes from. `missing_reason` says why there are no numbers, where there are none."""

    made_at: Instant
    as_of: date
    model: str
    basis: str
    age_of_data_days: float | None
    reasons: list[ReasonBody]
    missing_reason: str | None


class SupplyForecastBody(ForecastBase):
    """Days until a supply is empty (a waste box: full)."""

    supply_index: str
    kind: str | None
    colour: str | None
    level_percent: float | None
    days_to_empty: IntervalBody | None
    pages_per_day: IntervalBody | None
    replenish: bool

    @classmethod
    def of(cls, row: SupplyForecast, messages: Messages, language: str) -> "SupplyForecastBody":
        return cls(
            **_provenance(row, messages, language),
            supply_index=row.supply_index,
            kind=row.kind,
            colour=row.colour,
            level_percent=row.level_percent,
            days_to_empty=IntervalBody.of(row.days_to_empty),
            pages_per_day=IntervalBody.of(row.pages_per_day),
            replenish=row.replenish,
        )


class LifeForecastBody(ForecastBase):
    """Share of the design life used, and days until the replacement share is reached."""

    component: str
    used_share: float | None
    design_life_pages: int | None
    days_to_replacement: IntervalBody | None

    @classmethod
    def of(cls, row: LifeForecast, messages: Messages, language: str) -> "LifeForecastBody":
        return cls(
            **_provenance(row, messages, language),
            component=row.component,
            used_share=row.used_share,
            design_life_pages=row.design_life_pages,
            days_to_replacement=IntervalBody.of(row.days_to_replacement),
        )


class FailureForecastBody(ForecastBase):
    """Chance of a hardware failure within 7 and 14 days."""

    component: str | None
    p_fail_7d: float | None
    p_fail_14d: float | None
    visit_advised: bool
    bundle_with: str | None

    @classmethod
    def of(cls, row: FailureForecast, messages: Messages, language: str) -> "FailureForecastBody":
        return cls(
            **_provenance(row, messages, language),
            component=row.component,
            p_fail_7d=row.p_fail_7d,
            p_fail_14d=row.p_fail_14d,
            visit_advised=row.visit_advised,
            bundle_with=row.bundle_with,
        )


class DeviceForecastsBody(Output):
    """The newest forecasts of one device."""

    device_id: str
    supplies: list[SupplyForecastBody]
    life: list[LifeForecastBody]
    failure: FailureForecastBody | None

    @classmethod
    def of(
        cls, device_id: str, forecasts: DeviceForecasts, messages: Messages, language: str
    ) -> "DeviceForecastsBody":
        failure = forecasts.failure
        return cls(
            device_id=device_id,
            supplies=[SupplyForecastBody.of(row, messages, language) for row in forecasts.supplies],
            life=[LifeForecastBody.of(row, messages, language) for row in forecasts.life],
            failure=FailureForecastBody.of(failure, messages, language) if failure else None,
        )


class RunningOutRow(SupplyForecastBody):
    """A supply that runs out soon, with its device and place."""

    device_id: str
    device_model: str | None
    site_name: str | None
    region: str | None


def running_out_row(
    row: SupplyForecast, bundle: DeviceBundle, messages: Messages, language: str
) -> RunningOutRow:
    """Return one line of the list of what runs out."""
    return RunningOutRow(
        **SupplyForecastBody.of(row, messages, language).model_dump(),
        device_id=row.device_id,
        device_model=bundle.device.model_name,
        site_name=bundle.site.name if bundle.site else None,
        region=bundle.site.region if bundle.site else None,
    )


def _provenance(row: Forecast, messages: Messages, language: str) -> dict[str, object]:
    """Return the fields that every forecast has."""
    origin = row.provenance
    return {
        "made_at": origin.made_at,
        "as_of": origin.as_of,
        "model": origin.model,
        "basis": origin.basis.value,
        "age_of_data_days": origin.age_of_data_days,
        "reasons": [
            ReasonBody(key=reason.key, text=reason_text(reason, messages, language))
            for reason in origin.reasons
        ],
        "missing_reason": messages.text(language, row.missing_reason) if row.missing_reason else None,
    }


class ReminderBody(Output):
    """One thing to come for a device; `earliest` and `latest` are P10 and P90 of a forecast."""

    kind: str
    on: date
    what: str
    colour: str | None
    earliest: date | None
    latest: date | None
    overdue: bool

    @classmethod
    def of(cls, row: DeviceReminder) -> "ReminderBody":
        return cls.model_validate(row)


class MetersDay(Output):
    """The counters of one UTC day; `pages` since the last answer before it, None when there is nothing to count from."""

    day: date
    pages: float | None
    last_count: int | None
    polls: int
    jams: int
    epoch_changes: int


class SupplyDay(Output):
    """The level of one supply at the end of one UTC day, in percent; None when it is not a number."""

    day: date
    level_state: str | None
    percent: float | None


class SupplySeries(Output):
    """The daily levels of one supply."""

    supply_index: str
    kind: str | None
    colour: str | None
    days: list[SupplyDay]


class SeriesBody(Output):
    """Daily series of one device, both ends included."""

    device_id: str
    first_day: date
    last_day: date
    meters: list[MetersDay] = Field(default_factory=list)
    supplies: list[SupplySeries] = Field(default_factory=list)


def meters_day(row: DailyMeters, pages: float | None) -> MetersDay:
    """Return one day of meters."""
    return MetersDay(
        day=day_of(row.day),
        pages=round(pages, 1) if pages is not None else None,
        last_count=row.last_count,
        polls=row.polls,
        jams=row.jams,
        epoch_changes=row.epoch_changes,
    )


def supply_series(rows: list[DailySupply]) -> list[SupplySeries]:
    """Group daily rows (ordered by supply and day) by supply."""
    grouped: dict[str, list[DailySupply]] = {}
    for row in rows:
        grouped.setdefault(row.supply_index, []).append(row)
    return [
        SupplySeries(
            supply_index=index,
            kind=days[-1].kind,
            colour=days[-1].colour,
            days=[
                SupplyDay(day=day_of(row.day), level_state=row.level_state, percent=row.last_percent)
                for row in days
            ],
        )
        for index, days in grouped.items()
    ]


def day_of(number: int) -> date:
    """Return the date of a day number (days since 1970-01-01)."""
    return date.fromordinal(date(1970, 1, 1).toordinal() + number)


def number_of(day: date) -> int:
    """Return the day number of a date."""
    return day.toordinal() - date(1970, 1, 1).toordinal()
