"""How long help takes: counted in days on which people drive, so that a ticket of a Saturday waits as Saturdays do.

A recorded time of three days means one thing for a Friday and another for a Tuesday; what is drawn for another day is
therefore the number of service days and the time of the day, not the hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.policy_replay.year import Floats, Ints, YearTicket
from analytics.usage import weekday_of

NEVER_RESTORED: Final = -1
LONGEST_DAYS: Final = 400
_LEAST_KNOWN: Final = 3  # restored tickets below which the plain guess is better
_LEAST_FOR_WEEK: Final = 40  # restored tickets that show on which weekdays people drive
_IDLE_SHARE: Final = 0.2  # of a usual day's restores: less is a weekday without service


@dataclass(frozen=True, slots=True)
class HelpTimes:
    """Recorded tickets of one kind to draw from: hour of the raise (UTC), service days until help, share of that day.

    Each kind has its own week: who mends a stopped machine on a Sunday does not bring toner then.
    """

    hours: Ints
    service_days: Ints  # NEVER_RESTORED: the ticket ended without being restored
    at: Floats
    first_day: int  # of the year
    week: npt.NDArray[np.bool_]  # [weekday, Monday first] help comes

    def ahead(self, day: int) -> Ints:
        """Return `day` itself and then the service days after it, LONGEST_DAYS of them at least."""
        later = np.arange(day + 1, day + 1 + LONGEST_DAYS * 7)
        driven = later[self.week[(self.first_day + later + 3) % 7]]
        return np.concatenate([[day], driven[: LONGEST_DAYS + 1]])

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
        """Return rows to take [shape]."""
        return rng.integers(0, len(self.hours), shape)

    def day_of_help(self, rows: Ints, day: int) -> Ints:
        """Return the day on which help comes for tickets raised on `day`."""
        known = self.service_days[self.service_days != NEVER_RESTORED]
        usual = int(np.median(known)) if known.size else 1
        steps = self.service_days[rows]
        return np.asarray(self.ahead(day)[np.where(steps == NEVER_RESTORED, usual, steps)])

    def late(self, rows: Ints, day: int, allowed: Floats) -> npt.NDArray[np.bool_]:
        """Return which rows are restored later than `allowed` days by hour of the raise [24]; never restored is not late."""
        ahead = self.ahead(day)
        steps, hours = self.service_days[rows], self.hours[rows]
        waited = ahead[np.maximum(steps, 0)] - ahead[0] + self.at[rows] - hours / 24.0
        return np.asarray((steps != NEVER_RESTORED) & (waited > allowed[hours] + 1e-9))


def service_week(tickets: Sequence[YearTicket], first_day: int) -> npt.NDArray[np.bool_]:
    """Return on which weekdays (Monday first) help comes: those on which such tickets are restored."""
    done = [
        weekday_of(first_day + int(each.day + each.hour / 24.0 + each.days))
        for each in tickets
        if not np.isnan(each.days)
    ]
    if len(done) < _LEAST_FOR_WEEK:
        return np.ones(7, bool)
    counts = np.bincount(done, minlength=7)
    return np.asarray(counts > _IDLE_SHARE * counts.mean())


def fit_help_times(tickets: Sequence[YearTicket], usual_days: float, first_day: int) -> HelpTimes:
    """Return what the tickets of one kind show; a plain guess of `usual_days` where too few were restored."""
    known = [each for each in tickets if not np.isnan(each.days)]
    if len(known) < _LEAST_KNOWN:
        end = 9.0 / 24.0 + usual_days
        every_day = np.ones(7, bool)
        return HelpTimes(np.array([9]), np.array([int(end)]), np.array([end % 1.0]), first_day, every_day)
    week = service_week(tickets, first_day)
    hours, steps, at = [], [], []
    for each in tickets:
        end = 0.0 if np.isnan(each.days) else each.day + each.hour / 24.0 + each.days
        between = np.arange(each.day + 1, int(end) + 1)
        hours.append(each.hour)
        steps.append(
            NEVER_RESTORED
            if np.isnan(each.days)
            else min(int(week[(first_day + between + 3) % 7].sum()), LONGEST_DAYS)
        )
        at.append(end % 1.0)
    return HelpTimes(np.array(hours, np.int64), np.array(steps, np.int64), np.array(at), first_day, week)
