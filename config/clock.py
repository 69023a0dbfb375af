"""The two clocks: the world's, and one that only moves when told, so that days pass in milliseconds."""

from datetime import UTC, datetime, timedelta

from crm_core.domain.errors import InvalidValue


class SystemClock:
    """The wall clock in UTC: the only place of the product that reads it."""

    def now(self) -> datetime:
        """Return the present instant, aware UTC."""
        return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until it is moved forward."""

    def __init__(self, start: datetime) -> None:
        self._now = _aware(start)

    def now(self) -> datetime:
        """Return the virtual instant, aware UTC."""
        return self._now

    def move_to(self, instant: datetime) -> None:
        """Set the time; it never runs backwards (`InvalidValue`)."""
        if _aware(instant) < self._now:
            raise InvalidValue(
                f"virtual time cannot go back from {self._now.isoformat()} to {instant.isoformat()}"
            )
        self._now = instant

    def advance(self, duration: timedelta) -> None:
        """Move forward by `duration`."""
        self.move_to(self._now + duration)


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise InvalidValue("an instant needs a time zone")
    return instant
