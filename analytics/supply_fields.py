"""What is remembered of every supply: one number each, by name.

Kept apart from what a day does to it (`supply_state`), so that the list of what the analytics knows of a cartridge can
be read in one go.
"""

from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NUMBER: Final = np.float32  # levels and use need seven digits, and half the width is half the time
PRIOR_SPREAD: Final = 0.30  # relative spread of devices around their model


@dataclass(slots=True)
class SupplyFields:
    """State of n supplies. Levels are shares of a full cartridge (1.0 = full), use is in nominal cartridges.

    `slope` is use per nominal page: 1.2 means that a cartridge gives 1/1.2 of its data-sheet pages.
    """

    usage_row: Ints  # which device of the UsageState feeds it
    model: Ints
    nominal: Floats  # data-sheet yield in pages
    kind_prior: Floats  # expected slope before anything is known
    level: Floats
    slope: Floats
    var_level: Floats
    var_slope: Floats
    cov: Floats
    reported: Floats  # last stated level, NaN: none in this cartridge
    reported_day: Floats
    seg_day: Floats  # first day of the cartridge in place; NaN before the first answer
    seg_seen_start: Bools  # we saw it come in
    seg_used: Floats  # nominal use since it came in
    seg_level0: Floats
    step_level: Floats  # stated level before the last change
    step_used: Floats  # seg_used at the last change
    step_day: Floats
    step: Floats  # of the gauge, see `resolution`
    tenths: Floats  # share of statements that are multiples of 10, 5, 1
    fifths: Floats
    wholes: Floats
    statements: Floats
    some_remaining: Floats  # forgetting share of -3 statements
    flag_level: Floats  # first number after "some remaining", forgetting mean; NaN: never
    sticky: Floats  # share of days with 1.5 points of use or more and no movement
    sticky_days: Floats
    carts: Floats  # run-outs seen
    cart_use: Floats  # forgetting mean of nominal use per full cartridge, over run-outs seen
    empty_level: Floats  # forgetting mean of the last stated level of cartridges that ran out
    empty_step_used: Floats  # forgetting mean of the use after the last step until empty
    swaps_early: Floats
    swap_level: Floats
    short_drop: Floats  # forgetting sums: stated drop and use, fast
    short_use: Floats
    long_drop: Floats
    long_use: Floats
    empty_day: Floats  # day on which it was found empty, NaN: not empty
    swapped: Bools  # a replacement was seen on the last day taken
    last_life: Floats  # days the last cartridge lived
    surprise: Floats  # forgetting mean of squared surprise of the filter at steps
    offset_sum: (
        Floats  # what the filter still believed in when cartridges ran out: sum, and count (forgetting)
    )
    offset_count: Floats

    @classmethod
    def empty(cls, usage_row: Ints, model: Ints, nominal: Floats, kind_prior: Floats) -> Self:
        """Return supplies that have not been seen yet."""
        n = len(usage_row)
        values: dict[str, object] = {item.name: np.zeros(n, NUMBER) for item in fields(cls)}
        nan = (
            "reported",
            "reported_day",
            "seg_day",
            "flag_level",
            "empty_day",
            "step_day",
            "empty_level",
            "last_life",
        )
        values.update({name: np.full(n, np.nan, NUMBER) for name in nan})
        values.update(
            usage_row=usage_row.astype(np.int64), model=model.astype(np.int64), nominal=nominal.astype(NUMBER),
            kind_prior=kind_prior.astype(NUMBER), slope=kind_prior.astype(NUMBER), level=np.full(n, 0.6, NUMBER),
            var_level=np.full(n, 0.09, NUMBER), var_slope=((PRIOR_SPREAD * kind_prior) ** 2).astype(NUMBER),
            step=np.full(n, 0.01, NUMBER), seg_seen_start=np.zeros(n, bool), swapped=np.zeros(n, bool),
            seg_level0=np.ones(n, NUMBER), surprise=np.ones(n, NUMBER),
        )  # fmt: skip
        return cls(**values)  # type: ignore[arg-type]  # every field is set above, by name

    def __len__(self) -> int:
        return len(self.usage_row)

    def grow(self, usage_row: Ints, model: Ints, nominal: Floats, kind_prior: Floats) -> None:
        """Add supplies at the end."""
        more = type(self).empty(usage_row, model, nominal, kind_prior)
        for item in fields(self):
            setattr(self, item.name, np.concatenate([getattr(self, item.name), getattr(more, item.name)]))
