"""What does not change about a device: how much, when and what its people print, how its gauge speaks.

Drawn once from the seed; the distributions are stated with their sources in docs/simulators.md and tested there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import Bools, Floats, Singles
from simulators.device.roster import OPEN_HOURS, WEEK_PROFILES, Roster
from simulators.models import COLOURS, COMPONENTS, SimulatedModel

GAUGES: Final = ("pct1", "pct10", "pct5", "ml", "some_remaining", "sticking")
GAUGE_SHARES: Final = (0.49, 0.21, 0.09, 0.08, 0.07, 0.06)
RARE_SHARE: Final = 0.12  # devices that rarely print
NIGHT_OFF_SHARE: Final = 0.15  # devices switched off outside working hours
MISSED_POLLS: Final = 0.004  # of all spans of five minutes
BIASED_SHARE: Final = 0.10
SLEEP_UNKNOWN_SHARE: Final = 0.06


@dataclass(slots=True)
class Habits:
    """One row per device; see the physics for the use of each."""

    week: Singles  # [N, 7]
    base_pages: Floats
    gamma_shape: Floats
    zero_chance: Floats
    big_chance: Floats
    colour_share: Floats
    copy_share: Floats
    fax_share: Floats
    duplex_share: Floats
    large_share: Floats
    scan_ratio: Floats
    coverage: Singles  # [N, 4] mean coverage per colour of KCMY
    jam_rate: Floats
    quality: Floats  # [N] stress of the place on parts
    chatter: Singles  # [N, 7] harmless codes a day
    network_chatter: Floats
    open_from: Floats
    open_until: Floats
    night_off: Bools
    round_the_clock: Bools
    gauge: npt.NDArray[np.int8]
    gauge_bias: Floats
    sleep_unknown: Bools  # toner levels are -2 while the machine sleeps
    low_flag: Floats
    page_limit: Floats
    site: npt.NDArray[np.int32]
    model: npt.NDArray[np.int32]
    missed_polls: float = MISSED_POLLS  # share of five-minute spans without an answer for no visible reason


@dataclass(slots=True)
class SlotTable:
    """[N, S] facts of the slots: which exist, what a mono and a colour page takes from each."""

    exists: Bools
    mono_use: Singles  # share of the unit per mono page at 5 % coverage
    colour_use: Singles
    colour_index: npt.NDArray[np.int8]  # index in KCMY for toner, -1 = coverage does not matter
    blocks: Bools  # the machine stops when this one is used up
    component: npt.NDArray[np.int8]  # index in COMPONENTS, -1 none
    is_part: Bools
    waste: Bools


def draw_habits(roster: Roster, models: Mapping[str, SimulatedModel], rng: np.random.Generator) -> Habits:
    """Return the habits of every device of the roster."""
    specs = roster.devices
    count = len(specs)
    model_of = [models[spec.model_id] for spec in specs]
    site_number = {site.site_id: i for i, site in enumerate(roster.sites)}
    site = np.array([site_number[spec.site_id] for spec in specs], np.int32)
    profiles = [roster.sites[i].profile for i in site]
    hours = np.array([OPEN_HOURS[p] for p in profiles])
    offset = np.array([roster.sites[i].utc_offset_hours for i in site])
    whole_day = np.array([p == "round_the_clock" for p in profiles])
    week = np.array([WEEK_PROFILES[p] for p in profiles]) * rng.lognormal(0.0, 0.08, (count, 7))
    monthly = np.array([m.monthly_pages for m in model_of], float)
    drawn = monthly / 30.4 * rng.lognormal(-0.15, 0.55, count)
    stated = np.array([np.nan if s.pages_a_day is None else s.pages_a_day for s in specs])
    base = np.where(np.isnan(stated), drawn, stated) / week.mean(axis=1)
    rare = (rng.random(count) < RARE_SHARE) & np.isnan(stated)
    colour = np.array([m.colour for m in model_of])
    copies = np.array(["copy" in m.functions for m in model_of])
    fax = np.array(["fax" in m.functions for m in model_of])
    gauge = rng.choice(len(GAUGES), count, p=GAUGE_SHARES).astype(np.int8)
    for i, spec in enumerate(specs):
        if spec.gauge is not None:
            gauge[i] = GAUGES.index(spec.gauge)
    return Habits(
        week=week.astype(np.float32),
        base_pages=np.where(rare, base * 0.25, base),
        gamma_shape=rng.uniform(1.5, 6.0, count),
        zero_chance=np.where(rare, rng.uniform(0.3, 0.7, count), rng.uniform(0.0, 0.03, count)),
        big_chance=rng.uniform(0.0, 0.012, count),
        colour_share=np.where(colour, rng.beta(2.2, 3.2, count), 0.0),
        copy_share=np.where(copies, rng.beta(2.0, 4.0, count), 0.0),
        fax_share=np.where(fax, rng.beta(1.2, 40.0, count), 0.0),
        duplex_share=np.where([m.duplex for m in model_of], rng.beta(3.0, 3.0, count), 0.0),
        large_share=np.where([m.a3 for m in model_of], rng.beta(1.3, 18.0, count), 0.0),
        scan_ratio=np.where(copies, rng.gamma(1.5, 0.25, count), 0.0),
        coverage=(np.array([0.05, 0.024, 0.026, 0.028]) * rng.lognormal(-0.06, 0.35, (count, 4))).astype(
            np.float32
        ),
        jam_rate=rng.lognormal(np.log(1 / 7000), 0.6, count),
        quality=rng.lognormal(0.0, 0.35, count),
        chatter=np.where(rng.random((count, 7)) < 0.02, rng.uniform(0.1, 0.7, (count, 7)), 0.004).astype(
            np.float32
        ),
        network_chatter=np.where(rng.random(count) < 0.06, rng.uniform(0.2, 0.8, count), 0.01),
        open_from=np.where(whole_day, 0.0, np.clip((hours[:, 0] - offset) * 60, 0, 1380)),
        open_until=np.where(whole_day, 1440.0, np.clip((hours[:, 1] - offset) * 60, 60, 1440)),
        night_off=(rng.random(count) < NIGHT_OFF_SHARE) & ~whole_day,
        round_the_clock=whole_day,
        gauge=gauge,
        gauge_bias=np.where(rng.random(count) < BIASED_SHARE, rng.normal(0.0, 0.09, count), 0.0),
        sleep_unknown=rng.spawn(1)[0].random(count) < SLEEP_UNKNOWN_SHARE,
        low_flag=np.where(gauge == GAUGES.index("some_remaining"), 1.0, 0.6) * rng.uniform(0.10, 0.20, count),
        page_limit=np.array([m.ppm for m in model_of]) * 60 * 5.0,
        site=site,
        model=np.array([m.number for m in model_of], np.int32),
    )


def slot_table(roster: Roster, models: Mapping[str, SimulatedModel]) -> SlotTable:
    """Return the slots of every device, padded to the machine with the most."""
    model_of = [models[spec.model_id] for spec in roster.devices]
    shape = (len(model_of), max(len(m.slots) for m in model_of))
    table = SlotTable(
        exists=np.zeros(shape, bool),
        mono_use=np.zeros(shape, np.float32),
        colour_use=np.zeros(shape, np.float32),
        colour_index=np.full(shape, -1, np.int8),
        blocks=np.zeros(shape, bool),
        component=np.full(shape, -1, np.int8),
        is_part=np.zeros(shape, bool),
        waste=np.zeros(shape, bool),
    )
    rows: dict[str, list[int]] = {}
    for i, spec in enumerate(roster.devices):
        rows.setdefault(spec.model_id, []).append(i)
    for model_id, where in rows.items():
        _fill_model(table, models[model_id], np.array(where))
    return table


def _fill_model(table: SlotTable, model: SimulatedModel, where: npt.NDArray[np.intp]) -> None:
    """Write one model's slots into the rows `where`."""
    for s, slot in enumerate(model.slots):
        one = 1.0 / slot.yield_pages
        coloured = slot.colour is not None and slot.colour != "K"
        table.exists[where, s] = True
        table.mono_use[where, s] = 0.0 if coloured else one * (0.03 if slot.kind == "staples" else 1.0)
        table.colour_use[where, s] = one * _colour_page_factor(slot.kind, slot.colour)
        table.blocks[where, s] = slot.kind in {"toner", "waste"}
        table.waste[where, s] = slot.kind == "waste"
        table.is_part[where, s] = slot.component is not None
        if slot.kind == "toner" and slot.colour is not None:
            table.colour_index[where, s] = COLOURS.index(slot.colour)
        if slot.component is not None:
            table.component[where, s] = COMPONENTS.index(slot.component)


def _colour_page_factor(kind: str, colour: str | None) -> float:
    """Return how much of a slot a colour page takes, relative to a page at 5 % of that slot."""
    if kind == "staples":
        return 0.03
    if kind == "waste":
        return 2.2
    return 0.6 if kind == "toner" and colour == "K" else 1.0
