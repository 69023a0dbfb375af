"""From the telemetry store to dense arrays: one place that knows rows, one state that takes only new days.

The store gives a row a device (and supply) and day. They are laid out as [device, day] and [supply, day] with pandas and
fed day by day to the usage and supply states. A nightly run therefore reads only the days since the last one; a run for
an earlier day than the last one starts again from the beginning.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from analytics.failures import FailureState
from analytics.priors import SupplyPriorBook
from analytics.recent import DayCodes, RecentDays
from analytics.supply_state import KNOWN, SILENT, SOME_REMAINING, SupplyState
from analytics.usage import COUNTER32, HORIZON_DAYS, UsageState, weekday_of
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.telemetry import DailyMeters, DailySupply, TelemetryEvent
from crm_core.ports import TelemetryStore

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Daily = TypeVar("Daily", DailyMeters, DailySupply)

_KEPT_DAYS: Final = 400  # lives that ended and falls of counters are forgotten after that
_ROWS_AT_ONCE: Final = 500_000  # devices times days that are read in one go
_ROLL_OVER_PAGES: Final = 1e6  # nobody prints more between two answers: a smaller step is a roll-over
EPOCH: Final = date(1970, 1, 1)
_STATES: Final = {"known": KNOWN, "some_remaining": SOME_REMAINING}
_METER_COLUMNS: Final = ("device_id", "day", "last_count", "jams", "polls")
_SUPPLY_COLUMNS: Final = (
    "device_id", "day", "supply_index", "kind", "colour", "level_state", "last_percent", "capacity", "unit",
)  # fmt: skip


def day_number(day: date) -> int:
    """Return days since 1970-01-01."""
    return int((day - EPOCH).days)


def day_start(day: int) -> datetime:
    """Return the first instant of a day number, UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


@dataclass(frozen=True, slots=True)
class SupplyKey:
    """One supply of one device, as the device last described it."""

    device_row: int
    index: str
    kind: str | None
    colour: str | None


@dataclass(frozen=True, slots=True)
class EndedLife:
    """One supply that went out: its row, first day, day found, and its end (day, half days; None: changed early).

    `days_left` says for how many more days one that was changed early would have lasted by its gauge (None: unknown).
    """

    row: int
    first_day: int
    found_on: int
    end: float | None
    days_left: float | None = None


@dataclass(frozen=True, slots=True)
class CounterFall:
    """A page counter that stood lower than before, and not because it passed 2^32."""

    row: int
    day: int
    before: float
    after: float


@dataclass(slots=True)
class DayBlock:
    """Dense answers of the fleet over a run of days: counts [device, day], states and percents [supply, day]."""

    first_day: int
    counts: Floats
    jams: Floats
    polls: Ints
    states: Ints
    percents: Floats


def _no_supplies() -> SupplyState:
    nothing = np.zeros(0, np.int64)
    return SupplyState.empty(nothing, nothing, np.zeros(0), np.zeros(0))


