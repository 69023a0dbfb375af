"""Is a fitted estimator better than knowing nothing? Scores on held-out later days, beside the base rate.

A score without its base rate says nothing, and a random split of rows says too much: device-days of one device resemble
each other. Splits are therefore by time (train earlier, score later) or by device, and `refuse_random_split` fails
loudly on anything else.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from crm_core.domain.errors import InvalidValue

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A held-out score beside its base rate. `better` is 'lower' or 'higher'."""

    estimator: str
    metric: str
    held_out: float
    base_rate: float
    better: str
    rows: int

    @property
    def beats_base(self) -> bool:
        """True if the estimator is better than its base rate."""
        return self.held_out < self.base_rate if self.better == "lower" else self.held_out > self.base_rate

    def as_json(self) -> dict[str, object]:
        """Return the score for reports and cards."""
        return {
            "estimator": self.estimator, "metric": self.metric, "held_out": round(self.held_out, 4),
            "base_rate": round(self.base_rate, 4), "better": self.better, "rows": self.rows, "beats_base": self.beats_base,
        }  # fmt: skip


def refuse_random_split(
    train_day: Ints, test_day: Ints, train_group: Ints, test_group: Ints, gap_days: int
) -> None:
    """Raise `InvalidValue` unless the test rows lie `gap_days` later than all training rows, or in other devices.

    A random split of device-days inflates every score: neighbours of test rows stand in training (Azure PdM:
    average precision .76 instead of .53).
    """
    if len(train_day) == 0 or len(test_day) == 0:
        return
    later = int(test_day.min()) >= int(train_day.max()) + gap_days
    apart = not np.isin(test_group, train_group).any()
    if not (later or apart):
        raise InvalidValue(
            "random row split refused: test rows share devices with training rows and do not lie later by the horizon; "
            "split by day (with a gap) or by device"
        )


def mean_absolute_error(truth: Floats, predicted: Floats) -> float:
    """Return the mean absolute error, in the unit of the arguments."""
    return float(np.mean(np.abs(truth - predicted)))


def average_precision(truth: Bools, chance: Floats) -> float:
    """Return the area under the precision-recall steps; equal chances are one step."""
    order = np.argsort(-chance, kind="stable")
    chance, truth = chance[order], truth[order]
    last = np.r_[np.where(np.diff(chance))[0], len(chance) - 1]
    hits = np.cumsum(truth)[last]
    precision, recall = hits / (last + 1), hits / max(int(truth.sum()), 1)
    return float(np.sum(np.diff(np.r_[0.0, recall]) * precision))


def calibration_error(truth: Bools, chance: Floats, bins: int = 20) -> float:
    """Return the expected calibration error over bins of equal size."""
    parts = np.array_split(np.argsort(chance, kind="stable"), bins)
    return float(
        sum(abs(truth[p].mean() - chance[p].mean()) * len(p) for p in parts if len(p)) / max(len(truth), 1)
    )
