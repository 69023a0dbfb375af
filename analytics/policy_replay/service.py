"""Answers "what if the policy had been another one": two walks through the same year, and the difference between them."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Final

import numpy as np

from analytics.features import EPOCH, day_number
from analytics.policy_replay.rates import Rates, fit_rates
from analytics.policy_replay.walk import Floats, Progress, Walk
from analytics.policy_replay.year import LEVELS, REPLACEMENT, Year, read_year
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidValue
from crm_core.domain.forecast import Interval
from crm_core.domain.identity import TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.policy_figures import FigureValue
from crm_core.domain.policy_replay import REPLAY_FIGURES, ReplayedFigure, ReplayReport, ReplayRequest
from crm_core.ports import Clock, TelemetryStore, UnitOfWorkFactory
from crm_core.ports.policy import PolicyDesk

LEAST_REPLICATES: Final = 30
MOST_REPLICATES: Final = 500


class PolicyReplay:
    """Replays of one installation's past (`ports.policy.PolicyReplays`)."""

    def __init__(
        self,
        store: TelemetryStore,
        uow_factory: UnitOfWorkFactory,
        catalogue: Catalogue,
        policies: PolicyDesk,
        clock: Clock,
    ) -> None:
        self._store = store
        self._uow_factory = uow_factory
        self._catalogue = catalogue
        self._policies = policies
        self._clock = clock

    def replay(
        self, tenant: TenantId, request: ReplayRequest, progress: Progress | None = None
    ) -> ReplayReport:
        """Return the answer; raises `InvalidValue` for figures that cannot be or too short a history."""
        check_request(request)
        present = self._policies.book_with({})
        changed = self._policies.book_with(request.figures)
        last_day = day_number(self._clock.now().date()) - 1
        year = read_year(
            self._store, self._uow_factory, self._catalogue, tenant, last_day=last_day, days=request.days
        )
        known = {each.key: each.value for each in self._policies.figures()}
        changes = {key: (known[key], value) for key, value in request.figures.items()}
        return replay_year(fit_rates(year), present, changed, request, changes, progress)


def check_request(request: ReplayRequest) -> None:
    """Raise `InvalidValue` for a request that would say nothing or never end."""
    if not LEAST_REPLICATES <= request.replicates <= MOST_REPLICATES:
        raise InvalidValue(f"replicates must be {LEAST_REPLICATES} to {MOST_REPLICATES}")
    if not 28 <= request.days <= 366:
        raise InvalidValue("days must be 28 to 366")
    if not 0 <= request.seed < 2**31:
        raise InvalidValue("seed must be a whole number from 0 to 2147483647")


def replay_year(
    rates: Rates,
    present: PolicyBook,
    changed: PolicyBook,
    request: ReplayRequest,
    changes: Mapping[str, tuple[FigureValue, FigureValue]],
    progress: Progress | None = None,
) -> ReplayReport:
    """Walk twice side by side with the same chance and report every figure."""
    days = rates.year.days
    mine = Walk(rates, present, replicates=request.replicates, seed=request.seed)
    other = Walk(rates, changed, replicates=request.replicates, seed=request.seed)
    for day in range(days):
        mine.live(day)
        other.live(day)
        other.part_from(mine)
        if progress is not None and day % 10 == 9:
            progress(day + 1, days)
    now, then = mine.settled(), other.settled()
    recorded = _recorded(rates.year)
    first = EPOCH + timedelta(days=rates.year.first_day)
    return ReplayReport(
        first_day=first,
        last_day=_last(first, days),
        devices=len(rates.year.device_ids),
        supplies=len(rates.drain),
        unknown_supplies=int((~rates.known).sum()),
        replicates=request.replicates,
        seed=request.seed,
        policy_version=present.version,
        changes=dict(changes),
        figures=tuple(
            ReplayedFigure(
                name=name,
                unit=unit,
                present=_interval(now[name]),
                changed=_interval(then[name]),
                difference=_interval(then[name] - now[name]),
                recorded=recorded.get(name),
            )
            for name, unit in REPLAY_FIGURES.items()
        ),
    )


def _last(first: date, days: int) -> date:
    return first + timedelta(days=days - 1)


def _recorded(year: Year) -> dict[str, float]:
    """Return what the year itself shows."""
    by_level = np.bincount([each.level for each in year.tickets], minlength=len(LEVELS))
    return {
        "tickets": float(len(year.tickets)),
        "tickets_l1": float(by_level[0]),
        "tickets_l2": float(by_level[1]),
        "tickets_l3": float(by_level[2]),
        "visits": float(year.visits),
        "breaches": float(sum(each.late is True for each in year.tickets)),
        "replacements": float(sum(each.family == REPLACEMENT for each in year.tickets)),
    }


def _interval(values: Floats) -> Interval:
    low, middle, high = np.percentile(values, (10, 50, 90))
    return Interval(round(float(low), 2), round(float(middle), 2), round(float(high), 2))
