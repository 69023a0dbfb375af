"""The physics of a fleet of printers, one day at a time for all devices at once.

Pages, coverage, toner, wear, jams, failures and what people do about them. The same seed, roster and script
give the same bytes on every run: each day draws from its own counter-based generator (Philox keyed by seed and
day), so a day does not depend on how it was reached, and a longer run only adds days. The state at any minute
follows from the day's record (`simulators.device.device`). Models and sources: docs/simulators.md.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from simulators.device import incidents
from simulators.device.arrays import METERS, MINUTES_A_DAY, NEVER, Bools, DayRecord, Floats
from simulators.device.habits import Habits, SlotTable, draw_habits, slot_table
from simulators.device.meters import mean_growth, split_by_meter
from simulators.device.mishaps import OWN_UNITS, MishapRates, Mishaps, default_rates, toners_at
from simulators.device.orders import Orders
from simulators.device.roster import Roster, Script
from simulators.device.wear import PartState, begin_defects, draw_parts, fit_new
from simulators.models import SimulatedModel, default_models

STEP_CHANCE: Final = 1 / 400  # per day: the device's use changes by a step
EARLY_SWAP_SHARE: Final = 0.14
PART_USED_SHARE: Final = 0.03
SAME_DAY_RETURN: Final = 0.62  # chance per open day that a waiting change is made
PREVENTIVE_CHANCE: Final = 0.02  # per day and worn part: changed at a visit before it fails
OUTAGE_CHANCE: Final = 0.003
REBOOT_CHANCE: Final = 1 / 45


@dataclass(slots=True)
class _Use:
    """What one day takes: pages by meter, share of each slot, and the minute of a stop."""

    meters: npt.NDArray[np.int64]
    used: Floats
    ran_empty: Bools
    stop_minute: Floats
    stop_component: npt.NDArray[np.int8]
    failed: Bools


class Fleet:
    """A seeded fleet from `start` (UTC midnight) on. Days are simulated as they are asked for.

    `keep_days` bounds the memory: older days are forgotten (None keeps all). `mishaps` None means those of mishaps.toml.
    """

    def __init__(
        self,
        roster: Roster,
        *,
        seed: int,
        start: date,
        models: Mapping[str, SimulatedModel] | None = None,
        script: Script | None = None,
        keep_days: int | None = None,
        mishaps: MishapRates | None = None,
    ) -> None:
        self.roster = roster
        self.seed = seed
        self.start = start
        self.origin = datetime(start.year, start.month, start.day, tzinfo=UTC)
        self.models = default_models() if models is None else models
        self.model_of = tuple(self.models[spec.model_id] for spec in roster.devices)
        self.orders = Orders(script or Script(), roster, start, seed)
        self.days: dict[int, DayRecord] = {}
        self.failures: list[tuple[int, int, int]] = []  # device, day, component
        self.causes: list[str] = []  # of the failures, in the same order: worn, sudden, scripted
        self.repairs: list[tuple[int, int, int]] = []  # device, day, component
        self.next_day = 0
        self._stepping = threading.Lock()  # a server's thread may ask for a day while another one makes it
        self._keep = keep_days
        rng = np.random.default_rng([seed, 7])
        self.habits: Habits = draw_habits(roster, self.models, rng)
        self.slots: SlotTable = slot_table(roster, self.models)
        self._draw_start(rng)
        self.mishaps = Mishaps(self, default_rates() if mishaps is None else mishaps)

    def __len__(self) -> int:
        return len(self.roster.devices)

    @cached_property
    def serials(self) -> tuple[str, ...]:
        """Serial numbers of the devices, stated or drawn."""
        rng = np.random.default_rng([self.seed, 13])
        letters = np.array(list("ABCDEFGHJKLMNPRSTVWXYZ0123456789"))
        drawn = letters[rng.integers(0, len(letters), (len(self), 9))]
        return tuple(
            spec.serial or "".join(drawn[i]) + str(i % 10) for i, spec in enumerate(self.roster.devices)
        )

    def serial_on(self, device: int, day: int) -> str:
        """Return the serial of the machine that stands in the device's place on `day`."""
        exchanged = self.mishaps.serials.get(device, ())
        return next((serial for since, serial in reversed(exchanged) if since <= day), self.serials[device])

    def day_of(self, at: datetime) -> tuple[int, float]:
        """Return the day number and the minute of that day. Raises `ValueError` before the fleet's start."""
        elapsed = (at - self.origin) / timedelta(minutes=1)
        if elapsed < 0:
            raise ValueError(f"{at.isoformat()} is before the fleet's start {self.start.isoformat()}")
        day = int(elapsed // MINUTES_A_DAY)
        return day, elapsed - day * MINUTES_A_DAY

    def record(self, day: int) -> DayRecord:
        """Return the record of a day, simulating up to it. Raises `KeyError` for a day already forgotten."""
        while self.next_day <= day:
            with self._stepping:
                if self.next_day <= day:
                    self._step()
        return self.days[day]

    def advance_to(self, at: datetime) -> None:
        """Simulate all days up to and including that of `at`."""
        self.record(self.day_of(at)[0])

    # --- the start ---------------------------------------------------------------------------------------------

    def _draw_start(self, rng: np.random.Generator) -> None:
        count = len(self)
        shape = self.slots.exists.shape
        life = np.array([m.life_pages for m in self.model_of], float)
        stated = np.array(
            [np.nan if s.start_life_share is None else s.start_life_share for s in self.roster.devices]
        )
        self.start_share: Floats = np.where(np.isnan(stated), rng.uniform(0.03, 0.7, count), stated)
        counters = [-1 if s.start_counter is None else s.start_counter for s in self.roster.devices]
        total = np.where(np.array(counters) < 0, (self.start_share * life).astype(np.int64), counters)
        self.meters_now = np.zeros((count, len(METERS)), np.int64)
        shares = mean_growth(self.habits)
        self.meters_now[:] = (total[:, None] * shares).astype(np.int64)
        self.used: Floats = np.where(self.slots.exists, rng.random(shape) * 0.95, 0.0)
        self.unit_yield = rng.normal(1.0, 0.05, shape).clip(0.8, 1.2).astype(np.float32)
        self._early = self._draw_early(rng.random((2, *shape))).astype(np.float32)
        self.due = np.full(shape, NEVER, np.int32)
        self.unit = np.ones(shape, np.int32)
        self.newest_unit = np.ones(shape, np.int16)
        design = np.array([m.part_lives for m in self.model_of], float)
        self.parts: PartState = draw_parts(rng, self.habits, design, self.start_share)
        self._sync_slots_with_parts()
        self.log_rate = np.zeros(count)
        self._log_coverage = np.zeros(count)
        self.failed = np.full(count, -1, np.int8)
        self.repair_due = np.full(count, NEVER, np.int64)
        self._outage_until = np.full(count, -1, np.int64)
        self._closed_until = np.full(len(self.roster.sites), -1, np.int64)
        self._booted = -rng.integers(60, 30 * MINUTES_A_DAY, count)
        self._at_boot = (self.meters_now[:, 0] - self.habits.base_pages * 3).clip(0).astype(np.int64)
        self._carried = incidents.Carried()
        self.taken_out: dict[tuple[int, int], tuple[float, int]] = {}  # (device, slot) -> used, unit number

    def _sync_slots_with_parts(self) -> None:
        """Let the slots that are parts (fuser, drum) start with the wear of their component."""
        device, slot = np.nonzero(self.slots.is_part)
        wear = self.parts.wear[device, self.slots.component[device, slot]]
        self.used[device, slot] = np.minimum(wear, 1.0)

    def _draw_early(self, uniform: Floats) -> Floats:
        """Return [N, S] the level at which people change a unit: 0 when empty, more for early ones."""
        early = np.where(uniform[0] < EARLY_SWAP_SHARE, 0.05 + 0.30 * uniform[1], 0.0)
        early = np.where(self.slots.waste, 0.08 * uniform[1], early)
        return np.where(self.slots.is_part, -0.06 * uniform[1], early)

    # --- one day -----------------------------------------------------------------------------------------------

    def _step(self) -> None:
        day = self.next_day
        rng = np.random.Generator(np.random.Philox(key=np.array([self.seed, day], np.uint64)))
        opened, factor = self._opening(day, rng)
        changed = self._people_act(day, opened, rng)
        start = self.meters_now.copy()
        used_start = self.used.astype(np.float32)
        reachable = self._reach_and_boot(day, opened, rng)
        pages = self._demand(factor, rng)
        use = self._run(day, pages, rng)
        events = incidents.events_of_day(
            self, day, use.meters, use.stop_minute, use.failed, self._carried, rng
        )
        use.meters[:, METERS.index("jams")] = events.jams
        self.meters_now = self.meters_now + use.meters
        self._after(day, use, rng)
        self.days[day] = DayRecord(
            day=day,
            meters=use.meters.astype(np.int32),
            meters_at_start=start,
            used_at_start=used_start,
            used_at_end=self.used.astype(np.float32),
            unit_number=self.unit.copy(),
            changed=changed,
            ran_empty=use.ran_empty,
            stop_minute=use.stop_minute.astype(np.float32),
            stop_component=use.stop_component,
            open_from=self.habits.open_from.astype(np.float32),
            open_until=self.habits.open_until.astype(np.float32),
            is_open=opened,
            unreachable=~reachable,
            booted_at=self._booted.copy(),
            meter_at_boot=self._at_boot.copy(),
            campaign=events.campaign,
            events=events.table,
        )
        self.next_day = day + 1
        if self._keep is not None:
            self.days.pop(day - self._keep, None)

    def _opening(self, day: int, rng: np.random.Generator) -> tuple[Bools, Floats]:
        """Return who works today and by which factor: weekday, holidays, unannounced closures, power."""
        today, habits = self.start + timedelta(days=day), self.habits
        factor: Floats = habits.week[:, today.weekday()].astype(np.float64)
        if today in self.roster.holidays:
            factor *= np.where(habits.round_the_clock, 0.7, 0.02)
        draw = rng.random((2, len(self.roster.sites)))
        closes = (draw[0] < 1 / 700) & (self._closed_until < day)
        self._closed_until = np.where(closes, day + 4 + (draw[1] * 11).astype(np.int64), self._closed_until)
        closed = (self._closed_until >= day)[habits.site] & ~habits.round_the_clock
        factor = np.where(closed, 0.02 * factor, factor)
        factor *= self.orders.powered_share(day, len(self.roster.sites))[habits.site]
        return factor > 0.15, factor

    def _people_act(self, day: int, opened: Bools, rng: np.random.Generator) -> Bools:
        """Change what is due and repair what is down, in the morning; return [N, S] what was changed."""
        shape = self.used.shape
        draw = rng.random((5, *shape))
        changed = (self.due <= day) & (draw[0] < SAME_DAY_RETURN) & opened[:, None]
        repaired = (self.repair_due <= day) & opened & (self.failed >= 0)
        fresh_parts = np.zeros(self.parts.pages.shape, bool)
        fresh_parts[np.flatnonzero(repaired), self.failed[repaired]] = True
        worn = (self.parts.wear > 1.0) & (rng.random(fresh_parts.shape) < PREVENTIVE_CHANCE)
        fresh_parts |= worn & opened[:, None] & (np.arange(worn.shape[1]) < 5)
        device, slot = np.nonzero(changed & self.slots.is_part)
        fresh_parts[device, self.slots.component[device, slot]] = True
        device, slot = np.nonzero(self.slots.is_part)
        first = fresh_parts[device, self.slots.component[device, slot]]
        changed[device[first], slot[first]] = True
        self.repairs += [(int(i), day, int(c)) for i, c in zip(*np.nonzero(fresh_parts), strict=True)]
        fit_new(self.parts, fresh_parts, day, rng, self.habits)
        self.failed[repaired] = -1
        self.repair_due[repaired] = NEVER
        part_used = np.where((draw[1] < PART_USED_SHARE) & ~self.slots.is_part, 0.1 + 0.6 * draw[2], 0.0)
        taken_out = toners_at(self, changed)
        self._install(changed, part_used, rng.normal(1.0, 0.05, shape).clip(0.8, 1.2), draw[3:5])
        self.mishaps.morning(self, day, changed, taken_out)
        return self._obey(day, changed)

    def _install(self, changed: Bools, used: Floats, unit_yield: Floats, draw: Floats) -> None:
        """Put new units in where `changed`."""
        self.used = np.where(changed, used, self.used)
        self.unit_yield = np.where(changed, unit_yield.astype(np.float32), self.unit_yield)
        self._early = np.where(changed, self._draw_early(draw).astype(np.float32), self._early)
        self.due[changed] = NEVER
        self.newest_unit[changed] += 1
        self.unit[changed] = self.newest_unit[changed]

    def _obey(self, day: int, changed: Bools) -> Bools:
        """Carry out scripted swaps and board changes of the day."""
        for device, swap in self.orders.swaps_due(day, self.used):
            place = (device, swap.slot)
            taken_out = float(self.used[place]), int(self.unit[place])
            used, unit = swap.used, int(self.newest_unit[place]) + 1
            if swap.reinsert:
                used, unit = self.taken_out.get(place, (used, unit))
            self.newest_unit[place] = max(self.newest_unit[place], unit % OWN_UNITS)
            self.taken_out[place] = taken_out
            self.used[place], self.unit[place], self.due[place] = used, unit, NEVER
            changed[place] = True
        for device, board in self.orders.boards.get(day, ()):
            self.meters_now[device] = (board.counter * mean_growth(self.habits)[device]).astype(np.int64)
            self._at_boot[device] = self.meters_now[device, 0]
        return changed

    def note_boot(self, device: int, minute: int) -> None:
        """Note that a device was switched on at `minute` since the fleet's start."""
        self._booted[device], self._at_boot[device] = minute, self.meters_now[device, 0]

    def _reach_and_boot(self, day: int, opened: Bools, rng: np.random.Generator) -> Bools:
        """Return who answers at all today; note who started anew."""
        draw = rng.random((3, len(self)))
        falls = (draw[0] < OUTAGE_CHANCE) & (self._outage_until < day)
        self._outage_until = np.where(falls, day + (draw[1] * 3).astype(np.int64), self._outage_until)
        boots = np.where(self.habits.night_off, opened, draw[2] < REBOOT_CHANCE)
        minute = day * MINUTES_A_DAY + np.where(self.habits.night_off, self.habits.open_from - 5, 0).clip(0)
        self._booted = np.where(boots, minute.astype(np.int64), self._booted)
        self._at_boot = np.where(boots, self.meters_now[:, 0], self._at_boot)
        reachable: Bools = self._outage_until < day
        return reachable

    def _demand(self, factor: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Return the pages that people want today: drift and steps, zero-inflated gamma-Poisson, heavy-tailed jobs."""
        count = len(self)
        habits = self.habits
        draw = rng.random((4, count))
        self.log_rate = 0.9995 * self.log_rate + rng.normal(0.0, 0.006, count)
        self.log_rate += np.where(draw[0] < STEP_CHANCE, rng.normal(0.0, 0.35, count), 0.0)
        mean = habits.base_pages * np.exp(self.log_rate) * factor
        mean = np.where(draw[1] < habits.zero_chance, 0.0, mean)
        mean = mean * rng.standard_gamma(habits.gamma_shape) / habits.gamma_shape
        big = (draw[2] < habits.big_chance) & (mean > 0) & (factor > 0.15)
        mean = mean + np.where(big, 2.0 * habits.base_pages * (1.0 - draw[3]) ** (-1 / 2.2), 0.0)
        return rng.poisson(np.minimum(mean, habits.page_limit))

    def _run(self, day: int, pages: npt.NDArray[np.int64], rng: np.random.Generator) -> _Use:
        """Print the day: split by meter, drain the slots, stop where something ends or breaks."""
        habits, slots = self.habits, self.slots
        waiting = ((self.used >= 1.0) & slots.blocks).any(axis=1) | (self.failed >= 0)
        pages = np.where(waiting, 0, pages)
        colour = rng.binomial(pages, habits.colour_share)
        self._log_coverage = 0.985 * self._log_coverage + rng.normal(0.0, 0.03, len(self))
        spread = np.exp(self._log_coverage + rng.normal(-0.02, 0.2, len(self)))
        coverage = habits.coverage / 0.05 * spread[:, None]
        rows = np.arange(len(self))[:, None]
        times = np.where(slots.colour_index >= 0, coverage[rows, slots.colour_index], 1.0)
        per_page = times / self.unit_yield
        wanted = ((pages - colour)[:, None] * slots.mono_use + colour[:, None] * slots.colour_use) * per_page
        left = 1.0 - self.used
        share = np.where(
            slots.blocks & (wanted >= left) & (wanted > 0), left / np.maximum(wanted, 1e-12), 1.0
        )
        empty_at = np.where(waiting, 1.0, share.min(axis=1))
        begin_defects(self.parts, day, rng)
        fails, fail_at = self._failures(day, pages, rng)
        stop = np.minimum(empty_at, fail_at.min(axis=1))
        failed = fails & (fail_at <= stop[:, None])
        done = np.floor(pages * stop).astype(np.int64)
        used = np.minimum(self.used + wanted * stop[:, None], np.where(slots.blocks, 1.0, 1.4))
        ran_empty = slots.blocks & (share < 1.0) & (share <= stop[:, None])
        used = np.where(ran_empty, 1.0, used)
        stopped = (stop < 1.0) | failed.any(axis=1)
        window = habits.open_until - habits.open_from
        minute = np.where(stopped, habits.open_from + stop * window, float(NEVER))
        minute = self._scripted_minutes(day, failed, minute)
        minute = np.where(waiting, 0.0, minute)
        meters = split_by_meter(
            self.habits, done, np.minimum(np.rint(colour * stop).astype(np.int64), done), rng
        )
        component = np.where(failed.any(axis=1), failed.argmax(axis=1), -1).astype(np.int8)
        component = np.where(waiting, self.failed, component).astype(np.int8)
        return _Use(meters, used, ran_empty, minute, component, failed)

    def _failures(
        self, day: int, pages: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Bools, Floats]:
        """Return [N, 7] what fails today and at which share of the day's printing; an idle machine fails later."""
        due = (self.parts.fails_on <= day) & (self.failed < 0)[:, None]
        fails = due & (pages > 0)[:, None]
        at = np.where(fails, rng.random(fails.shape), np.inf)
        for order in self.orders.faults:
            if int(order.at_minute // MINUTES_A_DAY) == day and self.failed[order.device] < 0:
                begin, end = self.habits.open_from[order.device], self.habits.open_until[order.device]
                fails[order.device, order.component] = True
                at[order.device] = np.inf
                minute = order.at_minute - day * MINUTES_A_DAY
                at[order.device, order.component] = min(max((minute - begin) / (end - begin), 0.0), 1.0)
            elif int(order.at_minute // MINUTES_A_DAY) - order.warning_days == day and order.warning_days:
                self.parts.onset[order.device, order.component] = day
                self.parts.fails_on[order.device, order.component] = day + order.warning_days
        return fails, at

    def _cause(self, device: int, day: int, component: int) -> str:
        """Return why a part failed: by order of the script, after a burst of codes (worn), or without warning."""
        scripted = any(
            order.device == device and int(order.at_minute // MINUTES_A_DAY) == day
            for order in self.orders.faults
        )
        worn = self.parts.onset[device, component] < self.parts.fails_on[device, component]
        return "scripted" if scripted else "worn" if worn else "sudden"

    def _scripted_minutes(self, day: int, failed: Bools, minute: Floats) -> Floats:
        """Return the stop minutes with scripted failures at their exact minute."""
        for order in self.orders.faults:
            if int(order.at_minute // MINUTES_A_DAY) == day and failed[order.device, order.component]:
                minute[order.device] = order.at_minute - day * MINUTES_A_DAY
        return minute

    def _after(self, day: int, use: _Use, rng: np.random.Generator) -> None:
        """Close the day: wear, what is now due, and when help comes."""
        slots = self.slots
        self.used = use.used
        pages = use.meters[:, 0]
        self.parts.pages += np.where(self.parts.design > 0, pages[:, None], 0)
        low = slots.exists & (1.0 - self.used <= self._early) & (self.due == NEVER)
        self.due[low | use.ran_empty] = day + 1
        failing: Bools = np.asarray(use.failed.any(axis=1))
        for i in np.flatnonzero(failing):
            component = int(use.stop_component[i])
            self.failed[i] = component
            self.failures.append((int(i), day, component))
            self.causes.append(self._cause(int(i), day, component))
        wait = rng.geometric(0.45, len(self))
        self.repair_due = np.where(failing, day + wait, self.repair_due)
        for order in self.orders.faults:
            if int(order.at_minute // MINUTES_A_DAY) == day and failing[order.device]:
                self.repair_due[order.device] = order.repaired_on
