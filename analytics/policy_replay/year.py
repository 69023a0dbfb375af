"""The year as it was, in dense arrays: pages, levels and tickets, read from the telemetry store and the CRM."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.features import day_number
from analytics.priors import SupplyPriorBook
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import Device
from crm_core.domain.identity import TenantId
from crm_core.domain.service import ClockKind, SignalOrigin, Ticket, TicketState, WorkOrderState
from crm_core.domain.telemetry import DailyMeters, DailySupply
from crm_core.ports import TelemetryStore, TicketFilter, UnitOfWorkFactory, WorkOrderFilter

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVELS: Final = ("L1", "L2", "L3")
SUPPLY, REPLACEMENT, OTHER = "supply", "replacement", "other"
_LEAST_DAYS: Final = 28
_MOST_TICKETS: Final = 1_000_000
_NEVER_WORKED: Final = frozenset({TicketState.CANCELLED, TicketState.MERGED, TicketState.HELD})


@dataclass(frozen=True, slots=True, kw_only=True)
class YearTicket:
    """One ticket of the year. `row` is the device, `slot` the supply (-1: none); `days` until restored, NaN unknown."""

    row: int
    slot: int
    level: int  # 0, 1, 2 for L1, L2, L3
    family: str
    day: int  # column of the arrays
    hour: int  # UTC
    days: float
    by_device: bool  # the device complained before a forecast did
    late: bool | None = None  # restored later than promised; None: not restored yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """Pages [device, day], levels [slot, day] (share of full, NaN unknown) and tickets of whole days.

    `counts` and `design_life` are pages per device (NaN unknown) at the first day; `prices` are yuan per cartridge,
    `slot_yield` the data sheet's pages per cartridge. Slots of one `slot_group` are the same supply of the same model;
    `site` numbers the sites from 0.
    """

    first_day: int
    device_ids: tuple[str, ...]
    pages: Floats
    counts: Floats
    design_life: Floats
    site: Ints
    slot_device: Ints
    slot_group: Ints
    slot_yield: Floats
    levels: Floats
    prices: Floats
    tickets: tuple[YearTicket, ...]
    visits: int

    @property
    def days(self) -> int:
        return int(self.pages.shape[1])


def read_year(
    store: TelemetryStore,
    uow_factory: UnitOfWorkFactory,
    catalogue: Catalogue,
    tenant: TenantId,
    *,
    last_day: int,
    days: int,
) -> Year:
    """Return the days up to `last_day`, at most `days`, as far as the store reaches; raise `InvalidValue` for too few."""
    first_at = store.stats(tenant).first_at
    first = last_day - days + 1 if first_at is None else max(last_day - days + 1, day_number(first_at.date()))
    span = last_day - first + 1
    if first_at is None or span < _LEAST_DAYS:
        raise InvalidValue(
            f"a replay needs at least {_LEAST_DAYS} days of readings; there are {max(span, 0)}"
        )
    with uow_factory() as uow:
        devices = {str(device.device_id): device for device in uow.devices.all(tenant)}
        tickets = uow.tickets.list(tenant, TicketFilter(limit=_MOST_TICKETS))
        done = WorkOrderFilter(states=frozenset({WorkOrderState.DONE}), limit=_MOST_TICKETS)
        visits = [
            order
            for order in uow.work_orders.list(tenant, done)
            if order.kind.value != "phone"
            and order.done_at is not None
            and first <= day_number(order.done_at.date()) <= last_day
        ]
    ids, pages, counts = _meters(store.daily_meters(tenant, first, last_day), devices, first, span)
    if not ids:
        raise InvalidValue("no device of the fleet gave a reading in that time")
    rows = {device_id: row for row, device_id in enumerate(ids)}
    told = list(store.daily_supplies(tenant, first, last_day))
    slots, levels, prices = _supplies(told, rows, devices, catalogue, first, span)
    groups, yields = _kinds(slots, told, devices, catalogue)
    life = [_design_life(catalogue, devices[device_id]) for device_id in ids]
    return Year(
        first_day=first,
        device_ids=tuple(ids),
        pages=pages,
        counts=counts,
        design_life=np.array(life),
        site=_numbered([str(devices[device_id].site_id or f"?{device_id}") for device_id in ids]),
        slot_device=np.array([rows[device_id] for device_id, _ in slots], np.int64),
        slot_group=groups,
        slot_yield=yields,
        levels=levels,
        prices=prices,
        tickets=tuple(_tickets(tickets, rows, {key: at for at, key in enumerate(slots)}, first, span)),
        visits=len(visits),
    )


def _meters(
    found: object, devices: Mapping[str, Device], first: int, span: int
) -> tuple[list[str], Floats, Floats]:
    """Return ids, pages [device, day] and the first count; pages of days without an answer are spread over them."""
    by_device: dict[str, list[DailyMeters]] = {}
    for each in found:  # type: ignore[attr-defined]  # an iterator of DailyMeters
        if each.device_id in devices and each.last_count is not None:
            by_device.setdefault(each.device_id, []).append(each)
    ids = sorted(by_device)
    pages = np.zeros((len(ids), span))
    counts = np.full(len(ids), np.nan)
    for row, device_id in enumerate(ids):
        before: DailyMeters | None = None
        for each in by_device[device_id]:
            day = each.day - first
            pages[row, day] += each.pages
            if before is None:
                counts[row] = each.first_count if each.first_count is not None else each.last_count
                pages[row, :day] = np.nan
            else:
                _spread(pages, row, before, each, first)
            before = each
        if before is not None:
            pages[row, before.day - first + 1 :] = np.nan
    return ids, filled(pages), counts


def _spread(pages: Floats, row: int, before: DailyMeters, now: DailyMeters, first: int) -> None:
    """Give the pages between two answers to the days between them; a fall of the counter gives nothing."""
    gap = (now.first_count or 0) - (before.last_count or 0)
    days = now.day - before.day
    if gap > 0 and days >= 1:
        pages[row, before.day - first + 1 : now.day - first + 1] += gap / days


def filled(pages: Floats) -> Floats:
    """Fill unknown days (NaN) from each device's mean week and return the pages."""
    for row in pages:
        unknown = np.isnan(row)
        if unknown.any():
            known = np.flatnonzero(~unknown)
            usual = [row[known[known % 7 == weekday]] for weekday in range(7)]
            means = np.array([values.mean() if len(values) else 0.0 for values in usual])
            row[unknown] = means[np.flatnonzero(unknown) % 7]
    return pages


