"""How parts wear and fail: latent wear, defects with bursts of codes before them, harmless chatter, repairs.

A part has a hidden life, a Weibull share of its design life shortened by the stress of its place. When its wear
passes that life a defect begins: 65 % announce themselves by codes on 2 to 10 days, 25 % stop the machine at once,
10 % heal. The figures follow the failure histories' README and reference/analytics.md section 4 (judgement).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import (
    CODE,
    CODE_COUNT,
    CODE_SEVERITY,
    FIRST_CODE,
    MINUTES_A_DAY,
    NETWORK_CODE,
    NEVER,
    STOPPED_CODE,
    USER_CODE,
    Bools,
    EventTable,
    Floats,
    Singles,
)
from simulators.device.habits import Habits
from simulators.models import COMPONENTS

WARNED_SHARE: Final = 0.65
HEALING_SHARE: Final = 0.10
LIFE_SHAPE: Final = 2.2
LIFE_SCALE: Final = 1.15
#: Parts that nobody changes for their age stop more by chance than by wear: shorter shape, longer life.
WRONG_COMPONENT_SHARE: Final = 0.2
LONGEST_BURST_DAYS: Final = 10
FEED_ROLLERS: Final = COMPONENTS.index("feed_rollers")


@dataclass(slots=True)
class PartState:
    """[N, 7] what is hidden in the machines."""

    design: Singles
    pages: Floats
    life: Singles  # share of the design life at which the defect begins
    onset: npt.NDArray[np.int32]  # day the defect began, NEVER = none
    fails_on: npt.NDArray[np.int32]
    heals_on: npt.NDArray[np.int32]
    installed_on: npt.NDArray[np.int32]
    fitted: npt.NDArray[np.int32]

    @property
    def wear(self) -> Floats:
        """Share of the design life used; 0 where the machine has no such part."""
        return self.pages / np.where(self.design > 0, self.design, np.inf)


def draw_life(rng: np.random.Generator, habits: Habits, shape: tuple[int, int]) -> Floats:
    """Return hidden lives [N, 7] as shares of the design life."""
    return LIFE_SCALE * rng.weibull(LIFE_SHAPE, shape) / habits.quality[:, None] + 0.05


def draw_parts(rng: np.random.Generator, habits: Habits, design: Floats, age: Floats) -> PartState:
    """Return parts in the middle of their lives: `age` [N] is the share of the machine's life that is behind it."""
    shape = (len(design), design.shape[1])
    life = draw_life(rng, habits, shape)
    share = rng.random(shape)
    first_one = (np.arange(shape[1]) >= 5) & (
        age[:, None] < life
    )  # laser and board last as long as the machine
    wear = np.where(first_one, age[:, None], share * life)
    never = np.full(shape, NEVER, np.int32)
    return PartState(
        design=design.astype(np.float32),
        pages=np.maximum(wear, 0.0) * design,
        life=life.astype(np.float32),
        onset=never.copy(),
        fails_on=never.copy(),
        heals_on=never.copy(),
        installed_on=-(share * 500).astype(np.int32) - 1,
        fitted=np.ones(shape, np.int32),
    )


def begin_defects(parts: PartState, day: int, rng: np.random.Generator) -> None:
    """Let defects begin where the wear has passed the hidden life, and end those that heal today."""
    uniform = rng.random((3, *parts.pages.shape))
    healed = parts.heals_on <= day
    later = (parts.wear + 0.1 + 0.4 * uniform[0]).astype(np.float32)
    parts.life = np.where(healed, later, parts.life)
    parts.onset[healed] = parts.heals_on[healed] = NEVER
    begins = (parts.wear >= parts.life) & (parts.design > 0) & (parts.onset == NEVER)
    warned = begins & (uniform[1] < WARNED_SHARE)
    heals = begins & (uniform[1] >= 1.0 - HEALING_SHARE)
    sudden = begins & ~warned & ~heals
    parts.onset[begins] = day
    days = 2 + np.floor(uniform[2] * (LONGEST_BURST_DAYS - 1)).astype(np.int64)
    parts.fails_on[warned] = day + days[warned]
    parts.fails_on[sudden] = day
    parts.heals_on[heals] = day + days[heals]


