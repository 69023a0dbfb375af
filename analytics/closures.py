"""Days on which a whole site stands still, told by its devices and not by a calendar.

Nobody announces that an office closes between the years or that a school has holidays. A single quiet device says
little, but where all devices of a site print next to nothing on a day that should have brought pages, the day was none
for them: it must not bring down what they are expected to print afterwards, and for how long the site has been closed
says something about when it opens again.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LEAST_DEVICES: Final = 10  # fewer tell nothing about a day of the fleet
_LEAST_SHARE: Final = 0.3  # of a usual day: on a Sunday nobody is missed
_SITE_CLOSED: Final = 0.3  # of what a site should have printed
_FLEET_CLOSED: Final = 0.6
_DRAWN_TO_FLEET: Final = 2.0  # devices' worth of evidence that the fleet brings to a site
_MOST_OF_A_DEVICE: Final = 3.0  # times its expectation: one big job opens no site
_LEAST_FACTOR: Final = 0.02
_LONGEST_DAYS: Final = 15.0  # work days; what stands still for longer has changed, and must be learned


@dataclass(frozen=True, slots=True)
class DayOfSites:
    """What a day was for each device [n]: share of a normal day (1: normal), and whether its site was told to be closed or open."""

    share: Floats
    closed: Bools
    open: Bools


def day_of_sites(site: Ints, pages: Floats, expected: Floats, usual: Floats, heard: Bools) -> DayOfSites:
    """Return what the day was at each device's site; `pages` and `expected` [n] are of this day, `usual` of a mean day.

    Only devices in `heard` are witnesses, each as much as any other. Where nobody is missed (a Sunday) or too few are heard,
    no site is told to be closed or open.
    """
    weight = heard / np.maximum(usual, 1e-9)
    wanted = np.where(heard, expected, 0.0) * weight
    none = np.zeros(len(site), bool)
    if heard.sum() < _LEAST_DEVICES or wanted.sum() < _LEAST_SHARE * heard.sum():
        return DayOfSites(np.ones(len(site)), none, none)
    printed = np.where(heard, np.minimum(pages, _MOST_OF_A_DEVICE * expected), 0.0) * weight
    fleet = float(printed.sum() / wanted.sum())
    sites, pull = int(site.max()) + 1, _DRAWN_TO_FLEET
    should = np.bincount(site, wanted, sites)
    did = np.bincount(site, printed, sites)
    own = ((did + pull * min(fleet, 1.0)) / (should + pull))[site]
    missed = (should > _LEAST_SHARE)[site]
    closed = missed & ((own < _SITE_CLOSED) | (fleet < _FLEET_CLOSED))
    share = np.where(closed, np.clip(own, _LEAST_FACTOR, 1.0), 1.0)
    return DayOfSites(share, closed, missed & ~closed)


def share_that_counts(day: DayOfSites, closed_days: Floats) -> Floats:
    """Return the share of a normal day [n] that is expected, given for how many work days each site has been closed."""
    return np.asarray(np.where(closed_days <= _LONGEST_DAYS, day.share, 1.0))
