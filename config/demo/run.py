"""`drumbeat demo --once`: the firm's history from nothing, and the figures of what came out of it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from collector.profiles import load_profiles
from config.clock import VirtualClock
from config.demo.firm import DemoNote, Firm, build_firm, save_firm
from config.demo.history import History
from config.demo.staff import Staff
from config.settings import Settings
from config.wiring.analysing import build_desk
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.service import TicketLevel

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
MakeNote = Callable[[Core], DemoNote]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCounts:
    """What the history made, as `demo --once --json` prints it."""

    devices: int
    readings: int
    forecasts: int
    tickets: dict[str, int]
    work_orders: int
    seed: int


def make_history(settings: Settings, make_note: MakeNote, progress: Callable[[int, int], None]) -> DemoNote:
    """Found the firm in an empty data folder and live through its history; return the note that it left."""
    clock = VirtualClock(_EPOCH)
    core = open_core(settings, clock)
    note = make_note(core)
    core = replace(core, policy=core.knowledge.policy_on(note.start.date()))
    clock.move_to(note.start)
    firm = build_firm(core, note)
    note.write(settings.general.folder)
    save_firm(core, firm)
    telemetry = open_telemetry(core)
    try:
        _live_through(core, telemetry, clock, firm, note, progress)
    finally:
        telemetry.close()
    note = replace(note, complete=True)
    note.write(settings.general.folder)
    return note


def count_all(core: Core, telemetry: Telemetry, note: DemoNote) -> DemoCounts:
    """Count what is in the stores: tickets of all states by level, all work orders, the newest forecasts."""
    with core.uow_factory() as uow:
        levels = uow.tickets.counts_by_level(core.tenant, open_only=False)
        forecasts = uow.forecasts.count(core.tenant)
        orders = uow.work_orders.count(core.tenant)
        devices = len(uow.devices.all(core.tenant))
    return DemoCounts(
        devices=devices,
        readings=telemetry.store.stats(core.tenant).readings,
        forecasts=forecasts,
        tickets={level.value: levels.get(level, 0) for level in TicketLevel},
        work_orders=orders,
        seed=note.seed,
    )


def _live_through(
    core: Core,
    telemetry: Telemetry,
    clock: VirtualClock,
    firm: Firm,
    note: DemoNote,
    progress: Callable[[int, int], None],
) -> None:
    desk = build_desk(core, telemetry.store)
    history = History(
        core=core,
        telemetry=telemetry,
        desk=desk,
        clock=clock,
        devices=firm.devices,
        profiles=load_profiles(),
        staff=Staff(core, desk, {device.device_id: device for device in firm.devices}),
    )
    history.run(note.start, note.until, progress)
