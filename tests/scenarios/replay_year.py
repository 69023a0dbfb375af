"""A year of a simulated fleet with the product's own forecasts in the loop, as the replay reads it from the stores.

The machines are the simulator's (an oracle that knows nothing of the replay); every night the real supply state and the
real replenishment rule decide which tickets are raised, and the next working day somebody brings what is due.
"""

from datetime import date, timedelta

import numpy as np

from analytics.features import DayBlock, FleetState, SupplyKey, day_number
from analytics.policy_replay.year import OTHER, REPLACEMENT, SUPPLY, Year, YearTicket
from analytics.priors import SupplyPriorBook
from analytics.supply_forecasts import replenish, supply_numbers
from analytics.supply_state import KNOWN, SILENT
from config.catalogue_files import load_catalogue
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.replacement import replacement_due
from simulators.device.fleet import Fleet
from simulators.device.roster import make_roster
from simulators.device.visits import help_now
from simulators.models import COMPONENTS, default_models

START = date(2025, 1, 6)
REPLACED_AFTER = 21  # days from the proposal to the other machine
WARM_UP = 60  # days before the year: forecasts have seen the machines
PRICE = 300.0


class SimulatedYear:
    """Lives through the warm-up and the year; `year()` is what the replay gets to see."""

    def __init__(self, devices, policy, *, seed, days=365):
        models = default_models()
        self.policy, self.days = policy, days
        self.fleet = Fleet(make_roster(devices, models, seed=seed), seed=seed, start=START, keep_days=4)
        exists = self.fleet.slots.exists & ~self.fleet.slots.is_part & ~self.fleet.slots.waste
        self.device, self.slot = np.nonzero(exists)
        nominal = np.array(
            [
                self.fleet.model_of[n].slots[s].yield_pages
                for n, s in zip(self.device, self.slot, strict=True)
            ],
            float,
        )
        self.state = FleetState(DEFAULT_TENANT, SupplyPriorBook(load_catalogue()))
        self.state.usage.grow(self.fleet.habits.site.astype(np.int64), self.fleet.habits.base_pages + 1.0)
        self.state.failures.grow(devices)
        self.state.recent.grow(devices)
        model = self.fleet.habits.model.astype(np.int64)[self.device] * 32 + self.slot
        self.group, self.nominal = np.unique(model, return_inverse=True)[1], nominal
        self.state.supply.grow(self.device, self.group, nominal, np.ones(len(nominal)))
        self.state.device_ids = [spec.device_id for spec in self.fleet.roster.devices]
        self.state.keys = [
            SupplyKey(int(n), f"1.{s + 1}", "toner", None)
            for n, s in zip(self.device, self.slot, strict=True)
        ]
        self.life = np.array([m.life_pages for m in self.fleet.model_of], float)
        self.pages = np.zeros((devices, days))
        self.levels = np.full((len(self.slot), days), np.nan)
        self.tickets, self.visits = [], 0
        self._due = np.zeros(len(self.slot), int)
        self._promised_days = [span / timedelta(days=1) for span in policy.sla.restore.values()]
        self._begun_at = np.zeros(devices)
        self._open = {}
        self._proposed = {}
        self.counts = None

    def live(self):
        looks = self.policy.triage.rule_for("supply.").raise_observations
        for day in range(WARM_UP + self.days):
            if self.counts is None and day == WARM_UP:
                self.counts = self.fleet.meters_now[:, 0] - self._begun_at
            self._visit(day)
            record = self.fleet.record(day)
            levels = self._look(day, record)
            self._judge(day, looks, levels)
            self._machines(day, record)
        return self.year()

    def _look(self, day, record):
        level = np.clip(1.0 - record.used_at_end[self.device, self.slot], 0.0, 1.0)
        percent = np.ceil(level * 100.0)
        counts = (record.meters_at_start[:, 0] + record.meters[:, 0]).astype(float)
        answered = ~record.unreachable
        counts[~answered] = np.nan
        seen = answered[self.device]
        block = DayBlock(
            first_day=day_number(START) + day,
            counts=counts[:, None],
            jams=np.zeros((len(counts), 1)),
            polls=answered.astype(np.int64)[:, None],
            states=np.where(seen, KNOWN, SILENT)[:, None],
            percents=np.where(seen, percent, np.nan)[:, None],
        )
        self.state.take_day(day_number(START) + day, block, 0, ())
        if day >= WARM_UP:
            self.pages[:, day - WARM_UP] = record.meters[:, 0]
            self.levels[seen, day - WARM_UP] = percent[seen] / 100.0
        return np.where(seen, level, np.nan)

    def _judge(self, day, looks, levels):
        numbers = supply_numbers(self.state, day_number(START) + day, frozenset(), None)
        due = replenish(numbers.days, self.policy.replenishment)
        self._due = np.where(due, self._due + 1, 0)
        for row in np.flatnonzero((self._due >= looks) | (levels <= 0.0)).tolist():
            if row not in self._open:
                self._open[row] = (day, bool(levels[row] <= 0.0))

    def _visit(self, day):
        """Bring what was asked for yesterday or before; weekends nobody drives."""
        if (START + timedelta(days=day)).weekday() >= 5 or day == 0:
            return
        self.fleet.record(day)
        at = self.fleet.origin + timedelta(days=day, hours=1)
        by_device = {}
        for row, (raised, _) in self._open.items():
            if raised < day:
                by_device.setdefault(int(self.device[row]), []).append(row)
        for number, rows in by_device.items():
            help_now(self.fleet, number, at, slots=[int(self.slot[row]) for row in rows])
            self.visits += day >= WARM_UP
            for row in rows:
                raised, told = self._open.pop(row)
                self._due[row] = 0
                self._ticket(number, row, 1, SUPPLY, raised, day - raised, told)

    def _machines(self, day, record):
        for number in [number for number, asked in self._proposed.items() if asked + REPLACED_AFTER == day]:
            self._replace(number, day, record)
        run = record.meters_at_start[:, 0] + record.meters[:, 0] - self._begun_at
        for number in np.flatnonzero(replacement_due(run / self.life, self.policy.life)).tolist():
            if number not in self._proposed:
                self._proposed[number] = day
                self._ticket(number, -1, 0, REPLACEMENT, day, float(REPLACED_AFTER), told=False)
        for number, when, _ in self.fleet.failures:
            if when == day:
                self._ticket(number, -1, 2, OTHER, day, 1.0 + (number % 3) * 0.5, told=True)
                self.visits += day >= WARM_UP

    def _replace(self, number, day, record):
        """Bring another machine: every part is new, and its pages count from here."""
        del self._proposed[number]
        at = self.fleet.origin + timedelta(days=day, hours=23)
        help_now(self.fleet, number, at, components=COMPONENTS, repair=True)
        self._begun_at[number] = record.meters_at_start[number, 0] + record.meters[number, 0]
        self.visits += day >= WARM_UP

    def _ticket(self, number, row, level, family, day, days, told):
        if WARM_UP <= day < WARM_UP + self.days:
            self.tickets.append(
                YearTicket(
                    row=number, slot=row, level=level, family=family, day=day - WARM_UP, hour=0, days=float(days),
                    by_device=told, late=days > self._promised_days[level] and family != REPLACEMENT,
                )
            )  # fmt: skip

    def year(self):
        return Year(
            first_day=day_number(START) + WARM_UP,
            device_ids=tuple(self.state.device_ids),
            pages=self.pages,
            counts=self.counts,
            design_life=self.life,
            site=self.fleet.habits.site.astype(np.int64),
            slot_device=self.device.astype(np.int64),
            slot_group=self.group.astype(np.int64),
            slot_yield=self.nominal,
            levels=self.levels,
            prices=np.full(len(self.slot), PRICE),
            tickets=tuple(self.tickets),
            visits=int(self.visits),
        )
