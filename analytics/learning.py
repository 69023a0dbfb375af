"""The training job: walk through the whole history once, fit every estimator, promote what has proved better.

Kept apart from the nightly run (`forecasting`): training may take an hour and may fail without a forecast being missed.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from analytics.evaluation import Score
from analytics.features import FleetState, day_number, day_start
from analytics.hazard import NightHazard, train_hazard
from analytics.history_walk import HistoryWalk, walk_history
from analytics.model_registry import ModelRegistry
from analytics.part_fits import ConfirmedFailure, PartFit
from analytics.training import Champion, Trained, supply_model_of, train_pages, train_supplies
from crm_core.domain.fleet import Device
from crm_core.ports import TelemetryStore

_MOST_DEVICES: Final = 4000
_FEW_SHARE: Final = 0.2  # of the fleet: so few are read one by one


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


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a training run learns from besides telemetry: devices, confirmed failures, and parts that were renewed."""

    devices: dict[str, Device]
    failures: Sequence[ConfirmedFailure]
    fits: Sequence[PartFit]


def train_all(
    store: TelemetryStore,
    state: FleetState,
    lessons: Lessons,
    as_of: date,
    registry: ModelRegistry,
    seed: int,
) -> TrainingReport:
    """Learn from the whole history up to `as_of`; a model takes over only as `promotion` allows."""
    started = time.monotonic()
    day = day_number(as_of)
    taught = teachers(lessons.devices, seed)
    few = are_few(taught, lessons.devices)
    walk = walk_history(store, state, taught, day, state.holidays, one_by_one=few)
    with threadpool_limits(
        limits=1
    ):  # sums of several threads depend on their number: the same data, the same bits
        trained = _fit_all(walk, lessons, registry, day, seed)
    span = {"first_day": walk.first_day, "last_day": day, "seed": seed}
    promoted = [model_id for item in trained if (model_id := _keep(registry, item, span))]
    return TrainingReport(
        tenant=state.tenant, as_of=as_of, scores=tuple(item.score for item in trained if item.score),
        promoted=tuple(promoted), notes={item.name: item.note for item in trained}, seconds=time.monotonic() - started,
    )  # fmt: skip


def teachers(devices: dict[str, Device], seed: int) -> dict[str, Device]:
    """Return the devices that are learned from: all, or of a large fleet a part chosen by name and seed alone.

    More of them teach hardly anything new, but every one costs a row of numbers a day while the history is walked.
    """
    if len(devices) <= _MOST_DEVICES:
        return devices
    chosen = sorted(devices, key=lambda name: hashlib.sha256(f"{seed}:{name}".encode()).digest())
    return {name: devices[name] for name in sorted(chosen[:_MOST_DEVICES])}


def are_few(chosen: Mapping[str, Device], devices: Mapping[str, Device]) -> bool:
    """Tell whether so small a part of the fleet was chosen that it is read device by device."""
    return len(chosen) < _FEW_SHARE * len(devices)


def _fit_all(
    walk: HistoryWalk, lessons: Lessons, registry: ModelRegistry, day: int, seed: int
) -> tuple[Trained, ...]:
    """Fit every estimator on one walk."""
    state = walk.state
    return (
        train_supplies(
            walk.supplies, state.supply.usage_row, day, seed, _supply_champion(registry), _kinds(state, lessons.devices)
        ),
        train_pages(walk.pages, walk.first_day),
        _train_failures(walk, lessons, registry, seed),
    )  # fmt: skip


def _kinds(state: FleetState, devices: Mapping[str, Device]) -> npt.NDArray[np.object_]:
    """Return the model of each device row, for the card."""
    names = [devices[name].model_id or devices[name].model_name or "?" for name in state.device_ids]
    return np.array(names, dtype=object)


def last_day_of(card: Mapping[str, object]) -> int:
    """Return the last day (since 1970) that a model learned from, by its card."""
    last = card.get("last_day")
    return last if isinstance(last, int) else 0


def _supply_champion(registry: ModelRegistry) -> Champion | None:
    record = registry.champion("supplies")
    return None if record is None else Champion(supply_model_of(record.content), last_day_of(record.card))


def _train_failures(walk: HistoryWalk, lessons: Lessons, registry: ModelRegistry, seed: int) -> Trained:
    record = registry.champion("failures")
    champion, last = (NightHazard.of(record.content), last_day_of(record.card)) if record else (None, None)
    return train_hazard(walk, lessons.devices, lessons.failures, lessons.fits, seed, champion, last)


def _keep(registry: ModelRegistry, item: Trained, span: Mapping[str, int]) -> str | None:
    """Store a fitted estimator with its card; return its id if it took over."""
    if item.content is None or item.score is None:
        return None
    dates = {
        "from": day_start(span["first_day"]).date().isoformat(), "until": day_start(span["last_day"]).date().isoformat()
    }  # fmt: skip
    card = {
        "name": item.name, **span, "data": dates, "note": item.note, "score": item.score.as_json(), **item.details
    }  # fmt: skip
    model_id = registry.add(item.name, item.content, card)
    takes_over = item.score.beats_base if item.promote is None else item.promote
    if takes_over:
        registry.promote(model_id)
    return model_id if takes_over else None
