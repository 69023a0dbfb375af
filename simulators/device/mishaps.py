"""What happens by chance around the machines and not in them: cartridges that wander, exchanged devices, damp paper.

A collector must tell these from wear and from theft, so they happen in every fleet at the low rates of mishaps.toml.
They draw from a generator of their own per day: a fleet without them (`CALM`) is otherwise the same fleet.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import MINUTES_A_DAY, NEVER, Bools
from simulators.device.meters import mean_growth
from simulators.device.wear import fit_new
from simulators.models import HERE

if TYPE_CHECKING:
    from simulators.device.fleet import Fleet

OWN_UNITS: Final = 4096  # a unit from another machine bears that machine's number + 1 above these bits
WORTH_KEEPING: Final = 0.05  # share left in a cartridge that goes into the drawer
BETTER_BY: Final = 0.2  # a neighbour's cartridge must be so much fuller to be borrowed
MOST_TEST_PAGES: Final = 60  # a new board starts with the technician's test pages
_STREAM: Final = 2**40  # apart from the days' own generators


@dataclass(frozen=True, slots=True, kw_only=True)
class MishapRates:
    """Chances per day (or per occasion) of each mishap; units in mishaps.toml."""

    reinserted: float = 0.0
    borrowed: float = 0.0
    traded: float = 0.0
    device_exchange: float = 0.0
    board_swap: float = 0.0
    damp_spell: float = 0.0
    damp_days: tuple[int, int] = (3, 9)
    damp_codes: float = 0.0
    damp_jam_factor: float = 1.0


CALM: Final = MishapRates()


def mishap_rates(table: Mapping[str, float | list[int]]) -> MishapRates:
    """Return rates of a TOML table. Raises `TypeError` for an unknown key, `ValueError` for a rate outside 0 to 1."""
    rates = MishapRates(**table)  # type: ignore[arg-type]  # keys and values are data; a wrong key raises TypeError
    chances = (rates.reinserted, rates.borrowed, rates.traded, rates.device_exchange, rates.board_swap)
    if not all(0.0 <= chance <= 1.0 for chance in (*chances, rates.damp_spell)):
        raise ValueError("a rate of mishaps must lie between 0 and 1")
    first, last = rates.damp_days
    return replace(rates, damp_days=(int(first), int(last)))


@cache
def default_rates() -> MishapRates:
    """Return the rates of mishaps.toml."""
    return mishap_rates(tomllib.loads((HERE / "mishaps.toml").read_text("utf-8")))


TakenOut = tuple[int, int, float, int]  # device, slot, share used, unit


class Mishap(NamedTuple):
    """One mishap for the truth: whose, when, what; `slot` and `other` device are -1 where they mean nothing."""

    device: int
    day: int
    what: str  # reinserted, moved, device_exchange, board_swap, damp_paper
    slot: int = -1
    other: int = -1


def unit_owner(device: int, unit: int) -> tuple[int, int]:
    """Return the device whose unit it first was, and its number there."""
    return (unit // OWN_UNITS - 1, unit % OWN_UNITS) if unit >= OWN_UNITS else (device, unit)


def _carried_over(device: int, to: int, unit: int) -> int:
    """Return the number that a unit of `device` bears in the machine `to`."""
    owner, number = unit_owner(device, unit)
    return number if owner == to else (owner + 1) * OWN_UNITS + number


class Mishaps:
    """The mishaps of one fleet: drawers with part-used cartridges, damp sites, and the list of what happened."""

    def __init__(self, fleet: "Fleet", rates: MishapRates) -> None:
        self.rates = rates
        self.log: list[Mishap] = []
        self.serials: dict[int, list[tuple[int, str]]] = {}  # exchanged devices: from which day, which serial
        self._drawer: dict[tuple[int, int], tuple[float, int]] = {}  # (device, slot): share used, unit
        self.damp_until = np.full(len(fleet.roster.sites), -1, np.int64)
        self._neighbour = _neighbours(fleet)

    def damp(self, fleet: "Fleet", day: int) -> Bools:
        """Return [N] whose paper is damp on `day`."""
        damp: Bools = (self.damp_until >= day)[fleet.habits.site]
        return damp

    def morning(self, fleet: "Fleet", day: int, changed: Bools, taken_out: Sequence[TakenOut]) -> None:
        """Let today's mishaps happen; `changed` [N, S] is added to, `taken_out` are the toners that came out today."""
        if self.rates == CALM:
            return
        rng = np.random.Generator(np.random.Philox(key=np.array([fleet.seed, _STREAM + day], np.uint64)))
        self._damp_spells(fleet, day, rng)
        self._reinsert(fleet, day, taken_out, rng)
        self._trade(fleet, day, changed, rng)
        draw = rng.random((2, len(fleet)))
        for device in np.flatnonzero(draw[0] < self.rates.device_exchange).tolist():
            self._exchange_device(fleet, day, device, changed, rng)
        for device in np.flatnonzero(draw[1] < self.rates.board_swap).tolist():
            _restart_counters(fleet, day, device, int(rng.integers(0, MOST_TEST_PAGES)))
            self.log.append(Mishap(device, day, "board_swap"))

    def _damp_spells(self, fleet: "Fleet", day: int, rng: np.random.Generator) -> None:
        sites = len(self.damp_until)
        first, last = self.rates.damp_days
        begins = (rng.random(sites) < self.rates.damp_spell) & (self.damp_until < day)
        days = rng.integers(first, last + 1, sites)
        self.damp_until = np.where(begins, day + days - 1, self.damp_until)
        touched = np.flatnonzero(begins[fleet.habits.site]).tolist()
        self.log += [Mishap(device, day, "damp_paper") for device in touched]

    def _reinsert(
        self, fleet: "Fleet", day: int, taken_out: Sequence[TakenOut], rng: np.random.Generator
    ) -> None:
        """Put part-used cartridges that come out into the drawer; now and then the one that lies there goes in."""
        chance = rng.random(len(taken_out)) < self.rates.reinserted
        for (device, slot, used, unit), wanted in zip(taken_out, chance.tolist(), strict=True):
            place = device, slot
            if wanted and place in self._drawer:
                fleet.used[place], fleet.unit[place] = self._drawer.pop(place)
                self.log.append(Mishap(device, day, "reinserted", slot))
            if used < 1.0 - WORTH_KEEPING:
                self._drawer[place] = used, unit

    def _trade(self, fleet: "Fleet", day: int, changed: Bools, rng: np.random.Generator) -> None:
        """Let cartridges change places between neighbours: borrowed when one is due, or for no good reason."""
        waits = np.argwhere((fleet.due <= day) & (fleet.slots.colour_index >= 0) & ~changed)
        borrows = waits[rng.random(len(waits)) < self.rates.borrowed].tolist()
        bored = np.flatnonzero(rng.random(len(fleet)) < self.rates.traded).tolist()
        trades = [(device, int(rng.choice(_toners(fleet, device)))) for device in bored]
        for number, (device, slot) in enumerate([*borrows, *trades]):
            other = int(self._neighbour[device])
            if other < 0 or changed[device, slot] or changed[other, slot]:
                continue
            fuller = fleet.used[other, slot] < fleet.used[device, slot] - BETTER_BY
            if number < len(borrows) and not fuller:
                continue
            _change_places(fleet, device, other, slot)
            changed[[device, other], slot] = True
            self.log += [
                Mishap(device, day, "moved", slot, other),
                Mishap(other, day, "moved", slot, device),
            ]

    def _exchange_device(
        self, fleet: "Fleet", day: int, device: int, changed: Bools, rng: np.random.Generator
    ) -> None:
        """Put an overhauled machine of the same model in the place: its own serial, counters and cartridges, new parts."""
        letters = "ABCDEFGHJKLMNPRSTVWXYZ0123456789"
        serial = "".join(letters[i] for i in rng.integers(0, len(letters), 10))
        self.serials.setdefault(device, []).append((day, serial))
        life = fleet.model_of[device].life_pages
        _restart_counters(fleet, day, device, int(rng.uniform(0.05, 0.6) * life))
        fresh = np.zeros(fleet.parts.pages.shape, bool)
        fresh[device] = fleet.parts.design[device] > 0
        fit_new(fleet.parts, fresh, day, rng, fleet.habits)
        fleet.repairs += [(device, day, int(c)) for c in np.flatnonzero(fresh[device])]
        here = fleet.slots.exists[device]
        fleet.used[device] = np.where(here & ~fleet.slots.is_part[device], rng.random(here.shape) * 0.9, 0.0)
        fleet.newest_unit[device, here] += 1
        fleet.unit[device, here] = fleet.newest_unit[device, here]
        fleet.due[device] = NEVER
        fleet.failed[device] = -1
        fleet.repair_due[device] = NEVER
        for slot in range(len(here)):
            self._drawer.pop((device, slot), None)
        changed[device] |= here
        self.log.append(Mishap(device, day, "device_exchange"))


