"""How the pages of a day fall to the meters of a machine: colour, copies, faxes, duplex, scans, large paper."""

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import Floats
from simulators.device.habits import Habits


def mean_growth(habits: Habits) -> Floats:
    """Return [N, METERS] the mean growth of each meter per page."""
    ones = np.ones(len(habits.base_pages))
    copy_colour = habits.copy_share * habits.colour_share
    duplex = habits.duplex_share * 0.5
    return np.stack(
        [
            ones,
            habits.colour_share,
            habits.copy_share,
            copy_colour,
            habits.fax_share * (1.0 - habits.colour_share),
            0.0 * ones,
            duplex,
            habits.scan_ratio,
            habits.jam_rate,
            habits.large_share,
        ],
        axis=1,
    )


def split_by_meter(
    habits: Habits, pages: npt.NDArray[np.int64], colour: npt.NDArray[np.int64], rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Return [N, METERS] the day's growth of every meter; parts never exceed their whole. Jams come later."""
    copy_colour = rng.binomial(colour, habits.copy_share)
    mono = pages - colour
    copy_mono = rng.binomial(mono, habits.copy_share)
    fax = rng.binomial(mono - copy_mono, habits.fax_share)
    duplex = rng.binomial(pages // 2, habits.duplex_share)
    scan = rng.poisson(pages * habits.scan_ratio)
    large = rng.binomial(pages, habits.large_share)
    none = np.zeros_like(pages)
    return np.stack(
        [pages, colour, copy_mono + copy_colour, copy_colour, fax, none, duplex, scan, none, large], axis=1
    )
