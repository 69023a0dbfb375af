"""Numbers, times and spans as people of each language read them (CLDR data through babel)."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime, format_time, format_timedelta
from babel.numbers import format_decimal, format_percent

DASH: Final = "–"


@lru_cache(maxsize=8)
def _locale(language: str) -> Locale:
    """Return the CLDR locale of a language of ours."""
    return Locale.parse("zh_Hans_CN" if language == "zh-CN" else "en_GB")


class Formats:
    """Formats for one language and time zone; `now` is the instant of the page. None becomes a dash."""

    def __init__(self, language: str, zone: ZoneInfo, now: datetime) -> None:
        self._locale = _locale(language)
        self._chinese = language == "zh-CN"
        self._zone = zone
        self._now = now

    def number(self, value: float | None, digits: int = 0) -> str:
        """Return 12,345 or 1.5."""
        if value is None:
            return DASH
        return str(
            format_decimal(
                round(value, digits),
                format="#,##0." + "#" * digits if digits else "#,##0",
                locale=self._locale,
            )
        )

    def percent(self, share: float | None, digits: int = 0) -> str:
        """Return a share (0..1) in percent."""
        if share is None:
            return DASH
        return str(
            format_percent(share, format="0." + "0" * digits + "%" if digits else "0%", locale=self._locale)
        )

    def day(self, value: date | datetime | None) -> str:
        """Return the day in short: 5 Jan, 1月5日."""
        if value is None:
            return DASH
        local = value.astimezone(self._zone).date() if isinstance(value, datetime) else value
        return str(format_date(local, "M月d日" if self._chinese else "d MMM", locale=self._locale))

    def long_day(self, value: date | datetime | None) -> str:
        """Return weekday and day: Monday 5 January, 1月5日 星期一."""
        if value is None:
            return DASH
        local = value.astimezone(self._zone).date() if isinstance(value, datetime) else value
        return str(format_date(local, "M月d日 EEEE" if self._chinese else "EEEE d MMMM", locale=self._locale))

    def month(self, value: date | None) -> str:
        """Return month and year: Jan 2026, 2026年1月."""
        if value is None:
            return DASH
        return str(format_date(value, "y年M月" if self._chinese else "MMM y", locale=self._locale))

    def time(self, value: datetime | None) -> str:
        """Return the time of day: 14:05."""
        return str(format_time(value.astimezone(self._zone), "HH:mm", locale=self._locale)) if value else DASH

    def moment(self, value: datetime | None) -> str:
        """Return day and time; the day is left out when it is today."""
        if value is None:
            return DASH
        local = value.astimezone(self._zone)
        if local.date() == self._now.astimezone(self._zone).date():
            return self.time(value)
        pattern = "M月d日 HH:mm" if self._chinese else "d MMM HH:mm"
        return str(format_datetime(local, pattern, locale=self._locale))

    def stamp(self, value: datetime) -> str:
        """Return day and time in full, for paper that outlives the day."""
        return value.astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def ago(self, value: datetime | None) -> str:
        """Return how far an instant lies from now: 3 hours ago, in 2 days."""
        if value is None:
            return DASH
        span = value - self._now
        if abs(span) < timedelta(minutes=1):
            return "刚刚" if self._chinese else "just now"
        return str(format_timedelta(span, add_direction=True, locale=self._locale, threshold=1.5))

    def span(self, span: timedelta | None) -> str:
        """Return a duration in its two largest units: 1 h 20 min, 2 d 3 h."""
        if span is None:
            return DASH
        minutes = int(abs(span.total_seconds()) // 60)
        days, rest = divmod(minutes, 1440)
        hours, minutes = divmod(rest, 60)
        d, h, m = ("天", "小时", "分钟") if self._chinese else ("d", "h", "min")
        parts = [(days, d), (hours, h), (minutes, m)] if not days else [(days, d), (hours, h)]
        shown = [f"{count} {unit}" for count, unit in parts if count]
        return " ".join(shown[: 1 if days >= 10 else 2]) or f"0 {m}"

    def iso(self, value: datetime) -> str:
        """Return the instant for a `datetime` attribute."""
        return value.isoformat().replace("+00:00", "Z")

    def days(self, value: float | None) -> str:
        """Return a number of days: one decimal below three days, whole days above, 'over' beyond a year."""
        if value is None:
            return DASH
        if value > 365:
            return "> 365"
        return self.number(value, 1 if value < 3 else 0)
