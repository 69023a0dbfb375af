"""A script's orders turned into per-day lookups, so that the day step asks once and cheaply."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.device.arrays import MINUTES_A_DAY, NEVER
from simulators.device.roster import BoardSwap, Roster, Script, ScriptedSwap
from simulators.models import COMPONENTS

JUST_BELOW: Final = 0.10
_DAY: Final = float(MINUTES_A_DAY)


@dataclass(frozen=True, slots=True)
class FaultOrder:
    """A scripted failure in the fleet's own numbers."""

    device: int
    component: int
    at_minute: float  # since the start of the fleet
    repaired_on: int  # day number, NEVER = not repaired
    warning_days: int


@dataclass(frozen=True, slots=True)
class CampaignOrder:
    """A scripted firmware campaign: the minute of each device of the model, NEVER for the others."""

    code: str
    firmware: str
    begins: npt.NDArray[np.float64]  # [N]
    fixed_at: float


def _is_down_to(wanted: float | None, left: float) -> bool:
    """Return True if a cartridge has just come down to the wanted level; one far below waits for the next."""
    return wanted is None or wanted - JUST_BELOW <= left <= wanted


class Orders:
    """The script of one fleet by device number and minute since the fleet's start (UTC midnight of `start`)."""

    def __init__(self, script: Script, roster: Roster, start: date, seed: int) -> None:
        self._origin = datetime(start.year, start.month, start.day, tzinfo=UTC)
        self._start = start
        number = {spec.device_id: i for i, spec in enumerate(roster.devices)}
        site = {spec.site_id: i for i, spec in enumerate(roster.sites)}
        self.cuts = tuple(
            (site[cut.site_id], self.minute(cut.start), self.minute(cut.end)) for cut in script.power_cuts
        )
        self.silences = tuple(
            (number[gap.device_id], self.minute(gap.start), self.minute(gap.end)) for gap in script.silences
        )
        self.faults = tuple(
            FaultOrder(
                number[fault.device_id],
                COMPONENTS.index(fault.component),
                self.minute(fault.start),
                NEVER if fault.repaired_on is None else (fault.repaired_on - start).days,
                fault.warning_days,
            )
            for fault in script.faults
        )
        self.campaigns = tuple(
            self._campaign_order(script, i, roster, seed) for i in range(len(script.campaigns))
        )
        self._waiting = [((swap.day - start).days, number[swap.device_id], swap) for swap in script.swaps]
        self.boards: dict[int, list[tuple[int, BoardSwap]]] = {}
        for board in script.board_swaps:
            self.boards.setdefault((board.day - start).days, []).append((number[board.device_id], board))
        self.cut_sites = frozenset(site for site, _, _ in self.cuts)
        self.silent_devices = frozenset(device for device, _, _ in self.silences)

    def minute(self, at: datetime) -> float:
        """Return minutes since the start of the fleet."""
        return (at - self._origin).total_seconds() / 60.0

    def _campaign_order(self, script: Script, index: int, roster: Roster, seed: int) -> CampaignOrder:
        campaign = script.campaigns[index]
        rng = np.random.default_rng([seed, 211, index])
        count = len(roster.devices)
        draw = rng.random((2, count))
        touched = np.array([spec.model_id == campaign.model_id for spec in roster.devices])
        first = self.minute(campaign.start)
        begins = np.where(
            touched & (draw[0] < campaign.share), first + draw[1] * campaign.spread_hours * 60, float(NEVER)
        )
        fixed = float(NEVER) if campaign.fixed_on is None else self.minute(campaign.fixed_on)
        return CampaignOrder(campaign.code, campaign.firmware, begins, fixed)

    def swaps_due(self, day: int, used: npt.NDArray[np.float64]) -> list[tuple[int, ScriptedSwap]]:
        """Return the scripted swaps of this morning and strike them off; `used` [N, S] is the share used up."""
        due = [
            order
            for order in self._waiting
            if day >= order[0] and _is_down_to(order[2].when_left, 1.0 - float(used[order[1], order[2].slot]))
        ]
        self._waiting = [order for order in self._waiting if order not in due]
        return [(device, swap) for _, device, swap in due]

    def in_power_cut(self, site: int, minute: float) -> bool:
        """Return True if the site is without electricity at that minute."""
        return site in self.cut_sites and any(s == site and a <= minute < b for s, a, b in self.cuts)

    def last_power_return(self, site: int, minute: float) -> float:
        """Return the minute at which electricity last came back before `minute`, or -inf."""
        if site not in self.cut_sites:
            return -np.inf
        return max((b for s, _, b in self.cuts if s == site and b <= minute), default=-np.inf)

    def silenced(self, device: int, minute: float) -> bool:
        """Return True if a scripted silence covers that minute."""
        return device in self.silent_devices and any(
            d == device and a <= minute < b for d, a, b in self.silences
        )

    def powered_share(self, day: int, sites: int) -> npt.NDArray[np.float64]:
        """Return [sites] the share of the day with electricity."""
        share = np.ones(sites)
        for site, a, b in self.cuts:
            low, high = max(a, day * _DAY), min(b, (day + 1) * _DAY)
            share[site] -= max(0.0, high - low) / _DAY
        return np.clip(share, 0.0, 1.0)
