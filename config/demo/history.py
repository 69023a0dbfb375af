"""The past of the firm under virtual time: polls, pushes, tickets, visits and nightly forecasts, hour by hour.

Nothing is written into a store directly. Every second printer is read as SNMP varbinds and normalised, the others send
encoded MQTT payloads that are decoded as the listener decodes them; both go through ingest, and what follows from them
goes through outbox, inbox, triage, dispatch and the service desk, as it would have then.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from config.clock import VirtualClock
from config.demo.care import CareDays
from config.demo.looks import Looks
from config.demo.money import MoneyDays
from config.demo.service_days import ServiceDays
from config.demo.staff import Job, Staff
from config.demo.store_room import handle_loans
from config.wiring.analysing import Desk, forecast_round, loan_round, silence_round, swap_round, triage_round
from config.wiring.core import Core
from config.wiring.telemetry import Telemetry

#: Minutes after midnight UTC: 09:10, 12:40 and 16:50 in Shanghai, when machines are on and people at work.
POLL_MINUTES: Final = (70, 280, 530)
#: Before the last weeks the machines are looked at when they are on at last and when work ends: newcomers do not wait for noon.
_SELDOM: Final = (POLL_MINUTES[0], POLL_MINUTES[-1])
#: The night's gap between two looks: who was seen at the last one of a day is not dark before the first of the next.
LOOKS_APART: Final = timedelta(days=1) - timedelta(minutes=POLL_MINUTES[-1] - POLL_MINUTES[0])
_DAY: Final = timedelta(days=1)
#: Every night of the last weeks is forecast; before them every second one, so that a newcomer does not wait for the past.
_RECENT: Final = timedelta(days=30)

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class History:
    """Makes the firm's past."""

    core: Core
    telemetry: Telemetry
    desk: Desk
    clock: VirtualClock
    looks: Looks
    staff: Staff
    money: MoneyDays | None = None
    care: CareDays | None = None
    service: ServiceDays | None = None
    _jobs: list[Job] = field(default_factory=list)

    def run(self, since: datetime, until: datetime, progress: Progress) -> None:
        """Live through everything after `since`, up to `until`; `progress` gets the day and how many there are.

        What is stored already may come again: a history that was killed goes on where it stopped.
        """
        first = _midnight(since)
        days = max(-((first - until) // _DAY), 1)
        steps = list(_steps(since, until))
        rounds = [instant for instant in steps if instant != _midnight(instant)]
        following = dict(pairwise(rounds))
        if rounds:
            self._order(rounds[0])
        for instant in steps:
            if instant == _midnight(instant):
                foresee = until - instant <= _RECENT or instant.toordinal() % 2 == 0
                self._end_of_day(instant, foresee=foresee)
                progress((instant - first) // _DAY, days)
            else:
                self._round(instant, following.get(instant))
        progress(days, days)
        self.clock.move_to(max(until, self.clock.now()))

    def _order(self, at: datetime) -> None:
        """Plan what people will have done at `at`, and order the look that shows it."""
        self._jobs = self.staff.plan(at)
        self.looks.order(at, [one for job in self._jobs for one in job.helps])

    def _round(self, now: datetime, following: datetime | None) -> None:
        """Note what people did, look at the fleet once, and do what follows from it."""
        self.clock.move_to(max(now, self.clock.now()))
        self.staff.work(self._jobs)
        readings = self.looks.take()
        if following is not None:
            self._order(following)
        self.telemetry.ingest.land(readings)
        self.telemetry.deliver()
        triage_round(self.core, self.desk)
        loan_round(self.core, self.desk)
        handle_loans(self.core, self.desk)
        if self.service is not None:
            self.service.call(now)

    def _end_of_day(self, now: datetime, *, foresee: bool) -> None:
        """Do the day's bookkeeping and forecast when the UTC day is complete (08:00 in Shanghai)."""
        self.clock.move_to(max(now, self.clock.now()))
        silence_round(self.core, self.telemetry, self.desk, LOOKS_APART)
        swap_round(self.core, self.desk, _DAY)
        if foresee:
            forecast_round(self.core, self.desk)
        if self.service is not None:
            self.service.end_of_day(now)
        if self.money is not None:
            self.money.end_of_day(now)
        if self.care is not None:
            self.care.end_of_day(now)


def _midnight(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)


def _steps(since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the looks and midnights after `since`, up to `until`, in order."""
    midnight = _midnight(since)
    while midnight <= until:
        for minutes in (0, *(POLL_MINUTES if until - midnight <= _RECENT else _SELDOM)):
            instant = midnight + timedelta(minutes=minutes)
            if since < instant <= until:
                yield instant
        midnight += _DAY
