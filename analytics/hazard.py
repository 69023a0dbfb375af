"""The strong failure model in the nightly run: the hazard of the back-test, on the installation's own days.

Training takes the whole walk, the nightly run the last 128 days; both through `failure_source`, so that a row means the
same. Large fleets are worked on in shards: peers of a device (its model, its site) are those of its shard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.backtest.failure_features import FailureFeatures
from analytics.backtest.failure_history import COMPONENTS, FailureHistory
from analytics.backtest.failures import HazardBags, KnownFailures, component_chances, fit_hazards
from analytics.evaluation import Score, average_precision
from analytics.failure_source import CodeList, history_of, recent_history
from analytics.failures import FailureChances
from analytics.features import FleetState
from analytics.history_walk import HistoryWalk
from analytics.part_fits import ConfirmedFailure, PartFit
from analytics.recent import DAYS
from analytics.training import Trained
from crm_core.domain.fleet import Device

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MIN_FAILURES: Final = 20
_SHARD: Final = 2048
_MOST_DEVICES: Final = 2000  # in training: more teach hardly anything new
_TEST_SHARE: Final = 0.3
_HORIZON: Final = 14
_TREES: Final = 150
_FIRST_DAY: Final = 30
_MIN_COMMON_FAILURES: Final = 5


@dataclass(slots=True)
class NightHazard:
    """A fitted hazard with the codes that it knows."""

    bags: HazardBags
    codes: CodeList

    def content(self) -> dict[str, object]:
        """Return what the registry stores."""
        return {
            "bags": {str(horizon): models for horizon, models in self.bags.models.items()},
            "codes": list(self.codes.codes),
            "component": list(self.codes.component),
        }

    @classmethod
    def of(cls, content: object) -> "NightHazard":
        """Return the hazard of a registry content."""
        assert isinstance(content, dict)
        bags = HazardBags({int(horizon): list(models) for horizon, models in content["bags"].items()})
        return cls(bags, CodeList(tuple(content["codes"]), tuple(int(c) for c in content["component"])))


def chances_tonight(
    hazard: NightHazard, state: FleetState, devices: Mapping[str, Device], day: int, fits: Sequence[PartFit]
) -> FailureChances:
    """Return the chances of every device at the end of `day`, worked out in shards."""
    parts = []
    for first in range(0, len(state.device_ids), _SHARD):
        rows = np.arange(first, min(first + _SHARD, len(state.device_ids)))
        history = recent_history(state, devices, rows, day, fits, hazard.codes)
        parts.append(_chances(hazard.bags, FailureFeatures.of(history), DAYS - 1))
    return FailureChances(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("seven", "fourteen", "blame", "worn")
        )
    )


def _chances(bags: HazardBags, features: FailureFeatures, at: int) -> FailureChances:
    by_component = component_chances(features, bags, at)
    seven = 1.0 - np.prod(1.0 - by_component[7], axis=0)
    fourteen = np.maximum(seven, 1.0 - np.prod(1.0 - by_component[14], axis=0))
    blame = np.argmax(by_component[7] + by_component[14], axis=0)
    history = features.history
    device = np.arange(len(blame))
    worn = history.part_pages[blame, device, at] / history.design[blame, device]
    return FailureChances(seven, fourteen, blame, np.asarray(worn))


def train_hazard(
    walk: HistoryWalk, devices: Mapping[str, Device], failures: Sequence[ConfirmedFailure], fits: Sequence[PartFit],
    seed: int, champion: NightHazard | None, champion_last_day: int | None,
) -> Trained:  # fmt: skip
    """Fit the hazard on confirmed failures and score it on later days beside base rate and champion."""
    known_rows = [each for each in failures if walk.state.device_row(each.device_id) is not None]
    length = walk.pages.shape[1]
    if len(known_rows) < MIN_FAILURES or length < 2 * _FIRST_DAY + 2 * _HORIZON:
        note = f"{len(known_rows)} confirmed failures in {length} days; {MIN_FAILURES} in {2 * _FIRST_DAY + 2 * _HORIZON} are needed"
        return Trained("failures", None, None, note)
    rows = _sample(walk.state, seed)
    codes = CodeList.of(walk.state)
    pages = np.nan_to_num(walk.pages[rows])
    history = history_of(walk.state, devices, rows, walk.first_day, pages, walk.jams[rows], fits, codes)
    features = FailureFeatures.of(history)
    known = _known(history, known_rows)
    split = int(length * (1 - _TEST_SHARE))
    early = _before(known, split)
    if len(early.device) < MIN_FAILURES // 2:
        return Trained(
            "failures", None, None, f"{len(early.device)} confirmed failures before the days held back"
        )
    fitted = fit_hazards(features, early, split, seed, trees=_TREES, first_day=_FIRST_DAY)
    if not all(fitted.models.values()):
        return Trained("failures", None, None, "failures are too few on one side of the split")
    judged = _Judged.of(features, known, fitted, split)
    promote, reason = judged.score.beats_base, "average precision against the base rate of later days"
    if champion is not None and champion_last_day is not None:
        theirs = history_of(
            walk.state, devices, rows, walk.first_day, pages, walk.jams[rows], fits, champion.codes
        )
        better, reason = judged.against(
            _Judged.of(FailureFeatures.of(theirs), known, champion.bags, split), champion_last_day
        )
        promote = promote and better
    final = NightHazard(fit_hazards(features, known, length, seed, trees=_TREES, first_day=_FIRST_DAY), codes)
    return Trained(
        "failures", final.content(), judged.score, f"{len(known_rows)} confirmed failures; {reason}", promote=promote,
        details={"labels": "hardware failures of finished work orders, and open hardware tickets", "devices": len(rows)},
    )  # fmt: skip


def _sample(state: FleetState, seed: int) -> Ints:
    """Return at most _MOST_DEVICES rows by chance; which devices failed plays no part in it."""
    every = np.arange(len(state.device_ids))
    if len(every) <= _MOST_DEVICES:
        return every
    return np.sort(np.random.default_rng(seed).choice(every, _MOST_DEVICES, replace=False))


def _known(history: FailureHistory, failures: Sequence[ConfirmedFailure]) -> KnownFailures:
    place = {device_id: at for at, device_id in enumerate(history.device_ids)}
    found = [
        (place[each.device_id], each.day - history.first_day, each.ended - history.first_day, COMPONENTS.index(each.component))
        for each in failures
        if each.device_id in place and each.component in COMPONENTS and 0 <= each.day - history.first_day < history.days
    ]  # fmt: skip
    table = np.array(sorted(found), np.int64).reshape(-1, 4)
    return KnownFailures(table[:, 0], table[:, 1], table[:, 2], table[:, 3])


def _before(known: KnownFailures, day: int) -> KnownFailures:
    keep = known.failed < day
    return KnownFailures(known.device[keep], known.failed[keep], known.repaired[keep], known.component[keep])


@dataclass(frozen=True, slots=True)
class _Judged:
    """Chances within 14 days on every third later day [days, n], and what happened."""

    day: Ints  # since 1970
    chance: Floats
    truth: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, features: FailureFeatures, known: KnownFailures, bags: HazardBags, split: int) -> "_Judged":
        """Predict the days from `split` on whose horizon ends within the table."""
        history = features.history
        days = np.arange(split, history.days - _HORIZON, 3)
        truth = np.zeros((len(days), len(history.device_ids)), bool)
        for at, day in enumerate(days):
            truth[at, known.device[(known.failed > day) & (known.failed <= day + _HORIZON)]] = True
        chance = [_chances(bags, features, int(day)).fourteen for day in days]
        return cls(history.first_day + days, np.array(chance).reshape(truth.shape), truth)

    @property
    def score(self) -> Score:
        """Average precision beside its base rate."""
        return Score(
            estimator="failures", metric="average precision of failure within 14 days", better="higher",
            rows=self.truth.size, held_out=self.precision(np.ones(len(self.day), bool)),
            base_rate=float(self.truth.mean()) if self.truth.size else 0.0,
        )  # fmt: skip

    def precision(self, days: npt.NDArray[np.bool_]) -> float:
        """Return the average precision on those days; 0 where nothing failed."""
        truth = self.truth[days].ravel()
        return average_precision(truth, self.chance[days].ravel()) if truth.any() else 0.0

    def against(self, champion: "_Judged", champion_last_day: int) -> tuple[bool, str]:
        """Return whether these chances beat the champion's on days after its training, and the sentence that says so."""
        fresh = self.day > champion_last_day
        if self.truth[fresh].sum() < _MIN_COMMON_FAILURES:
            return False, "too few failures after the champion's training to compare"
        mine, theirs = self.precision(fresh), champion.precision(fresh)
        return (
            mine > theirs,
            f"average precision {mine:.3f} against the champion's {theirs:.3f} on later days",
        )
