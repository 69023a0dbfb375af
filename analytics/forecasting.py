"""The nightly run and the training job: the entry points of analytics.

`Forecaster.run` takes the new days from the store, forecasts every supply, device and part, and saves the result
through the forecast repository; nothing else leaves this package. `Forecaster.train` learns from the whole history and
promotes a model only if its held-out score beats its base rate and the present champion's card.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from analytics.device_forecasts import failure_forecasts, life_forecasts, use_numbers
from analytics.evaluation import Score
from analytics.failures import HazardModel
from analytics.features import FleetState, day_number
from analytics.history_walk import walk_history
from analytics.model_registry import ModelRegistry
from analytics.part_fits import FitLedger
from analytics.priors import SupplyPriorBook
from analytics.supplies import SupplyModel
from analytics.supply_forecasts import Stamp, supply_forecasts, supply_numbers
from analytics.training import (
    Trained,
    hazard_of,
    supply_model_of,
    train_failures,
    train_pages,
    train_supplies,
)
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Device
from crm_core.domain.forecast import Forecast
from crm_core.domain.identity import TenantId
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import Ticket, TicketLevel
from crm_core.ports import Clock, TelemetryStore, TicketFilter, UnitOfWorkFactory

_TICKET_PAGE: Final = 500


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
    models: dict[str, str]
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
            "new_days": self.new_days, "models": self.models, "seconds": round(self.seconds, 3),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """Held-out scores beside their base rates, and which models were promoted."""

    tenant: str
    as_of: date
    scores: tuple[Score, ...]
    promoted: tuple[str, ...]
    notes: dict[str, str]
    seconds: float

    def as_json(self) -> dict[str, object]:
        """Return the report for logs, cards and the command line."""
        return {
            "tenant": self.tenant, "as_of": self.as_of.isoformat(), "scores": [score.as_json() for score in self.scores],
            "promoted": list(self.promoted), "notes": self.notes, "seconds": round(self.seconds, 2),
        }  # fmt: skip


class Forecaster:
    """Forecasts of all tenants from one telemetry store. Not safe for use by two threads at once."""

    def __init__(
        self, store: TelemetryStore, uow_factory: UnitOfWorkFactory, catalogue: Catalogue, policy: PolicyBook, clock: Clock,
        registry_dir: Path, *, holidays: frozenset[date] = frozenset(), seed: int = 0,
    ) -> None:  # fmt: skip
        self._store = store
        self._uow_factory = uow_factory
        self._priors = SupplyPriorBook(catalogue)
        self._policy = policy
        self._clock = clock
        self._registry_dir = registry_dir
        self._holidays = frozenset(day_number(day) for day in holidays)
        self._seed = seed
        self._states: dict[TenantId, FleetState] = {}
        self._fits: dict[TenantId, FitLedger] = {}
        self._supply_models: dict[str, SupplyModel] = {}
        self._hazards: dict[str, HazardModel] = {}

    def run(self, tenant: TenantId, as_of: date) -> ForecastReport:
        """Forecast everything from the days up to and including `as_of`, and save it; return what was made.

        Only days that were not taken before are read; a run for an earlier day reads the history again.
        """
        started = time.monotonic()
        day = day_number(as_of)
        with self._uow_factory() as uow:
            devices = {str(device.device_id): device for device in uow.devices.all(tenant)}
            fits = self._fits.setdefault(tenant, FitLedger()).take(uow, tenant)
        state, new_days = self._state(tenant, devices, day)
        supply_id, supply_model = self._supply_champion(tenant)
        failure_id, hazard = self._failure_champion(tenant)
        now = self._clock.now()
        use = use_numbers(state, day)
        numbers = supply_numbers(state, day, self._holidays, supply_model, 1.0)
        supplies = supply_forecasts(
            state, devices, numbers, Stamp(now, as_of, day, supply_id), self._policy.replenishment
        )
        life = life_forecasts(state, devices, use, Stamp(now, as_of, day, None), self._policy.life, fits)
        failures = failure_forecasts(
            state, devices, use, Stamp(now, as_of, day, failure_id), self._policy.failures, hazard
        )
        made: list[Forecast] = [*supplies, *life, *failures]
        with self._uow_factory() as uow:
            uow.forecasts.save_all(made)
            uow.commit()
        return ForecastReport(
            tenant=tenant, as_of=as_of, devices=len(state.device_ids), supplies=len(supplies),
            supplies_missing=sum(1 for item in supplies if item.missing_reason),
            replenish=sum(1 for item in supplies if item.replenish), life=len(life), failures=len(failures),
            visits_advised=sum(1 for item in failures if item.visit_advised), new_days=new_days,
            models={"supplies": supply_id or "formula", "failures": failure_id or "rule"},
            seconds=time.monotonic() - started,
        )  # fmt: skip

    def train(self, tenant: TenantId, as_of: date) -> TrainingReport:
        """Learn from the whole history up to `as_of`; promote only what beats its base rate on held-out later days."""
        started = time.monotonic()
        day = day_number(as_of)
        with self._uow_factory() as uow:
            devices = {str(device.device_id): device for device in uow.devices.all(tenant)}
            tickets = _hardware_tickets(uow.tickets.list, tenant)
        walk = walk_history(
            self._store,
            FleetState(tenant, self._priors, holidays=self._holidays),
            devices,
            day,
            self._holidays,
        )
        state = walk.state
        failures = [
            (row, day_number(ticket.raised_at.date()))
            for ticket in tickets
            if (row := state.device_row(str(ticket.device_id))) is not None
        ]
        groups = state.supply.usage_row
        trained = (
            train_supplies(walk.supplies, groups, day, self._seed),
            train_pages(walk.pages, walk.first_day),
            train_failures(walk.failures, failures, day),
        )
        registry = self._registry(tenant)
        promoted = [
            model_id for item in trained if (model_id := self._keep(registry, item, walk.first_day, day))
        ]
        return TrainingReport(
            tenant=tenant, as_of=as_of, scores=tuple(item.score for item in trained if item.score),
            promoted=tuple(promoted), notes={item.name: item.note for item in trained}, seconds=time.monotonic() - started,
        )  # fmt: skip

    def _keep(self, registry: ModelRegistry, item: Trained, first_day: int, last_day: int) -> str | None:
        """Store a fitted estimator with its card; return its id if it was promoted."""
        if item.content is None or item.score is None:
            return None
        card = {
            "name": item.name, "first_day": first_day, "last_day": last_day, "seed": self._seed, "note": item.note,
            "score": item.score.as_json(),
        }  # fmt: skip
        model_id = registry.add(item.name, item.content, card)
        if not item.score.beats_base:
            return None
        registry.promote(model_id)
        return model_id

    def _registry(self, tenant: TenantId) -> ModelRegistry:
        return ModelRegistry(self._registry_dir / tenant)

    def _state(self, tenant: TenantId, devices: dict[str, Device], day: int) -> tuple[FleetState, int]:
        state = self._states.get(tenant)
        if state is None or (state.last_day is not None and state.last_day > day):
            state = self._states[tenant] = FleetState(tenant, self._priors, holidays=self._holidays)
        return state, state.advance(self._store, devices, day)

    def _supply_champion(self, tenant: TenantId) -> tuple[str | None, SupplyModel | None]:
        registry = self._registry(tenant)
        model_id = registry.champion_id("supplies")
        if model_id is None:
            return None, None
        key = f"{tenant}:{model_id}"
        if key not in self._supply_models:
            self._supply_models = {key: supply_model_of(registry.load(model_id).content)}
        return model_id, self._supply_models[key]

    def _failure_champion(self, tenant: TenantId) -> tuple[str | None, HazardModel | None]:
        registry = self._registry(tenant)
        model_id = registry.champion_id("failures")
        if model_id is None:
            return None, None
        key = f"{tenant}:{model_id}"
        if key not in self._hazards:
            self._hazards = {key: hazard_of(registry.load(model_id).content)}
        return model_id, self._hazards[key]


def _hardware_tickets(listing: object, tenant: TenantId) -> Sequence[Ticket]:
    """Return all tickets of level L3, page by page."""
    assert callable(listing)
    found: list[Ticket] = []
    before = None
    while True:
        page = listing(tenant, TicketFilter(level=TicketLevel.L3, before=before, limit=_TICKET_PAGE))
        found.extend(page)
        if len(page) < _TICKET_PAGE:
            return found
        before = page[-1].ticket_id


def yesterday(clock: Clock) -> date:
    """Return the last whole UTC day: what a nightly run forecasts from."""
    return clock.now().date() - timedelta(days=1)
