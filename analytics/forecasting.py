"""The nightly run and the training job: the entry points of analytics.

`Forecaster.run` takes the new days from the store, forecasts every supply, device and part, and saves the result
through the forecast repository; what it remembers of the fleet outlives a restart (`state_file`). Then `quality_night`
judges earlier forecasts and looks for what is odd in the data.
`Forecaster.train` learns from the whole history; a model takes over only if a rolling back-test finds it better than
knowing nothing and than the champion on days that neither had seen (`promotion`).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.corrections import correct, is_cheaper_whole
from analytics.device_forecasts import PartRecords, failure_forecasts, life_forecasts, use_numbers
from analytics.features import FleetState, day_number
from analytics.hazard import NightHazard, chances_tonight
from analytics.learning import Lessons, TrainingReport, train_all
from analytics.model_registry import ModelRegistry
from analytics.part_fits import ConfirmedFailure, FitLedger, open_failures
from analytics.part_lives import PartKind, PartLaw, lives_to_show, part_laws
from analytics.priors import SupplyPriorBook
from analytics.quality_night import QualityNight
from analytics.state_file import StateFile
from analytics.supplies import FEATURES, SupplyModel
from analytics.supply_forecasts import Stamp, supply_forecasts, supply_numbers
from analytics.training import supply_model_of
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidValue
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import FailureForecast, Forecast, LifeForecast, SupplyForecast
from crm_core.domain.identity import TenantId
from crm_core.domain.part_lives import PartLife
from crm_core.domain.policy import PolicyBook
from crm_core.domain.quality import OutlookKind
from crm_core.notices.events import tell_of_forecasts
from crm_core.ports import Clock, TelemetryStore, UnitOfWorkFactory

_DEVICES_A_TRANSACTION: Final = 1000  # some tenths of a second of the database's write lock
#: Who waits for SQLite asks ten times a second: between two transactions everybody gets in.
_TURN_SECONDS: Final = 0.11


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastReport:
    """What one run made: counts, days taken from the store, models in charge, seconds used."""

    tenant: str
    as_of: date
    devices: int
    supplies: int
    supplies_missing: int
    replenish: int
    life: int
    failures: int
    visits_advised: int
    new_days: int
    walked_because: str | None  # why the whole history was read again, if it was
    models: dict[str, str]
    refused: dict[str, str]  # promoted models that could not serve, and why: formula or rule did instead
    seconds: float

    @property
    def forecasts(self) -> int:
        """All forecasts saved."""
        return self.supplies + self.life + self.failures

    def as_json(self) -> dict[str, object]:
        """Return the report for logs and the command line."""
        return {
            "tenant": self.tenant, "as_of": self.as_of.isoformat(), "devices": self.devices, "forecasts": self.forecasts,
            "supplies": self.supplies, "supplies_missing": self.supplies_missing, "replenish": self.replenish,
            "life": self.life, "failures": self.failures, "visits_advised": self.visits_advised,
            "new_days": self.new_days, "walked_because": self.walked_because, "models": self.models, "refused": self.refused,
            "seconds": round(self.seconds, 3),
        }  # fmt: skip


class Forecaster:
    """Forecasts of all tenants from one telemetry store. Not safe for use by two threads at once."""

    def __init__(
        self, store: TelemetryStore, uow_factory: UnitOfWorkFactory, catalogue: Catalogue, policy: PolicyBook, clock: Clock,
        registry_dir: Path, *, holidays: frozenset[date] = frozenset(), seed: int = 0, reading: UnitOfWorkFactory | None = None,
    ) -> None:  # fmt: skip
        """Put the parts together; `reading` gives read-only units of work: long looks then keep no writer waiting."""
        self._store = store
        self._uow_factory = uow_factory
        self._reading = reading or uow_factory
        self._priors = SupplyPriorBook(catalogue)
        self._policy = policy
        self._clock = clock
        self._registry_dir = registry_dir
        self._holidays = frozenset(day_number(day) for day in holidays)
        self._seed = seed
        self._states: dict[TenantId, FleetState] = {}
        self._marks: dict[TenantId, int] = {}  # of the store's list of days that changed late
        self._ledgers: dict[TenantId, FitLedger] = {}
        self._supply_models: dict[str, SupplyModel] = {}
        self._hazards: dict[str, NightHazard] = {}

    def run(self, tenant: TenantId, as_of: date) -> ForecastReport:
        """Forecast everything from the days up to and including `as_of`, and save it; return what was made.

        Only days that were not taken before are read; a run for an earlier day reads the history again.
        """
        started = time.monotonic()
        day = day_number(as_of)
        with self._reading() as uow:
            devices = {str(device.device_id): device for device in uow.devices.all(tenant)}
            ledger = self._ledgers.setdefault(tenant, FitLedger())
            ledger.take(uow, tenant)
            failures = [*ledger.confirmed, *open_failures(uow, tenant)]
        state, new_days, walked_because = self._state(tenant, devices, day)
        made, champions = self._forecast(state, devices, ledger, failures, as_of)
        self._save(tenant, made)
        self._state_file(tenant).save(state, self._marks[tenant])
        night = self._night(tenant)
        night.judge(state, devices, made.supplies, made.failures, failures, as_of, champions.supply_features)
        night.look_ahead(state, devices, made.supplies, made.life, as_of)
        night.show_part_lives(made.part_lives, as_of)
        night.show_models(as_of)
        return ForecastReport(
            tenant=tenant, as_of=as_of, devices=len(state.device_ids), supplies=len(made.supplies),
            supplies_missing=sum(1 for item in made.supplies if item.missing_reason),
            replenish=sum(1 for item in made.supplies if item.replenish), life=len(made.life), failures=len(made.failures),
            visits_advised=sum(1 for item in made.failures if item.visit_advised), new_days=new_days, walked_because=walked_because,
            models={"supplies": champions.supply_id or "formula", "failures": champions.failure_id or "rule"},
            refused=self._refused(tenant),
            seconds=time.monotonic() - started,
        )  # fmt: skip

    def finished(self, tenant: TenantId) -> date | None:
        """Return the day of the last night that came to its end, None before the first."""
        with self._reading() as uow:
            outlook = uow.quality.outlook(tenant, OutlookKind.DEMAND)  # the last thing that a night writes
        return None if outlook is None else outlook.as_of

    def _forecast(
        self, state: FleetState, devices: dict[str, Device], ledger: FitLedger, failures: Sequence[ConfirmedFailure],
        as_of: date,
    ) -> tuple["_Made", "_InCharge"]:  # fmt: skip
        """Return the forecasts of all devices, and which models made them."""
        day, now, tenant = day_number(as_of), self._clock.now(), state.tenant
        supply_id, supply_model = self._supply_champion(tenant)
        failure_id, hazard = self._failure_champion(tenant)
        use = use_numbers(state, day)
        numbers = supply_numbers(state, day, self._holidays, supply_model)
        supplies = supply_forecasts(
            state, devices, numbers, Stamp(now, as_of, day, supply_id), self._policy.replenishment
        )
        laws, design = self._laws(state, devices, ledger, failures, use.count)
        records = PartRecords(ledger.fits, laws)
        life = life_forecasts(state, devices, use, Stamp(now, as_of, day, None), self._policy.life, records)
        chances = chances_tonight(hazard, state, devices, day, ledger.fitted) if hazard else None
        risks = failure_forecasts(
            state, devices, use, Stamp(now, as_of, day, failure_id), self._policy.failures, chances
        )
        shown = lives_to_show(laws, design)
        return _Made(supplies, life, risks, shown), _InCharge(supply_id, failure_id, numbers.features)

    def _laws(
        self, state: FleetState, devices: dict[str, Device], ledger: FitLedger, failures: Sequence[ConfirmedFailure],
        counts: npt.NDArray[np.float64],
    ) -> tuple[dict[PartKind, PartLaw], dict[PartKind, int]]:  # fmt: skip
        """Return how long parts last in this company and by the data sheet (pages), by model and component."""
        models: dict[str, str] = {}
        design: dict[PartKind, int] = {}
        for device_id, device in devices.items():
            model = self._priors.model_of(device)
            if model is not None:
                models[device_id] = str(model.model_id)
                design |= {
                    (str(model.model_id), part.component): part.design_life_pages for part in model.parts
                }
        known = {
            name: float(counts[row]) for row, name in enumerate(state.device_ids) if not np.isnan(counts[row])
        }
        return part_laws(ledger.fitted, failures, known, models, design), design

    def train(self, tenant: TenantId, as_of: date) -> TrainingReport:
        """Learn from the whole history up to `as_of` (`learning.train_all`)."""
        with self._reading() as uow:
            devices = {str(device.device_id): device for device in uow.devices.all(tenant)}
            ledger = FitLedger()
            ledger.take(uow, tenant)
            failures = [*ledger.confirmed, *open_failures(uow, tenant)]
        state = FleetState(tenant, self._priors, holidays=self._holidays)
        registry = self._registry(tenant)
        report = train_all(
            self._store, state, Lessons(devices, failures, ledger.fitted), as_of, registry, self._seed
        )
        self._night(tenant).show_models(as_of)
        return report

    def _night(self, tenant: TenantId) -> QualityNight:
        return QualityNight(
            tenant,
            self._store,
            self._uow_factory,
            self._policy,
            self._clock,
            self._registry(tenant),
            self._reading,
        )

    def _refused(self, tenant: TenantId) -> dict[str, str]:
        registry = self._registry(tenant)
        return {name: why for name in ("supplies", "failures") if (why := registry.refusal(name))}

    def _registry(self, tenant: TenantId) -> ModelRegistry:
        return ModelRegistry(self._registry_dir / tenant, {"supplies": FEATURES})

    def _save(self, tenant: TenantId, made: "_Made") -> None:
        """Save the forecasts, some devices at a time: other writers get their turn, and a night cut short goes on from here."""
        for number, part in enumerate(_in_parts(made.by_device(), _DEVICES_A_TRANSACTION)):
            if number:
                time.sleep(_TURN_SECONDS)
            with self._uow_factory() as uow:
                tell_of_forecasts(uow, tenant, part, self._clock.now())
                uow.forecasts.save_all(part)
                uow.commit()

    def _state_file(self, tenant: TenantId) -> StateFile:
        return StateFile(self._registry_dir / tenant, self._priors, self._holidays)

    def _state(
        self, tenant: TenantId, devices: dict[str, Device], day: int
    ) -> tuple[FleetState, int, str | None]:
        """Return the state at the end of `day`, how many days were taken, and why it was walked anew if it was.

        Late readings are taken in first, and devices that belong elsewhere now.
        """
        state, because = self._known_state(tenant)
        late = self._store.changed_days(tenant, self._marks.get(tenant, 0))
        self._marks[tenant] = late.mark
        if state is not None and state.last_day is not None:
            last = state.last_day
            changed = frozenset(str(device_id) for device_id, changed_day in late.days if changed_day <= last)
            changed |= state.moved(devices)
            if last > day:
                state, because = None, "a day before the last one was asked for"
            elif changed and is_cheaper_whole(len(changed), len(state.device_ids)):
                state, because = None, f"late readings or moves of {len(changed)} devices"
            elif changed:
                correct(state, self._store, devices, changed)
        if state is None:
            state = FleetState(tenant, self._priors, holidays=self._holidays)
        self._states[tenant] = state
        return state, state.advance(self._store, devices, day), because

    def _known_state(self, tenant: TenantId) -> tuple[FleetState | None, str | None]:
        """Return the state of the last run, from the file after a restart, or why there is none."""
        if tenant in self._states:
            return self._states[tenant], None
        try:
            kept = self._state_file(tenant).load(tenant, self._store)
        except InvalidValue as error:
            return None, f"the kept state was refused: {error}"
        if kept is None:
            return None, "no state was kept"
        state, self._marks[tenant] = kept
        return state, None

    def _supply_champion(self, tenant: TenantId) -> tuple[str | None, SupplyModel | None]:
        registry = self._registry(tenant)
        model_id = registry.champion_id("supplies")
        if model_id is None:
            return None, None
        key = f"{tenant}:{model_id}"
        if key not in self._supply_models:
            self._supply_models = {key: supply_model_of(registry.load(model_id).content)}
        return model_id, self._supply_models[key]

    def _failure_champion(self, tenant: TenantId) -> tuple[str | None, NightHazard | None]:
        registry = self._registry(tenant)
        model_id = registry.champion_id("failures")
        if model_id is None:
            return None, None
        key = f"{tenant}:{model_id}"
        if key not in self._hazards:
            self._hazards = {key: NightHazard.of(registry.load(model_id).content)}
        return model_id, self._hazards[key]


@dataclass(frozen=True, slots=True)
class _Made:
    """The forecasts of one run."""

    supplies: list[SupplyForecast]
    life: list[LifeForecast]
    failures: list[FailureForecast]
    part_lives: list[PartLife]

    def by_device(self) -> dict[str, list[Forecast]]:
        """Return all forecasts of each device: those of one device are saved together."""
        everything: list[Forecast] = [*self.supplies, *self.life, *self.failures]
        found: dict[str, list[Forecast]] = {}
        for each in everything:
            found.setdefault(each.device_id, []).append(each)
        return found


def _in_parts(by_device: Mapping[str, list[Forecast]], devices: int) -> Iterator[list[Forecast]]:
    """Yield the forecasts of so many devices at a time."""
    lists = list(by_device.values())
    for first in range(0, len(lists), devices):
        yield [forecast for part in lists[first : first + devices] for forecast in part]


@dataclass(frozen=True, slots=True)
class _InCharge:
    """Which models made the forecasts of a run, and the features that the supply model saw (None: formula only)."""

    supply_id: str | None
    failure_id: str | None
    supply_features: npt.NDArray[np.float32] | None


def yesterday(clock: Clock) -> date:
    """Return the last whole UTC day: what a nightly run forecasts from."""
    return clock.now().date() - timedelta(days=1)
