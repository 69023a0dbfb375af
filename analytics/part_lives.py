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
from crm_core.domain.part_lives import CurvePoint, PartLife

MIN_ENDED: Final = 5  # fewer failures say nothing against the data sheet
LAW_ID: Final = "part-lives/1"
_CURVE_POINTS: Final = 24  # kept of a curve for people to look at
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
            laws[kind] = PartLaw(
                fit_weibull(pages, over, _prior(design[kind])),
                kaplan_meier(pages, over),
                int(over.sum()),
                len(seen),
            )
    return laws


def _prior(design: int) -> Weibull:
    """Return what a data-sheet life in pages says before any part of the kind has failed."""
    return Weibull(_PRIOR_SHAPE, _PRIOR_SCALE * design)


def lives_to_show(laws: Mapping[PartKind, PartLaw], design: Mapping[PartKind, int]) -> list[PartLife]:
    """Return the law of every kind of part for people to look at; kinds without failures enough show the prior, and say so."""
    shown = []
    for (model, component), pages in sorted(design.items()):
        law = laws.get((model, component))
        weibull = law.weibull if law else _prior(pages)
        shown.append(
            PartLife(
                model=model, component=component, design_life_pages=pages, shape=round(weibull.shape, 4),
                scale=round(weibull.scale, 1), own=law is not None, lives=law.lives if law else 0,
                ended=law.ended if law else 0, curve=_points(law.curve) if law else (), method=LAW_ID,
            )
        )  # fmt: skip
    return shown


def _points(curve: SurvivalCurve) -> tuple[CurvePoint, ...]:
    """Return at most so many points of a curve as a picture needs, evenly spread, the last one among them."""
    last = len(curve.times) - 1
    picked = sorted({round(last * at / (_CURVE_POINTS - 1)) for at in range(_CURVE_POINTS)})
    columns = (curve.times, curve.alive, curve.low, curve.high)
    return tuple(CurvePoint(*(round(float(column[at]), 4) for column in columns)) for at in picked)
