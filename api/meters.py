"""Pages a day from daily roll-ups: what was printed between the last looks of two days belongs to the later one.

A roll-up's own `pages` counts only inside its day; prints between the last poll of an evening and the first of the
morning would be lost. Days without an answer share the usage that was found after them.
"""

from collections.abc import Iterable
from itertools import groupby, pairwise

from crm_core.domain.telemetry import DailyMeters
from crm_core.metering import meter_step


def pages_by_day(rows: Iterable[DailyMeters]) -> dict[int, float]:
    """Return pages by day number for the rows of one device in order of days; unknown days are absent."""
    known = [row for row in rows if row.polls and row.last_count is not None]
    if not known:
        return {}
    pages: dict[int, float] = {known[0].day: float(known[0].pages)}
    for before, row in pairwise(known):
        span = row.day - before.day
        used = (
            float(row.pages)
            if row.epoch_changes
            else float(meter_step(before.last_count, row.last_count).pages)
        )
        for day in range(before.day + 1, row.day + 1):
            pages[day] = used / span
    return pages


def fleet_pages_by_day(rows: Iterable[DailyMeters]) -> dict[int, float]:
    """Return pages by day number summed over all devices; rows are ordered by device and day."""
    total: dict[int, float] = {}
    for _, days in groupby(rows, key=lambda row: row.device_id):
        for day, pages in pages_by_day(days).items():
            total[day] = total.get(day, 0.0) + pages
    return total
