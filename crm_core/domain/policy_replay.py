"""What a replay of the past year under another policy says: each figure with its interval, and the difference."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from crm_core.domain.forecast import Interval
from crm_core.domain.policy_figures import FigureValue

#: The figures of a replay, in the order in which people read them, with their units.
REPLAY_FIGURES: Mapping[str, str] = {
    "tickets": "tickets",
    "tickets_l1": "tickets",
    "tickets_l2": "tickets",
    "tickets_l3": "tickets",
    "visits": "visits",
    "stock_outs": "supplies",
    "stock_out_days": "days",
    "waste": "cartridges",
    "waste_yuan": "yuan",
    "breaches": "tickets",
    "replacements": "devices",
    "money": "yuan",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """What shall be looked at: figures with other values, how many replicates, and the seed that repeats it."""

    figures: Mapping[str, FigureValue]
    replicates: int = 30
    seed: int = 0
    days: int = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedFigure:
    """One figure of the year under the present policy and under the other one.

    `difference` is of replicate pairs with the same chance, so it is narrower than the two intervals suggest.
    """

    name: str
    unit: str
    present: Interval
    changed: Interval
    difference: Interval
    recorded: float | None  # what the year itself shows, where it is recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """The answer to "what if": the year, the fleet, and every figure with P10, P50, P90 over the replicates."""

    first_day: date
    last_day: date
    devices: int
    supplies: int
    unknown_supplies: int  # without a gauge that gives numbers: their tickets are taken as they came
    replicates: int
    seed: int
    policy_version: str
    changes: Mapping[str, tuple[FigureValue, FigureValue]]
    figures: tuple[ReplayedFigure, ...]

    def figure(self, name: str) -> ReplayedFigure:
        """Return one figure by name."""
        return next(each for each in self.figures if each.name == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayState:
    """A replay that was asked for: how far it is (0 to 1), and its answer or why there is none."""

    replay_id: str
    request: ReplayRequest
    progress: float
    report: ReplayReport | None = None
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.report is not None or self.error is not None

    def at(
        self, *, progress: float, report: ReplayReport | None = None, error: str | None = None
    ) -> "ReplayState":
        """Return the state as it is later."""
        return replace(self, progress=progress, report=report, error=error)