def toners_at(fleet: "Fleet", where: Bools) -> list[TakenOut]:
    """Return the toners that are in now, where [N, S]."""
    rows = np.argwhere(where & (fleet.slots.colour_index >= 0)).tolist()
    return [(i, s, float(fleet.used[i, s]), int(fleet.unit[i, s])) for i, s in rows]


def _toners(fleet: "Fleet", device: int) -> npt.NDArray[np.intp]:
    return np.flatnonzero(fleet.slots.colour_index[device] >= 0)


def _restart_counters(fleet: "Fleet", day: int, device: int, total: int) -> None:
    """Let every meter of a device begin anew at what `total` pages make of it; it has just been switched on."""
    fleet.meters_now[device] = (total * mean_growth(fleet.habits)[device]).astype(np.int64)
    fleet.note_boot(device, day * MINUTES_A_DAY + int(fleet.habits.open_from[device]))


def _change_places(fleet: "Fleet", one: int, two: int, slot: int) -> None:
    """Swap what is in `slot` of two machines: fill, yield and identity go with the cartridge."""
    for values in (fleet.used, fleet.unit_yield):
        values[[one, two], slot] = values[[two, one], slot]
    first, second = int(fleet.unit[one, slot]), int(fleet.unit[two, slot])
    fleet.unit[one, slot] = _carried_over(two, one, second)
    fleet.unit[two, slot] = _carried_over(one, two, first)
    fleet.due[[one, two], slot] = NEVER


def _neighbours(fleet: "Fleet") -> npt.NDArray[np.int64]:
    """Return [N] the next device of the same model at the same site, around in a ring; -1 for a single one."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, spec in enumerate(fleet.roster.devices):
        groups.setdefault((spec.site_id, spec.model_id), []).append(i)
    neighbour = np.full(len(fleet), -1, np.int64)
    for members in groups.values():
        if len(members) > 1:
            neighbour[members] = members[1:] + members[:1]
    return neighbour
