"""The demonstration's history from nothing or from where it stopped, and the figures of what came out of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from config.clock import VirtualClock
from config.demo.care import CareDays
from config.demo.firm import DemoNote, Firm, build_firm, new_note, read_note, save_firm
from config.demo.history import History, Progress
from config.demo.looks import BOOT_ID, make_looks
from config.demo.money import MoneyDays, sign_contracts
from config.demo.service_days import ServiceDays
from config.demo.staff import Staff
from config.demo.store_room import STAND_BY
from config.settings import Settings
from config.wiring.analysing import build_desk
from config.wiring.billing import money_of
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.errors import Conflict, InvalidConfiguration
from crm_core.domain.service import TicketLevel

MAX_AGE: Final = timedelta(days=390)  # senders may not speak of older days (collector.ingest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a demonstration is asked to be."""

    seed: int
    devices: int
    days: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCounts:
    """What the history made, as `demo --once --json` prints it."""

    devices: int
    readings: int
    forecasts: int
    tickets: dict[str, int]
    work_orders: int
    seed: int


def make_history(settings: Settings, wanted: Wanted, progress: Progress) -> DemoCounts:
    """Found the firm in the data folder, or find it again, and live through its time up to `wanted.until`.

    A killed history goes on where it stopped; after a power cut it may have to be made again, so nobody waits for the disk.
    Raises `Conflict` when the folder holds another demonstration or the data of a real firm.
    """
    clock = VirtualClock(_EPOCH)
    core = open_core(settings.changed(general={"wait_for_disk": False}), clock)
    note = _note(core, wanted)
    clock.move_to(note.start)
    firm = build_firm(core, note)
    telemetry = open_telemetry(core)
    try:
        if not _is_founded(core):
            note.write(settings.general.folder)
            save_firm(core, firm)
            sign_contracts(core, money_of(core, telemetry.store), firm)
            CareDays(core, telemetry.store, wanted.until).found()
        _live_through(core, telemetry, clock, firm, max(wanted.until, note.start), progress)
        return count_all(core, telemetry, note)
    finally:
        telemetry.close()


def count_all(core: Core, telemetry: Telemetry, note: DemoNote) -> DemoCounts:
    """Count what is in the stores: readings, newest forecasts, tickets of all states by level, all work orders."""
    with core.uow_factory() as uow:
        levels = uow.tickets.counts_by_level(core.tenant, open_only=False)
        forecasts = uow.forecasts.count(core.tenant)
        orders = uow.work_orders.count(core.tenant)
        devices = sum(each.device_id != STAND_BY for each in uow.devices.all(core.tenant))
    return DemoCounts(
        devices=devices,
        readings=telemetry.store.stats(core.tenant).readings,
        forecasts=forecasts,
        tickets={level.value: levels.get(level, 0) for level in TicketLevel},
        work_orders=orders,
        seed=note.seed,
    )


def _note(core: Core, wanted: Wanted) -> DemoNote:
    """Return the note of the folder, or a new one for an empty folder."""
    folder = core.settings.general.folder
    note = read_note(folder)
    if note is None:
        if _is_founded(core):
            raise Conflict(f"{folder} holds the data of a real firm; choose another folder with --data")
        return new_note(core, seed=wanted.seed, devices=wanted.devices, days=wanted.days, until=wanted.until)
    if (note.seed, note.devices) != (wanted.seed, wanted.devices):
        raise Conflict(
            f"{folder} holds a demonstration with seed {note.seed} and {note.devices} devices; "
            "choose another folder with --data, or delete this one"
        )
    if wanted.until - note.start > MAX_AGE:
        raise InvalidConfiguration(
            f"the demonstration in {folder} began on {note.start.date()}, too long ago to go on; delete the folder"
        )
    return note


def _is_founded(core: Core) -> bool:
    with core.uow_factory() as uow:
        return bool(uow.customers.all(core.tenant))


def _live_through(
    core: Core, telemetry: Telemetry, clock: VirtualClock, firm: Firm, until: datetime, progress: Progress
) -> None:
    since = telemetry.store.stats(core.tenant).last_at or clock.now()
    device_days = len(firm.world.devices) * (until - since).days
    looks = make_looks(core.settings, firm.staged, _counted(core, telemetry, firm), device_days)
    try:
        desk = build_desk(core, telemetry.store)
        money = MoneyDays(core, money_of(core, telemetry.store))
        care = CareDays(core, telemetry.store, until)
        service = ServiceDays(core, desk, clock)
        history = History(core, telemetry, desk, clock, looks, Staff(core, desk, until), money, care, service)
        history.run(since, until, progress)
    finally:
        looks.close()


def _counted(core: Core, telemetry: Telemetry, firm: Firm) -> dict[str, int]:
    """Return the last sequence number of each pushing printer, so that a history that was stopped counts on."""
    counted = {}
    for device in firm.world.devices[1::2]:
        received = telemetry.store.received(core.tenant, device.device_id).get(BOOT_ID)
        if received is not None and received.ranges:
            counted[str(device.device_id)] = received.ranges[-1][1]
    return counted


_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
