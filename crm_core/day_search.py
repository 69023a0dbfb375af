"""Finds an order of visits that leaves no promise out, where inserting one after the other does not get there. Pure.

A search over the order of a handful of visits on a few routes: which comes next, or is the route over. Of two ways to have
done the same visits and stand at the same place only the earlier one is followed, so small cases are searched through;
a limit on the steps keeps large ones quick.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from crm_core.domain.day_plan import Job, Place, Shift, Travel


class RouteSearch:
    """Looks for routes on which all of some jobs stand in time; all its searches take `steps` at most, one of them `each`."""

    def __init__(self, travel: Travel, *, steps: int, each: int) -> None:
        self._travel = travel
        self._all_steps = steps
        self._each = each
        self._steps = 0  # what the running search has left
        self._shifts: Sequence[Shift] = ()
        self._seen: dict[tuple[int, frozenset[str], frozenset[str], str], datetime] = {}

    def routes(self, shifts: Sequence[Shift], jobs: Iterable[Job]) -> dict[str, list[Job]] | None:
        """Return routes for `shifts` that serve all of `jobs` by every hard rule; None when there are none (or no time)."""
        self._shifts, self._seen = shifts, {}
        waiting = sorted(jobs, key=lambda job: (job.latest or job.due, job.key))
        if not shifts or not all(any(shift.may_do(job) for shift in shifts) for job in waiting):
            return None
        allowed = self._steps = min(self._each, self._all_steps)
        found = self._begin(0, waiting)
        self._all_steps -= allowed - max(self._steps, 0)
        return None if found is None else dict(zip((each.technician for each in shifts), found, strict=True))

    def _begin(self, number: int, waiting: Sequence[Job]) -> list[list[Job]] | None:
        """Return the routes from the shift of that number on, for all that waits."""
        if number == len(self._shifts):
            return None if waiting else []
        shift = self._shifts[number]
        return self._go_on(number, waiting, waiting, [], shift.starts, shift.home)

    def _go_on(
        self,
        number: int,
        begun_with: Sequence[Job],
        waiting: Sequence[Job],
        route: list[Job],
        now: datetime,
        place: Place,
    ) -> list[list[Job]] | None:
        """Return this route and those after it, going on from a place at a time."""
        if not self._is_new(number, begun_with, waiting, route, now):
            return None
        for job, starts in self._next(number, waiting, route, now, place):
            rest = [each for each in waiting if each is not job]
            longer = [*route, job]
            found = self._go_on(number, begun_with, rest, longer, starts + job.on_site, job.place)
            if found is not None:
                return found
        rest_of = self._begin(number + 1, waiting)
        return None if rest_of is None else [route, *rest_of]

    def _is_new(
        self,
        number: int,
        begun_with: Sequence[Job],
        waiting: Sequence[Job],
        route: Sequence[Job],
        now: datetime,
    ) -> bool:
        """Return True unless the same was reached as early before, or the steps are used up."""
        self._steps -= 1
        state = (
            number,
            frozenset(job.key for job in begun_with),
            frozenset(job.key for job in waiting),
            route[-1].key if route else "",
        )
        known = self._seen.get(state)
        if self._steps < 0 or (known is not None and known <= now):
            return False
        self._seen[state] = now
        return True

    def _next(
        self, number: int, waiting: Sequence[Job], route: Sequence[Job], now: datetime, place: Place
    ) -> Iterator[tuple[Job, datetime]]:
        """Yield who may come next, with the start; nobody who would make a promise of this route too late."""
        shift = self._shifts[number]
        bound = [job for job in waiting if job.keeps == shift.technician and job.latest is not None]
        for job in waiting:
            starts = max(now + self._travel.between(place, job.place), job.earliest)
            over = starts + job.on_site
            if (job.latest is not None and starts > job.latest) or over > shift.ends:
                continue
            if any(each is not job and each.latest is not None and each.latest < over for each in bound):
                continue
            if shift.may_do(job) and shift.carries([*route, job]):
                yield job, starts
