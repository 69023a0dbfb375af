"""Is the data what it seems to be? Counters that fall, copies, moved and silent devices, early changes, unusual use.

What is found is not a fault of the machine and opens no ticket: it is a finding with reasons in a technician's words, and
a task to look at it. Rules where a rule says it; where none does, an isolation forest over how devices are used compared
with their own kind (F. T. Liu et al. 2008), explained by what stands out most.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest

from analytics.features import FleetState, day_start
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import Reason
from crm_core.domain.quality import FindingKind
from crm_core.domain.quality_policy import QualityPolicy
from crm_core.domain.telemetry import DeviceReading

Floats = npt.NDArray[np.float64]

_RECENT_DAYS: Final = 30  # a counter that fell earlier has been looked at or billed as a new epoch
_MIN_DEVICES: Final = 30  # fewer have no "usual"
_CLEAR_DEVIATIONS: Final = 4.0  # of the device's kind: less is not worth a person's time
_UNUSUAL: Final = ("pages", "weekend", "spread", "jams", "codes", "coverage")


@dataclass(frozen=True, slots=True)
class Oddity:
    """One odd thing about one device: the higher the score, the odder."""

    kind: FindingKind
    device_id: str
    score: float
    reasons: tuple[Reason, ...]


def oddities(
    state: FleetState, devices: Mapping[str, Device], day: int, readings: Mapping[str, DeviceReading], policy: QualityPolicy
) -> list[Oddity]:  # fmt: skip
    """Return everything odd at the end of `day`; `readings` are newest readings (their serials and sites)."""
    return [
        *_falls(state, devices, day),
        *_copies(state, devices, day),
        *_identities(devices, readings),
        *_silent(state, devices, day, policy),
        *_early_swaps(state, devices, policy),
        *(_unusual(state, devices, day, policy) if looks_at(FindingKind.UNUSUAL_USE, day) else ()),
    ]


def looks_at(kind: FindingKind, day: int) -> bool:
    """Return whether a kind is looked at on `day`: habits change slowly, they are compared once a week."""
    return kind is not FindingKind.UNUSUAL_USE or day % 7 == 0


def _date(day: float) -> str:
    return day_start(int(day)).date().isoformat()


def _falls(state: FleetState, devices: Mapping[str, Device], day: int) -> Iterator[Oddity]:
    """Counters that stood lower than before: a new board, another machine, or somebody turned it back."""
    newest = {fall.row: fall for fall in state.falls if fall.day > day - _RECENT_DAYS}
    for row, fall in newest.items():
        device_id = state.device_ids[row]
        if device_id in devices:
            arguments: dict[str, str | int | float] = {
                "before": round(fall.before), "after": round(fall.after), "on": _date(fall.day)
            }  # fmt: skip
            yield Oddity(
                FindingKind.COUNTER_ROLLBACK, device_id, (fall.before - fall.after) / max(fall.before, 1.0),
                (Reason("reasons.found_counter_fell", arguments),),
            )  # fmt: skip


def _copies(state: FleetState, devices: Mapping[str, Device], day: int) -> Iterator[Oddity]:
    """Two devices whose counters are equal and move alike: one of them is polled twice, or a copy."""
    usage = state.usage
    live = (usage.answered_day == day) & (usage.last_pages > 0) & (usage.count > 1000)
    rows = np.flatnonzero(live)
    groups: dict[tuple[float, float], list[int]] = {}
    for row in rows[np.argsort(usage.count[rows], kind="stable")].tolist():
        groups.setdefault((float(usage.count[row]), float(usage.last_pages[row])), []).append(row)
    for (count, _), alike in groups.items():
        known = [state.device_ids[row] for row in alike if state.device_ids[row] in devices]
        for device_id in known[1:]:
            reason = Reason("reasons.found_same_counter", {"other": known[0], "count": round(count)})
            yield Oddity(FindingKind.CLONE, device_id, 1.0, (reason,))


def _identities(devices: Mapping[str, Device], readings: Mapping[str, DeviceReading]) -> Iterator[Oddity]:
    """Compare what devices say of themselves with what is on record: serials seen twice or changed, another site."""
    first: dict[str, str] = {}
    for device_id in sorted(readings):
        device, reading = devices.get(device_id), readings[device_id]
        if device is None:
            continue
        said = (reading.identity.serial or "").strip()
        if said and said in first:
            reason = Reason("reasons.found_same_serial", {"other": first[said], "serial": said})
            yield Oddity(FindingKind.CLONE, device_id, 2.0, (reason,))
        elif said and device.serial and said.casefold() != device.serial.strip().casefold():
            reason = Reason("reasons.found_other_serial", {"serial": said, "expected": device.serial})
            yield Oddity(FindingKind.MOVED, device_id, 2.0, (reason,))
        elif reading.site_id and device.site_id and reading.site_id != device.site_id:
            reason = Reason(
                "reasons.found_other_site", {"site": reading.site_id, "expected": str(device.site_id)}
            )
            yield Oddity(FindingKind.MOVED, device_id, 1.0, (reason,))
        first.setdefault(said, device_id)


def _silent(
    state: FleetState, devices: Mapping[str, Device], day: int, policy: QualityPolicy
) -> Iterator[Oddity]:
    """Devices that answered and stopped: no data is not good news."""
    usage = state.usage
    quiet = day - usage.answered_day
    for row in np.flatnonzero(quiet >= policy.silent_days).tolist():
        device_id = state.device_ids[row]
        if device_id in devices and usage.answered_day[row] - usage.first_day[row] >= policy.silent_days:
            arguments: dict[str, str | int | float] = {
                "days": int(quiet[row]), "on": _date(usage.answered_day[row])
            }  # fmt: skip
            yield Oddity(
                FindingKind.SILENT, device_id, float(quiet[row]), (Reason("reasons.found_silent", arguments),)
            )


def _early_swaps(state: FleetState, devices: Mapping[str, Device], policy: QualityPolicy) -> Iterator[Oddity]:
    """Supplies changed again and again with much left: habit, theft, or a sensor that cries too early."""
    supply = state.supply
    early = (supply.swaps_early >= policy.early_swaps) & (supply.swap_level >= policy.early_swap_level)
    worst: dict[str, tuple[float, int]] = {}
    for row in np.flatnonzero(early).tolist():
        device_id = state.device_ids[state.keys[row].device_row]
        if device_id in devices:
            worst[device_id] = max(worst.get(device_id, (0.0, 0)), (float(supply.swap_level[row]), row))
    for device_id, (level, row) in worst.items():
        arguments: dict[str, str | int | float] = {
            "times": int(supply.swaps_early[row]), "percent": round(100 * level),
            "supply": state.keys[row].colour or state.keys[row].kind or state.keys[row].index,
        }  # fmt: skip
        yield Oddity(
            FindingKind.EARLY_SWAPS, device_id, level, (Reason("reasons.found_early_swaps", arguments),)
        )


# --- unusual use ------------------------------------------------------------------------------------------------------


def _habits(state: FleetState) -> Floats:
    """Return how each device is used [n, len(_UNUSUAL)], on scales on which kinds of devices can be compared."""
    usage, failures = state.usage, state.failures
    profile = usage.profile()
    daily = profile.mean(0)
    weekend = profile[5:].sum(0) / np.maximum(profile.sum(0), 1e-9)
    jams = 1000.0 * (failures.jams[1] + 0.4) / (failures.pages[1] + 400.0)
    codes = failures.codes_slow.sum(0)
    coverage = np.ones(len(usage))
    slope = np.log(np.maximum(state.supply.slope / state.supply.model_slope(), 1e-3))
    learned = state.supply.carts > 0
    coverage = np.zeros(len(usage))
    coverage[state.supply.usage_row[learned]] = slope[learned]
    return np.stack(
        [np.log1p(daily), weekend, np.log1p(usage.spread), np.log1p(jams), np.log1p(codes), coverage], axis=1
    )


def _deviations(habits: Floats, kind: npt.NDArray[np.int64]) -> Floats:
    """Return robust deviations of every habit from the median of the device's kind."""
    made = np.zeros_like(habits)
    for number in np.unique(kind):
        mine = kind == number
        centre = np.median(habits[mine], axis=0)
        spread = np.median(np.abs(habits[mine] - centre), axis=0) * 1.4826
        floor = np.maximum(spread, 0.25 * habits.std(0) + 1e-3)
        made[mine] = (habits[mine] - centre) / floor
    return made


