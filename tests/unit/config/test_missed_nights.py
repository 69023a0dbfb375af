"""A night that was missed is made up for: the day up to which forecasts are due follows the clock on the wall."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from config.wiring.analysing import night_due

_SHANGHAI = ZoneInfo("Asia/Shanghai")
_BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "at", "zone", "due"),
    [
        (datetime(2026, 3, 10, 0, 9, tzinfo=UTC), "08:10", _SHANGHAI, date(2026, 3, 8)),  # the plan is in a minute
        (datetime(2026, 3, 10, 0, 10, tzinfo=UTC), "08:10", _SHANGHAI, date(2026, 3, 9)),
        (datetime(2026, 3, 10, 23, 59, tzinfo=UTC), "08:10", _SHANGHAI, date(2026, 3, 9)),
        (datetime(2026, 3, 29, 0, 30, tzinfo=UTC), "02:30", _BERLIN, date(2026, 3, 27)),  # 02:30 does not exist that day
        (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "02:30", _BERLIN, date(2026, 3, 28)),
        (datetime(2026, 3, 1, 12, 0, tzinfo=UTC), "00:30", _BERLIN, date(2026, 2, 27)),  # 23:30 UTC of the day before
    ],
)  # fmt: skip
def test_what_is_due_is_the_last_planned_night(now: datetime, at: str, zone: ZoneInfo, due: date) -> None:
    assert night_due(now, at, zone) == due