@dataclass(slots=True)
class FleetState:
    """Everything that analytics remembers of one tenant's fleet at the end of `last_day`."""

    tenant: TenantId
    priors: SupplyPriorBook
    usage: UsageState = field(default_factory=lambda: UsageState.empty(np.zeros(0, np.int64), np.zeros(0)))
    supply: SupplyState = field(default_factory=_no_supplies)
    failures: FailureState = field(default_factory=lambda: FailureState.empty(0))
    recent: RecentDays = field(default_factory=lambda: RecentDays.empty(0))
    device_ids: list[str] = field(default_factory=list)
    described: list[tuple[str, ...]] = field(
        default_factory=list
    )  # what each device's priors and pools rest on
    keys: list[SupplyKey] = field(default_factory=list)
    last_statement: dict[int, str | None] = field(
        default_factory=dict
    )  # supply row -> level_state as last stated
    ended: list[EndedLife] = field(default_factory=list)
    falls: list[CounterFall] = field(default_factory=list)
    all_codes: dict[int, DayCodes] | None = None  # training keeps the codes of the whole walk
    last_day: int | None = None
    holidays: frozenset[int] = frozenset()
    device_rows: dict[str, int] = field(default_factory=dict)
    supply_rows: dict[tuple[str, str], int] = field(default_factory=dict)
    sites: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)

    def device_row(self, device_id: str) -> int | None:
        """Return the row of a device in the arrays, or None if it never answered."""
        return self.device_rows.get(device_id)

    def supply_row(self, device_id: str, index: str) -> int:
        """Return the row of a supply, or -1 if it was never stated."""
        return self.supply_rows.get((device_id, index), -1)

    def moved(self, devices: Mapping[str, Device]) -> frozenset[str]:
        """Return the devices that stand at another site or are of another model than their rows were made for."""
        known = zip(self.device_ids, self.described, strict=True)
        return frozenset(
            name for name, before in known if name in devices and _description(devices[name]) != before
        )

    def advance(self, store: TelemetryStore, devices: Mapping[str, Device], until: int) -> int:
        """Take all days up to `until` that are not taken yet; return how many were taken."""
        taken = 0
        for day, block, column, events in self.days(store, devices, until):
            self.take_day(day, block, column, events)
            taken += 1
        self.ended = [life for life in self.ended if life.found_on > until - _KEPT_DAYS]
        self.falls = [fall for fall in self.falls if fall.day > until - _KEPT_DAYS]
        return taken

    def days(
        self, store: TelemetryStore, devices: Mapping[str, Device], until: int, *, one_by_one: bool = False
    ) -> Iterator[tuple[int, DayBlock, int, Sequence[tuple[int, TelemetryEvent]]]]:
        """Yield every day not taken yet up to `until` with its block, its column there and its events; each must be taken.

        A large fleet is read in runs of days, so that its history never lies in memory as a whole.
        """
        at_once = max(1, _ROWS_AT_ONCE // max(len(devices), 1))
        first = self._first_day_to_read(store, until)
        while first is not None and first <= until:
            block, events = self.read(
                store, devices, (first, min(first + at_once - 1, until)), one_by_one=one_by_one
            )
            for column in range(block.counts.shape[1]):
                day = block.first_day + column
                yield day, block, column, events.get(day, ())
            first += at_once

    def read(
        self,
        store: TelemetryStore,
        devices: Mapping[str, Device],
        span: tuple[int, int],
        *,
        one_by_one: bool = False,
    ) -> tuple[DayBlock, dict[int, list[tuple[int, TelemetryEvent]]]]:
        """Return the days of `span`, both ends included, as dense arrays, and their events by day; new devices get their rows.

        With `one_by_one` only the rows of `devices` are asked for: right for a few devices of a large fleet.
        """
        first, until = span
        names: list[DeviceId | None] = [DeviceId(name) for name in sorted(devices)] if one_by_one else [None]
        asked = (self.tenant, first, until)
        meters = meter_frame(_of(devices, (store.daily_meters(*asked, name) for name in names)))
        supplies = supply_frame(_of(devices, (store.daily_supplies(*asked, name) for name in names)))
        instants = (self.tenant, day_start(first), day_start(until + 1))
        events = [event for name in names for event in store.events(*instants, name)]
        self._add_devices([*dict.fromkeys([*meters["device_id"], *supplies["device_id"]])], devices)
        self._add_supplies(supplies, devices)
        return self._block(meters, supplies, first, until), self._events_by_day(events)

    def _first_day_to_read(self, store: TelemetryStore, until: int) -> int | None:
        if self.last_day is not None:
            return self.last_day + 1
        first_at = store.stats(self.tenant).first_at
        return None if first_at is None else max(day_number(first_at.date()), until - 1500)

    def take_day(
        self, day: int, block: DayBlock, column: int, events: Sequence[tuple[int, TelemetryEvent]]
    ) -> Floats:
        """Feed one day to the states and return the pages of every device since its last answer (NaN: not known)."""
        holiday = day in self.holidays
        self.usage.expect(day, self.usage.expected_on(weekday_of(day)), holiday=holiday)
        self._note_falls(day, block.counts[:, column])
        dry = self._dry_devices() & ~(block.counts[:, column] > self.usage.count)
        pages = self.usage.take(day, block.counts[:, column], dry=dry, holiday=holiday)
        ran_out, empty_day = self.supply.ran_out(), self.supply.empty_day.copy()
        seg_day, left = self.supply.seg_day.copy(), self.supply.pages_left()
        self.supply.take(
            day, block.states[:, column], block.percents[:, column], pages[self.supply.usage_row]
        )
        out = np.flatnonzero(self.supply.swapped & ~np.isnan(seg_day))
        days_left = self._days_left(out, left[out])
        for row in out.tolist():
            found = float(day) if np.isnan(empty_day[row]) else float(empty_day[row])
            end = found - 0.5 if ran_out[row] else None
            self.ended.append(EndedLife(row, int(seg_day[row]), day, end, days_left.get(row)))
        jams = block.jams[:, column]
        self.failures.take(events, np.nan_to_num(pages), jams, block.polls[:, column] > 0)
        self.recent.take(day, events, pages, jams)
        if self.all_codes is not None and day in self.recent.codes:
            self.all_codes[day] = self.recent.codes[day]
        self.last_day = day
        return pages

    def _days_left(self, rows: Ints, pages: npt.NDArray[np.floating]) -> dict[int, float]:
        """Return for how many days `pages` of supplies `rows` would last at present use, where their gauge can be believed."""
        told = ~(self.supply.speaks_late() | self.supply.sticks())[rows]
        if not told.any():
            return {}
        days = pages / np.maximum(self.usage.present_rate(self.supply.usage_row[rows]), 1e-3)
        return dict(zip(rows[told].tolist(), days[told].tolist(), strict=True))

    def _note_falls(self, day: int, counts: Floats) -> None:
        before = self.usage.count
        for row in np.flatnonzero(counts < before).tolist():
            if counts[row] + COUNTER32 - before[row] > _ROLL_OVER_PAGES:
                self.falls.append(CounterFall(row, day, float(before[row]), float(counts[row])))

    def _dry_devices(self) -> npt.NDArray[np.bool_]:
        dry = np.zeros(len(self.usage), bool)
        dry[self.supply.usage_row[self.supply.dry()]] = True
        return dry

    def _events_by_day(self, events: Sequence[TelemetryEvent]) -> dict[int, list[tuple[int, TelemetryEvent]]]:
        by_day: dict[int, list[tuple[int, TelemetryEvent]]] = {}
        for event in events:
            row = self.device_rows.get(event.device_id)
            if row is not None and event.began:
                by_day.setdefault(day_number(event.at.date()), []).append((row, event))
        return by_day

    def _add_devices(self, seen: Iterable[str], devices: Mapping[str, Device]) -> None:
        new = [device_id for device_id in seen if device_id not in self.device_rows]
        if not new:
            return
        site, rate = [], []
        for device_id in new:
            device = devices[device_id]
            self.device_rows[device_id] = len(self.device_ids)
            self.device_ids.append(device_id)
            self.described.append(_description(device))
            site.append(self.site_number(device))
            rate.append(self.priors.pages_per_day(device))
        self.usage.grow(np.array(site, np.int64), np.array(rate))
        self.failures.grow(len(new))
        self.recent.grow(len(new))

    def site_number(self, device: Device) -> int:
        """Return the number of a device's site; a device without one stands alone."""
        return self.sites.setdefault(device.site_id or f"?{device.device_id}", len(self.sites))

    def model_number(self, device: Device, kind: str | None, colour: str | None) -> int:
        """Return the number of the supplies that learn from one another: of one model, kind and colour."""
        group = f"{device.model_id or device.model_name or '?'}/{kind}/{colour}"
        return self.models.setdefault(group, len(self.models))

    def _add_supplies(self, rows: pd.DataFrame, devices: Mapping[str, Device]) -> None:
        added: list[tuple[int, int, float]] = []
        last = rows.drop_duplicates(["device_id", "supply_index"], keep="last")
        for row in last.itertuples(index=False):
            identity = (row.device_id, row.supply_index)
            kind, colour = _text(row.kind), _text(row.colour)
            at = self.supply_rows.get(identity)
            if at is None:
                at = self.supply_rows[identity] = len(self.keys)
                device = devices[row.device_id]
                device_row = self.device_rows[row.device_id]
                self.keys.append(SupplyKey(device_row, row.supply_index, kind, colour))
                model = self.model_number(device, kind, colour)
                added.append((device_row, model, self.priors.yield_pages(device, kind, colour).pages))
            elif kind is not None:
                self.keys[at] = SupplyKey(self.keys[at].device_row, row.supply_index, kind, colour)
            self.last_statement[at] = _statement(_text(row.level_state), row.last_percent)
        if added:
            device_rows, models, nominal = zip(*added, strict=True)
            self.supply.grow(
                np.array(device_rows), np.array(models), np.array(nominal, float), np.ones(len(added))
            )

    def _block(self, meters: pd.DataFrame, supplies: pd.DataFrame, first: int, until: int) -> DayBlock:
        days = until - first + 1
        counts = np.full((len(self.device_ids), days), np.nan)
        jams = np.zeros((len(self.device_ids), days))
        polls = np.zeros((len(self.device_ids), days), np.int64)
        rows = meters["device_id"].map(self.device_rows).to_numpy(np.int64)
        columns = meters["day"].to_numpy(np.int64) - first
        counts[rows, columns] = meters["last_count"].to_numpy(
            float
        )  # the last answer of the day is the day's end
        jams[rows, columns] = meters["jams"].to_numpy(float)
        polls[rows, columns] = meters["polls"].to_numpy(np.int64)
        states = np.full((len(self.keys), days), SILENT, np.int64)
        percents = np.full((len(self.keys), days), np.nan)
        identities = zip(supplies["device_id"], supplies["supply_index"], strict=True)
        rows = np.array([self.supply_rows[identity] for identity in identities], np.int64)
        columns = supplies["day"].to_numpy(np.int64) - first
        percent = np.clip(supplies["last_percent"].to_numpy(float), 0.0, 100.0)
        state = supplies["level_state"].map(_STATES).fillna(SILENT).to_numpy(np.int64)
        state = np.where((state == KNOWN) & np.isnan(percent), SILENT, state)
        states[rows, columns] = state
        percents[rows, columns] = np.where(state == KNOWN, percent, np.nan)
        return DayBlock(first, counts, jams, polls, states, percents)


def _of(devices: Mapping[str, Device], answers: Iterable[Iterable[Daily]]) -> Iterator[Daily]:
    """Yield the rows of `devices`; those of others never take memory."""
    return (row for row in chain.from_iterable(answers) if row.device_id in devices)


def _description(device: Device) -> tuple[str, ...]:
    return tuple(
        str(each or "") for each in (device.site_id, device.model_id, device.vendor, device.model_name)
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _statement(state: str | None, percent: float | None) -> str | None:
    if state == "known" and (percent is None or np.isnan(percent)):
        return "known_without_capacity"
    return state


def meter_frame(rows: Iterable[DailyMeters]) -> pd.DataFrame:
    """Return daily meters as a table; counts are floats with NaN where the device did not answer."""
    records = [(row.device_id, row.day, row.last_count, row.jams, row.polls) for row in rows]
    frame = pd.DataFrame.from_records(records, columns=list(_METER_COLUMNS))
    return frame.astype({"day": "int64", "last_count": "float64", "jams": "float64", "polls": "int64"})


def supply_frame(rows: Iterable[DailySupply]) -> pd.DataFrame:
    """Return daily supplies as a table; percents are floats with NaN where there is no number."""
    records = [
        (row.device_id, row.day, row.supply_index, row.kind, row.colour, row.level_state, row.last_percent,
         row.capacity, row.unit) for row in rows
    ]  # fmt: skip
    frame = pd.DataFrame.from_records(records, columns=list(_SUPPLY_COLUMNS))
    return frame.astype({"day": "int64", "last_percent": "float64"})


def calendar_ahead(day: int, holidays: frozenset[int]) -> npt.NDArray[np.bool_]:
    """Return which of the days after `day` are announced holidays, [HORIZON_DAYS]."""
    return np.array([day + 1 + step in holidays for step in range(HORIZON_DAYS)])