def _unusual(
    state: FleetState, devices: Mapping[str, Device], day: int, policy: QualityPolicy
) -> Iterator[Oddity]:
    """Find the few devices that are used most unlike their own kind, with what stands out."""
    usage = state.usage
    seen = np.nan_to_num(day - usage.first_day, nan=0.0)
    rows = np.flatnonzero((seen >= 28) & (day - usage.answered_day < policy.silent_days))
    if len(rows) < _MIN_DEVICES:
        return
    names = [
        devices[state.device_ids[row]].model_name if state.device_ids[row] in devices else None
        for row in rows
    ]
    _, kind = np.unique([name or "" for name in names], return_inverse=True)
    away = _deviations(_habits(state)[rows], kind)
    forest = IsolationForest(n_estimators=100, max_samples=min(256, len(rows)), random_state=0).fit(away)
    score = -forest.score_samples(away)
    most = max(1, round(policy.unusual_share * len(rows)))
    for at in np.argsort(-score, kind="stable")[:most].tolist():
        device_id = state.device_ids[rows[at]]
        order = np.argsort(-np.abs(away[at]), kind="stable")[:3]
        clear = [column for column in order.tolist() if abs(away[at, column]) >= _CLEAR_DEVIATIONS]
        if clear and device_id in devices:
            reasons = tuple(_unusual_reason(_UNUSUAL[column], away[at, column]) for column in clear)
            yield Oddity(FindingKind.UNUSUAL_USE, device_id, round(float(score[at]), 4), reasons)


def _unusual_reason(habit: str, deviation: float) -> Reason:
    """Return in words what is unusual, and on which side."""
    side = "more" if deviation > 0 else "less"
    return Reason(f"reasons.unusual_{habit}_{side}", {})
