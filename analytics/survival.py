"""How long parts and cartridges live: Kaplan-Meier curves and Weibull priors from lives that ended or still run.

A part that still works is censored, not ignored: leaving it out would make every life look short. The Weibull fit is a
maximum-likelihood one with a weak prior, so that three failures do not make a law.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SurvivalCurve:
    """Share still alive after each time, with an 80 % interval (Greenwood on the log-log scale)."""

    times: Floats
    alive: Floats
    low: Floats
    high: Floats

    def at(self, time: float) -> float:
        """Return the share alive after `time`."""
        step = int(np.searchsorted(self.times, time, side="right")) - 1
        return 1.0 if step < 0 else float(self.alive[step])


def kaplan_meier(lives: Floats, ended: Bools) -> SurvivalCurve:
    """Return the survival curve of lives (any unit); `ended` is False where a life still ran when last seen."""
    times = np.unique(lives[ended])
    at_risk = np.array([(lives >= time).sum() for time in times], float)
    deaths = np.array([((lives == time) & ended).sum() for time in times], float)
    alive = np.cumprod(1.0 - deaths / np.maximum(at_risk, 1.0)) if len(times) else np.zeros(0)
    variance = np.cumsum(deaths / np.maximum(at_risk * (at_risk - deaths), 1.0))
    inside = np.clip(alive, 1e-6, 1 - 1e-6)
    width = 1.2816 * np.sqrt(variance) / np.abs(np.log(inside))
    low, high = inside ** np.exp(width), inside ** np.exp(-width)
    return SurvivalCurve(times, alive, np.minimum(low, alive), np.maximum(high, alive))


@dataclass(frozen=True, slots=True)
class Weibull:
    """Survival exp(-(t / scale) ** shape); a shape over 1 means wear, under 1 early failures."""

    shape: float
    scale: float

    def alive(self, time: Floats | float) -> Floats:
        """Return the share alive after `time`."""
        return np.asarray(np.exp(-np.power(np.maximum(time, 0.0) / self.scale, self.shape)))

    def fails_within(self, age: float, ahead: float) -> float:
        """Return the chance that something alive at `age` fails within `ahead` more."""
        return float(1.0 - self.alive(age + ahead) / np.maximum(self.alive(age), 1e-300))


def fit_weibull(lives: Floats, ended: Bools, prior: Weibull, strength: float = 3.0) -> Weibull:
    """Return the Weibull of the lives, drawn to `prior` as if `strength` more lives had said so."""
    time = np.maximum(np.asarray(lives, float), 1e-9)

    def cost(parameters: Floats) -> float:
        shape, scale = np.exp(parameters)
        ratio = np.log(time / scale)
        power = np.exp(np.clip(shape * ratio, -700, 50))
        likelihood = float(np.sum(ended * (np.log(shape / time) + shape * ratio)) - np.sum(power))
        far = (parameters[0] - np.log(prior.shape)) ** 2 / 0.25 + (
            parameters[1] - np.log(prior.scale)
        ) ** 2 / 0.5
        return float(-likelihood + 0.5 * strength * far)

    start = np.log([prior.shape, prior.scale])
    found = minimize(
        cost, start, method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 2000}
    )
    shape, scale = np.exp(found.x)
    return Weibull(float(shape), float(scale))