def fit_new(parts: PartState, fresh: Bools, day: int, rng: np.random.Generator, habits: Habits) -> None:
    """Put new parts in where `fresh` [N, 7]."""
    life = draw_life(rng, habits, fresh.shape).astype(np.float32)
    parts.life = np.where(fresh, life, parts.life)
    parts.pages[fresh] = 0.0
    parts.onset[fresh] = parts.fails_on[fresh] = parts.heals_on[fresh] = NEVER
    parts.installed_on[fresh] = day
    parts.fitted[fresh] += 1


def code_events(
    parts: PartState,
    habits: Habits,
    day: int,
    pages: npt.NDArray[np.int64],
    damp: Floats,
    until: Floats,
    rng: np.random.Generator,
) -> EventTable:
    """Return today's codes: bursts of real defects, chatter without one, network and user codes.

    Sudden failures have no codes before; `damp` [N] is what damp paper adds to the feed rollers' codes; `until` [N] is the minute at which the machine stops.
    """
    prints = pages > 0
    age = day - np.minimum(parts.onset, day)
    burst = (parts.onset <= day) & ((parts.fails_on > parts.onset) | (parts.heals_on < NEVER))
    rate = np.where(burst, 1.0 + 0.9 * age, 0.0) + habits.chatter
    rate[:, FEED_ROLLERS] += damp
    rate = np.where(parts.design > 0, rate, 0.0) * prints[:, None]
    other = np.stack([habits.network_chatter, prints * (0.004 + pages * 2.0e-5)], axis=1)
    counts = np.minimum(rng.poisson(np.concatenate([rate, other], axis=1)), 12)
    device, column = np.nonzero(counts)
    repeat = counts[device, column]
    device, column = np.repeat(device, repeat), np.repeat(column, repeat)
    return _coded(device, column, habits, until, rng)


def _coded(
    device: npt.NDArray[np.intp],
    column: npt.NDArray[np.intp],
    habits: Habits,
    until: Floats,
    rng: np.random.Generator,
) -> EventTable:
    """Return events for (device, component or network 7 or user 8) pairs with codes, times and hints."""
    rows = len(device)
    draw = rng.random((5, rows))
    wrong = (column < 7) & (draw[0] < WRONG_COMPONENT_SHARE)
    shown = np.where(wrong, np.floor(draw[1] * 7).astype(np.intp), column)
    of_part = FIRST_CODE[np.minimum(shown, 6)] + np.floor(draw[2] * CODE_COUNT[np.minimum(shown, 6)]).astype(
        int
    )
    network = NETWORK_CODE + np.floor(draw[2] * 2).astype(int)
    user = USER_CODE + np.floor(draw[2] * 4).astype(int)
    code = np.where(shown < 7, of_part, np.where(shown == 7, network, user)).astype(np.int16)
    last = np.minimum(habits.open_until, np.maximum(until, habits.open_from + 1.0))
    start = habits.open_from[device] + draw[3] * (last - habits.open_from)[device]
    lasts = np.where(CODE_SEVERITY[code] == 0, 4 + 12 * draw[4], 60 + 420 * draw[4])
    hint = np.where((shown < 7) & (draw[4] < 0.85), shown, -1).astype(np.int8)
    return EventTable(
        device.astype(np.int32),
        start.astype(np.float32),
        (start + lasts).astype(np.float32),
        np.full(rows, CODE, np.int8),
        code,
        hint,
        np.ones(rows, bool),
    )


def stop_events(failed: Bools, minute: Floats) -> EventTable:
    """Return one STP-90 per device that failed today, at its minute; it stays in the record of the day only."""
    device = np.flatnonzero(failed).astype(np.int32)
    rows = len(device)
    start = minute[device].astype(np.float32)
    return EventTable(
        device,
        start,
        np.maximum(start, np.float32(MINUTES_A_DAY - 1)),
        np.full(rows, CODE, np.int8),
        np.full(rows, STOPPED_CODE, np.int16),
        np.full(rows, -1, np.int8),
        np.ones(rows, bool),
    )
