"""Chances that mean what they say: a slope and a shift of the log odds, learned on rows that the model has not seen.

A bagged boosting is too timid (its mean log odds are drawn to the middle), and fitting a correction on its own training
rows would find nothing to correct. So the correction is fitted on predictions made by models that had not seen the
machine (cross-fitting over machines, all days pooled; J. Platt 1999, with a weak pull to "change nothing" so that a
handful of failures cannot bend it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from analytics.evaluation import refuse_random_split

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_PULL: Final = 4.0  # weight of the pull towards slope 1 and shift 0, in rows
_MIN_POSITIVE: Final = 20  # fewer teach no correction


@dataclass(frozen=True, slots=True)
class LogOddsCalibration:
    """Corrects chances: log odds times `slope` plus `shift`. It never changes their order (slope > 0)."""

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, chance: Floats) -> Floats:
        """Return corrected chances of the same shape."""
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * log_odds(chance) + self.shift))))


def log_odds(chance: Floats) -> Floats:
    """Return log odds; chances are kept a millionth away from 0 and 1."""
    inside = np.clip(chance, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(inside / (1.0 - inside)))


def fit_calibration(chance: Floats, truth: Bools, weight: Floats | None = None) -> LogOddsCalibration:
    """Return the correction of out-of-fold chances [m] against what happened [m]; too few failures change nothing."""
    weights = np.ones(len(truth)) if weight is None else weight
    if truth.sum() < _MIN_POSITIVE or truth.all():
        return LogOddsCalibration()
    odds = log_odds(chance)

    def cost(parameters: Floats) -> tuple[float, Floats]:
        slope, shift = np.exp(parameters[0]), parameters[1]
        score = slope * odds + shift
        loss = float(np.sum(weights * (np.logaddexp(0.0, score) - truth * score)))
        error = weights * (1.0 / (1.0 + np.exp(-score)) - truth)
        pull = _PULL * 0.5 * float(parameters @ parameters)
        gradient = np.array([float(np.sum(error * slope * odds)), float(np.sum(error))])
        return loss + pull, gradient + _PULL * parameters

    found = minimize(cost, np.zeros(2), jac=True, method="L-BFGS-B", bounds=[(-1.5, 1.5), (-4.0, 4.0)])
    return LogOddsCalibration(float(np.exp(found.x[0])), float(found.x[1]))


def cross_fitted(
    groups: Ints, folds: int, seed: int, predict: Callable[[Ints, Ints], tuple[Floats, Bools]]
) -> tuple[Floats, Bools]:
    """Return chances and outcomes of every group, each predicted by a model fitted on the other folds only.

    `predict(train_groups, held_groups)` fits on the first and returns chances and outcomes of the second.
    """
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    parts = [part for part in np.array_split(order, min(folds, len(order))) if len(part)]
    made = []
    for part in parts:
        others = np.setdiff1d(order, part)
        refuse_random_split(np.zeros_like(others), np.zeros_like(part), others, part, 1)
        made.append(predict(others, np.sort(part)))
    return np.concatenate([chance for chance, _ in made]), np.concatenate([truth for _, truth in made])
