"""Do the devices still look like those that the model learned from? Population stability of its features.

A model's card keeps the deciles of every feature at training. Each night the share of supplies in every tenth is compared
with then (population stability index, PSI: under 0.1 nothing, over 0.25 another population). Features that change by the
calendar alone are left out. Drift makes nothing wrong by itself: it says that the back-test no longer speaks for today.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.supplies import FEATURES

_TENTHS: Final = 10
_MIN_ROWS: Final = 200
_BY_CALENDAR: Final = frozenset(
    {"weekday", "holidays14", "age_days", "seg_days", "days_since_step", "gap_days", "next3", "next7", "next14", "carts",
     "swaps_early", "last_life", "dry"}
)  # fmt: skip
#: What a technician would call it: the family of each feature that may drift (message keys reasons.drift_<family>).
_FAMILIES: Final = {
    "level": ("level", "reported", "level_sd", "seg_used", "seg_level0", "step_level", "use_since_step"),
    "yield": ("slope_ratio", "slope_sd", "slope_recent", "slope_long", "cart_use", "model_slope", "empty_step_use"),
    "gauges": ("resolution", "sticky", "some_remaining", "flag_level", "empty_level", "surprise", "seen_start"),
    "use": ("fast", "mid", "slow", "idle", "spread", "last_pages", "site_trend", "nominal_days"),
}  # fmt: skip


def deciles(features: npt.NDArray[np.float32]) -> dict[str, list[float]]:
    """Return the nine inner deciles of each feature [rows, f], for the card; features without numbers are left out."""
    found = {}
    for column, name in enumerate(FEATURES):
        values = features[:, column]
        values = values[~np.isnan(values)]
        if name not in _BY_CALENDAR and len(values) >= _MIN_ROWS:
            edges = np.quantile(values, np.linspace(0, 1, _TENTHS + 1)[1:-1])
            found[name] = [round(float(edge), 6) for edge in edges]
    return found


def shares(features: npt.NDArray[np.float32], edges: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return the share of rows in each tenth by feature (ties make tenths unequal, so the card keeps these too)."""
    made = {}
    for name, bounds in edges.items():
        values = features[:, FEATURES.index(name)]
        values = values[~np.isnan(values)]
        counts = np.bincount(np.searchsorted(np.array(bounds), values), minlength=_TENTHS)
        made[name] = [round(float(share), 5) for share in counts / max(len(values), 1)]
    return made


def stability(then: Mapping[str, list[float]], now: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the population stability index of each feature that both have."""
    found = {}
    for name in then.keys() & now.keys():
        before, after = (np.maximum(np.array(each), 1e-3) for each in (then[name], now[name]))
        found[name] = float(np.sum((after - before) * np.log(after / before)))
    return found


def drifted(card: Mapping[str, object], features: npt.NDArray[np.float32], limit: float) -> dict[str, float]:
    """Return the families of features that have left the population of the card, with their worst index."""
    edges, then = card.get("deciles"), card.get("shares")
    if not isinstance(edges, dict) or not isinstance(then, dict) or len(features) < _MIN_ROWS:
        return {}
    index = stability(then, shares(features, edges))
    worst = {
        family: max((index.get(name, 0.0) for name in names), default=0.0)
        for family, names in _FAMILIES.items()
    }
    return {family: round(value, 3) for family, value in worst.items() if value > limit}
