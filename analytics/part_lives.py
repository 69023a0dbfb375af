"""How long parts really last in this company: Weibull laws per model and component, from what work orders say.

A data-sheet life is what a maker expects. Lives that ended in a failure count as ended; parts that were renewed before
they failed, and those that still run, are censored, not left out. A weak prior at the data-sheet life keeps a handful of
failures from making a law (`survival.fit_weibull`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.part_fits import ConfirmedFailure, PartFit
from analytics.survival import SurvivalCurve, Weibull, fit_weibull, kaplan_meier

MIN_ENDED: Final = 5  # fewer failures say nothing against the data sheet
_PRIOR_SHAPE: Final = 2.5  # wear: failures gather around the design life
_PRIOR_SCALE: Final = 1.3  # of the design life: a data sheet promises less than the mean

#: Device model and component.
PartKind = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PartLaw:
    """The survival of one kind of part: its law, curve, and how many lives ended and how many were seen."""

    weibull: Weibull
    curve: SurvivalCurve
    ended: int
    lives: int

    def pages_until(self, failed_share: float) -> float:
        """Return the pages by which `failed_share` of the parts have failed."""
        return float(self.weibull.scale * (-np.log1p(-failed_share)) ** (1.0 / self.weibull.shape))


def part_laws(
    fits: Sequence[PartFit], failures: Sequence[ConfirmedFailure], counts: Mapping[str, float],
    models: Mapping[str, str], design: Mapping[PartKind, int],
) -> dict[PartKind, PartLaw]:  # fmt: skip
    """Return the laws of the kinds of parts that have failed often enough.

    `counts` are present life counts of devices, `models` their models, `design` data-sheet lives in pages.
    """
    failed = {(each.device_id, each.component, each.ended) for each in failures}
    lives: dict[PartKind, list[tuple[float, bool]]] = {}
    by_part: dict[tuple[str, str], list[PartFit]] = {}
    for fit in sorted(fits, key=lambda each: (each.day, each.count)):
        by_part.setdefault((fit.device_id, fit.component), []).append(fit)
    for (device_id, component), history in by_part.items():
        kind = (models.get(device_id, ""), component)
        since = 0.0  # the first part came with the machine
        for fit in history:
            ended = any((device_id, component, fit.day + late) in failed for late in range(-1, 2))
            lives.setdefault(kind, []).append((max(fit.count - since, 1.0), ended))
            since = float(fit.count)
        if counts.get(device_id, 0.0) > since:
            lives.setdefault(kind, []).append((counts[device_id] - since, False))
    laws = {}
    for kind, seen in lives.items():
        over = np.array([end for _, end in seen])
        if kind in design and over.sum() >= MIN_ENDED:
            pages = np.array([life for life, _ in seen])
            prior = Weibull(_PRIOR_SHAPE, _PRIOR_SCALE * design[kind])
            laws[kind] = PartLaw(
                fit_weibull(pages, over, prior), kaplan_meier(pages, over), int(over.sum()), len(seen)
            )
    return laws