def _supplies(
    found: Sequence[DailySupply],
    rows: Mapping[str, int],
    devices: Mapping[str, Device],
    catalogue: Catalogue,
    first: int,
    span: int,
) -> tuple[list[tuple[str, str]], Floats, Floats]:
    slots = sorted({(each.device_id, each.supply_index) for each in found if each.device_id in rows})
    at = {key: row for row, key in enumerate(slots)}
    levels = np.full((len(slots), span), np.nan)
    prices = np.zeros(len(slots))
    for each in found:
        row = at.get((each.device_id, each.supply_index))
        if row is None:
            continue
        if each.last_percent is not None:
            levels[row, each.day - first] = each.last_percent / 100.0
        prices[row] = prices[row] or _price(catalogue, devices[each.device_id], each)
    return slots, levels, prices


def _kinds(
    slots: Sequence[tuple[str, str]],
    found: Sequence[DailySupply],
    devices: Mapping[str, Device],
    catalogue: Catalogue,
) -> tuple[Ints, Floats]:
    """Return group and data-sheet yield of each slot, as the forecaster takes them."""
    stated = {(each.device_id, each.supply_index): each for each in found}
    priors = SupplyPriorBook(catalogue)
    names, yields = [], []
    for device_id, index in slots:
        device, supply = devices[device_id], stated[device_id, index]
        names.append(f"{device.model_id or device.model_name or '?'}/{supply.kind}/{supply.colour}")
        yields.append(priors.yield_pages(device, supply.kind, supply.colour).pages)
    return _numbered(names), np.array(yields)


def _numbered(names: Sequence[str]) -> Ints:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names], np.int64)


def _price(catalogue: Catalogue, device: Device, supply: DailySupply) -> float:
    model = catalogue.find(device.model_id)
    for each in model.supplies if model is not None else ():
        if each.kind == supply.kind and each.colour in (supply.colour, None) and each.price is not None:
            try:
                return float(Decimal(each.price))
            except InvalidOperation:
                return 0.0
    return 0.0


def _design_life(catalogue: Catalogue, device: Device) -> float:
    model = catalogue.find(device.model_id)
    return float("nan") if model is None else float(model.design_life_pages)


def _tickets(
    found: Sequence[Ticket],
    rows: Mapping[str, int],
    slots: Mapping[tuple[str, str], int],
    first: int,
    span: int,
) -> list[YearTicket]:
    made = []
    for ticket in found:
        day = day_number(ticket.raised_at.date()) - first
        row = rows.get(ticket.device_id)
        if row is None or not 0 <= day < span or ticket.state in _NEVER_WORKED:
            continue
        family, _, subject = ticket.cause.partition(".")
        clock = ticket.clock(ClockKind.RESTORE)
        met = None if clock is None else clock.met_at
        made.append(
            YearTicket(
                row=row,
                slot=slots.get((ticket.device_id, subject), -1) if family == "supply" else -1,
                level=LEVELS.index(ticket.level.value),
                family=SUPPLY
                if family == "supply"
                else REPLACEMENT
                if ticket.cause == "life.device"
                else OTHER,
                day=day,
                hour=ticket.raised_at.hour,
                days=float("nan") if met is None else (met - ticket.raised_at).total_seconds() / 86400.0,
                late=None if clock is None or met is None else met > clock.due_at,
                by_device=bool(ticket.evidence) and ticket.evidence[0].origin is not SignalOrigin.FORECAST,
            )
        )
    return made
