"""The roll-up of one device and UTC day: pure, fed with readings in the order of their own times.

Every store keeps the same answers: SQLite keeps a `DayRollup` beside the rows and feeds it reading by reading, and
rebuilds it from the rows when a late reading arrives; the memory store always rebuilds; InfluxDB receives the result.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from crm_core.domain.telemetry import (
    DailyMeters,
    DailySupply,
    DerivedSupply,
    DeviceReading,
    MarkerSupply,
    TelemetryEvent,
)
from crm_core.metering import meter_step

#: The error bit of RFC 2790 whose beginning counts as a jam.
_JAM_CODE: Final = "jammed"


class SupplyDay(msgspec.Struct, array_like=True, gc=False):
    """What one supply said on one day."""

    index: str
    kind: str | None
    colour: str | None
    unit: str | None
    capacity: int | None
    level_state: str | None
    first_percent: float | None
    last_percent: float | None
    page_count: int | None


class DayRollup(msgspec.Struct, array_like=True, gc=False):
    """One device's day so far. `basis` says which counter is followed: v the vendor's total, l the life count.

    A reading that lacks the followed counter (it was incomplete) leaves the counters alone; the vendor's total takes
    over as soon as it appears.
    """

    first_us: int = 0
    last_us: int = -1
    last_tie: str = ""
    basis: str = ""
    first_count: int | None = None
    last_count: int | None = None
    last_mono: int | None = None
    last_colour: int | None = None
    pages: int = 0
    polls: int = 0
    epochs: int = 0
    supplies: list[SupplyDay] = []

    def add(self, reading: DeviceReading, when_us: int, tie: str, last: DeviceReading | None = None) -> None:
        """Count a reading that is not older than the last one; `last` is that one, if it is at hand."""
        if not self.polls:
            self.first_us = when_us
        self.last_us, self.last_tie = when_us, tie
        self.polls += 1
        self._count(reading)
        self._add_supplies(reading, last)

    def _add_supplies(self, reading: DeviceReading, last: DeviceReading | None) -> None:
        """Bring the rows up to date; where a row of `last` is the very same object, only the counter moves on."""
        if last is None or not len(last.supplies) == len(reading.supplies) == len(self.supplies):
            derived = _derived(reading)
            for position, supply in enumerate(reading.supplies):
                self._state(supply, derived.get(supply.index), self._row(position, supply.index))
            return
        if last.supplies is reading.supplies and last.derived is reading.derived:
            for row in self.supplies:
                row.page_count = self.last_count
            return
        derived, derived_before = _derived(reading), _derived(last)
        for position, (supply, before) in enumerate(zip(reading.supplies, last.supplies, strict=True)):
            row, conclusion = self._row(position, supply.index), derived.get(supply.index)
            if (
                supply is before
                and conclusion is derived_before.get(supply.index)
                and row is self.supplies[position]
            ):
                row.page_count = self.last_count
            else:
                self._state(supply, conclusion, row)

    def _count(self, reading: DeviceReading) -> None:
        counters = reading.counters
        total, basis = counters.vendor_count("total_printed"), "v"
        if total is None:
            total, basis = counters.life_count, "l"
        if total is None or (self.basis == "v" and basis == "l"):
            return
        if self.basis != basis:  # the first statement, or the vendor's total appears after the life count
            self.basis, self.first_count, self.last_count = basis, total, None
        step = meter_step(self.last_count, total)
        self.pages += step.pages
        self.epochs += step.new_epoch
        self.last_count = total
        mono, colour = counters.vendor_count("mono"), counters.vendor_count("colour")
        self.last_mono = mono if mono is not None else self.last_mono
        self.last_colour = colour if colour is not None else self.last_colour

    def _row(self, position: int, index: str) -> SupplyDay:
        """Return the supply's row; devices list their supplies in one order, so it is mostly at the same position."""
        rows = self.supplies
        if position < len(rows) and rows[position].index == index:
            return rows[position]
        row = next((row for row in rows if row.index == index), None)
        if row is None:
            row = SupplyDay(index, None, None, None, None, None, None, None, None)
            rows.append(row)
        return row

    def _state(self, supply: MarkerSupply, derived: DerivedSupply | None, row: SupplyDay) -> None:
        percent = supply.percent
        row.kind, row.colour = supply.type, supply.colorant
        if derived is not None:
            percent = derived.level_percent if percent is None else percent
            row.kind, row.colour = derived.kind or row.kind, derived.colour or row.colour
        row.unit, row.capacity = supply.unit, supply.capacity
        row.level_state = None if supply.level_state is None else supply.level_state.value
        row.first_percent = percent if row.first_percent is None else row.first_percent
        row.last_percent = percent
        row.page_count = self.last_count


def _derived(reading: DeviceReading) -> dict[str, DerivedSupply]:
    return {row.index: row for row in reading.derived.supplies}


def order_of(reading: DeviceReading, when_us: int) -> tuple[int, str]:
    """Return the place of a reading among its device's: by time, then by boot and sequence."""
    if reading.boot_id is None or reading.seq is None:
        return when_us, ""
    return when_us, f"{reading.boot_id}:{reading.seq:020d}"


def is_jam(event: TelemetryEvent) -> bool:
    """Tell whether the event is the beginning of a jam."""
    return event.began and event.kind == "error_state" and event.code == _JAM_CODE


def meters_of(
    device_id: str, day: int, rollup: DayRollup, jams: int, count_before: int | None
) -> DailyMeters:
    """Return the answer of `daily_meters`; `count_before` is the last count of an earlier day.

    A fall of the counter between two days belongs to the later day's epochs; pages between two days belong to none.
    """
    fell = meter_step(count_before, rollup.first_count).new_epoch
    return DailyMeters(
        device_id=device_id,
        day=day,
        first_count=rollup.first_count,
        last_count=rollup.last_count,
        last_mono=rollup.last_mono,
        last_colour=rollup.last_colour,
        polls=rollup.polls,
        jams=jams,
        pages=rollup.pages,
        epoch_changes=rollup.epochs + fell,
    )


def supply_row(device_id: str, day: int, row: SupplyDay) -> DailySupply:
    """Return the answer of `daily_supplies` for one supply."""
    return DailySupply(
        device_id=device_id,
        day=day,
        supply_index=row.index,
        kind=row.kind,
        colour=row.colour,
        unit=row.unit,
        capacity=row.capacity,
        level_state=row.level_state,
        first_percent=row.first_percent,
        last_percent=row.last_percent,
        page_count=row.page_count,
    )


def by_index(rows: Iterable[SupplyDay]) -> list[SupplyDay]:
    """Return supplies in the order of their index as text."""
    return sorted(rows, key=lambda row: row.index)
