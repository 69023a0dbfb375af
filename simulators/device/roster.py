"""Who is in a simulated fleet: which model stands at which site, with which habits.

Kept apart from the physics so that a demo, a scenario or a test can state its own roster.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import numpy as np

from simulators.models import SimulatedModel

#: Relative use per weekday, Monday first (judgement; docs/simulators.md).
WEEK_PROFILES: Final[Mapping[str, tuple[float, ...]]] = {
    "office": (1.1, 1.15, 1.1, 1.05, 0.9, 0.04, 0.01),
    "retail": (0.9, 0.9, 0.95, 1.0, 1.15, 1.3, 0.8),
    "school": (1.15, 1.1, 1.1, 1.05, 0.95, 0.02, 0.0),
    "round_the_clock": (1.0, 1.0, 1.0, 1.0, 1.0, 0.85, 0.8),
}
#: Working hours per profile in local time (from, to).
OPEN_HOURS: Final[Mapping[str, tuple[float, float]]] = {
    "office": (8.5, 18.0),
    "retail": (9.0, 21.0),
    "school": (7.5, 16.5),
    "round_the_clock": (0.0, 24.0),
}
PROFILE_SHARES: Final = (("office", 0.62), ("retail", 0.16), ("school", 0.12), ("round_the_clock", 0.10))


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteSpec:
    """Where devices stand: one calendar, one power supply. `utc_offset_hours` moves the working hours."""

    site_id: str
    profile: str = "office"
    utc_offset_hours: float = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    """One machine of the roster. None = drawn from the seed."""

    device_id: str
    site_id: str
    model_id: str
    serial: str | None = None
    pages_a_day: float | None = None
    gauge: str | None = None
    start_life_share: float | None = None
    start_counter: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerCut:
    """A site without electricity from `start` until `end`."""

    site_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFault:
    """A component that fails on `start` and is repaired at the opening of the first open day from `repaired_on` on.

    With `warning_days` its codes rise in the days before.
    """

    device_id: str
    component: str
    start: datetime
    repaired_on: date | None = None
    warning_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedSwap:
    """A cartridge changed at the start of `day`, or with `when_left` on the first morning from then on with no more left.

    `slot` is the row of the supplies table minus one. `used` > 0: a part-used one is put in; with `reinsert` the one
    taken out last from that slot comes back with what was left in it.
    """

    device_id: str
    slot: int
    day: date
    used: float = 0.0
    when_left: float | None = None
    reinsert: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareCampaign:
    """Devices of a model that report `code` from their own start time on (within `spread_hours` of `start`) until `fixed_on`."""

    model_id: str
    code: str
    start: datetime
    spread_hours: float = 36.0
    share: float = 1.0
    firmware: str = "9.9.9"
    fixed_on: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A device that does not answer from `start` until `end` (cable, network, switched off)."""

    device_id: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardSwap:
    """A controller board changed at the start of `day`: every counter restarts at `counter`."""

    device_id: str
    day: date
    counter: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens by order of a scenario, on top of what chance brings."""

    power_cuts: Sequence[PowerCut] = ()
    faults: Sequence[ScriptedFault] = ()
    swaps: Sequence[ScriptedSwap] = ()
    campaigns: Sequence[FirmwareCampaign] = ()
    silences: Sequence[Silence] = ()
    board_swaps: Sequence[BoardSwap] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Sites and devices of a fleet, in a fixed order: the index of a device is its row in every array."""

    sites: tuple[SiteSpec, ...]
    devices: tuple[DeviceSpec, ...]
    holidays: frozenset[date] = field(default_factory=frozenset)


def make_roster(
    count: int,
    models: Mapping[str, SimulatedModel],
    *,
    sites: int | None = None,
    seed: int = 0,
    first_device: str = "d{:04d}",
    first_site: str = "S{:03d}",
    holidays: frozenset[date] = frozenset(),
) -> Roster:
    """Return `count` devices of all models spread over `sites` (default one per five devices), drawn from `seed`."""
    rng = np.random.default_rng([seed, 101])
    site_count = sites if sites is not None else max(1, count // 5)
    names = [name for name, _ in PROFILE_SHARES]
    shares = [share for _, share in PROFILE_SHARES]
    profiles = rng.choice(len(names), site_count, p=shares)
    site_specs = tuple(
        SiteSpec(site_id=first_site.format(i + 1), profile=names[profiles[i]]) for i in range(site_count)
    )
    ids = sorted(models)
    picked = rng.integers(0, len(ids), count)
    where = rng.integers(0, site_count, count)
    devices = tuple(
        DeviceSpec(
            device_id=first_device.format(i + 1),
            site_id=site_specs[where[i]].site_id,
            model_id=ids[picked[i]],
        )
        for i in range(count)
    )
    return Roster(sites=site_specs, devices=devices, holidays=holidays)
