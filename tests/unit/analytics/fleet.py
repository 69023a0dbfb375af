"""A small seeded fleet for tests of analytics, written down through the real stores."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

from analytics.forecasting import Forecaster
from collector.stores.memory import MemoryTelemetryStore
from config.catalogue_files import load_catalogue
from config.policy_files import load_policies, policy_on
from crm_core.domain.fleet import Device
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId
from crm_core.domain.telemetry import (
    Counters,
    Derived,
    DerivedSupply,
    DeviceIdentity,
    DeviceReading,
    MarkerSupply,
    level_state,
    percent_of,
)
from crm_core.ports import Landing, UnitOfWorkFactory
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate

FIRST_DAY = datetime(2025, 1, 6, tzinfo=UTC)  # a Monday


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        return FIRST_DAY + timedelta(days=400)


def day(number: int) -> date:
    """Return the date of a day of the test's history."""
    return (FIRST_DAY + timedelta(days=number)).date()


def reading(
    device: str,
    number: int,
    *,
    level: int | None,
    count: int | None,
    kind: str = "toner",
    capacity: int = 100,
) -> DeviceReading:
    """Return one reading at 18:00 of a day with one black supply."""
    supply = MarkerSupply(
        index="1.1",
        name="Black",
        type=kind,
        unit=None,
        capacity=capacity,
        level=level,
        level_state=level_state(level),
        percent=percent_of(level, capacity, None),
    )
    counters = Counters(prt_marker_life_count={} if count is None else {"1.1": count})
    return DeviceReading(
        device_id=device,
        site_id="s1",
        polled_at=FIRST_DAY + timedelta(days=number, hours=18),
        supplies=(supply,),
        identity=DeviceIdentity(model="X"),
        counters=counters,
        derived=Derived(supplies=(DerivedSupply(index="1.1", kind=kind, colour="black"),)),
    )


def land(store: MemoryTelemetryStore, *readings: DeviceReading) -> None:
    """Store readings as ingest does."""
    store.append([Landing(reading=item) for item in readings])


def history(
    device: str, days: int, seed: int, pages_a_day: float = 80.0, yield_pages: float = 1500.0
) -> list[DeviceReading]:
    """Return a device's year: weekdays only, coverage of its own, cartridges replaced the morning after they are empty."""
    rng = np.random.default_rng(seed)
    level, count, made = 1.0, 10_000, []
    for number in range(days):
        weekday = (FIRST_DAY + timedelta(days=number)).weekday()
        pages = int(rng.poisson(pages_a_day * rng.gamma(4.0, 0.25))) if weekday < 5 else 0
        if level <= 0.0:
            level = 1.0
        level = max(0.0, level - pages / yield_pages)
        count += pages
        made.append(reading(device, number, level=int(np.ceil(level * 100)), count=count))
    return made


def devices(
    *names: str, model_id: str | None = None, vendor: str | None = None, model_name: str | None = None
) -> list[Device]:
    """Return devices of the default tenant."""
    return [
        Device(
            tenant=DEFAULT_TENANT,
            device_id=DeviceId(name),
            model_id=model_id,
            vendor=vendor,
            model_name=model_name,
        )
        for name in names
    ]


def crm(folder: Path, fleet: list[Device]) -> UnitOfWorkFactory:
    """Return the CRM on SQLite in a folder, holding the fleet."""
    url = f"sqlite:///{folder / 'crm.db'}"
    migrate(url)
    factory = make_uow_factory(url)
    with factory() as uow:
        for device in fleet:
            uow.devices.save(device)
        uow.commit()
    return factory


def forecaster(
    folder: Path, store: MemoryTelemetryStore, fleet: list[Device]
) -> tuple[Forecaster, UnitOfWorkFactory]:
    """Return a forecaster over real parts."""
    factory = crm(folder, fleet)
    policy = policy_on(load_policies(), FIRST_DAY.date())
    book = policy.book if hasattr(policy, "book") else policy
    return Forecaster(store, factory, load_catalogue(), book, FixedClock(), folder / "models"), factory
