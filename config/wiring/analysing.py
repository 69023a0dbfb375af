"""Analytics, triage and dispatch of a process: what turns telemetry into tickets and work orders."""

import socket
import uuid
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from analytics.forecasting import Forecaster
from config.supervision import LeaderLease
from config.wiring.core import Core
from config.wiring.planning import route_planner
from config.wiring.telemetry import Telemetry
from config.wiring.telling import Telling, build_telling
from crm_core.day_planning import DayPlanner
from crm_core.dispatching import Dispatcher
from crm_core.fieldwork.services import FieldworkServices, build_fieldwork
from crm_core.ports import TelemetryStore, Timer
from crm_core.servicedesk import ServiceDesk
from crm_core.stock.services import StockServices, build_stock
from crm_core.storage.attachment_files import FileAttachmentStore
from crm_core.storage.sqlalchemy_uow import make_uow_factory
from crm_core.triage import Triage

LEASE_SECONDS: Final = 10
PLANNING_SECONDS: Final = 300.0
CARE_SECONDS: Final = 3600.0
SWAPS_SECONDS: Final = 300.0
LOANS_SECONDS: Final = 60.0
MISSED_NIGHT_SECONDS: Final = 3600.0
_log = structlog.get_logger("drumbeat.forecasts")
_NOBODY_ELSE: Final = nullcontext()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The service side of a process."""

    triage: Triage
    dispatcher: Dispatcher
    planner: DayPlanner
    servicedesk: ServiceDesk
    forecaster: Forecaster
    telling: Telling
    fieldwork: FieldworkServices
    stock: StockServices


def build_desk(core: Core, store: TelemetryStore, timer: Timer | None = None) -> Desk:
    """Return triage, dispatch, service desk, forecasts and telling over one store and CRM database."""
    fieldwork = build_fieldwork(
        core.uow_factory,
        core.clock,
        core.policy,
        store,
        FileAttachmentStore(core.settings.attachments_folder),
    )
    return Desk(
        fieldwork=fieldwork,
        triage=Triage(core.uow_factory, core.clock, core.policy, core.fault_codes, core.catalogue),
        dispatcher=Dispatcher(core.uow_factory, core.clock, core.policy, core.catalogue, core.fault_codes),
        planner=DayPlanner(
            core.uow_factory,
            core.clock,
            core.policy,
            route_planner(core.settings.planning.solver, core.settings.planning.seconds),
        ),
        servicedesk=ServiceDesk(core.uow_factory, core.clock, core.policy, store, fieldwork.closing),
        forecaster=Forecaster(
            store,
            core.uow_factory,
            core.catalogue,
            core.policy,
            core.clock,
            core.settings.models_folder,
            holidays=core.policy.sla.calendar.holidays,
            reading=make_uow_factory(core.settings.crm_url, read_only=True),
        ),
        stock=build_stock(core.uow_factory, core.clock, store, core.policy, core.catalogue, core.fault_codes),
        telling=build_telling(
            core.settings, core.uow_factory, core.clock, core.policy, core.messages, core.hook_secrets, timer
        ),
    )


def leader_lease(core: Core) -> LeaderLease:
    """Return the lease under which one process at a time triages and dispatches."""
    holder = f"{socket.gethostname()}:{uuid.uuid4().hex[:8]}"
    return LeaderLease(
        core.uow_factory, core.clock, name="triage", holder=holder, duration=timedelta(seconds=LEASE_SECONDS)
    )


def triage_round(core: Core, desk: Desk) -> None:
    """Take in all waiting signals and plan what came out of them."""
    desk.triage.run_all(tenants=(core.tenant,))
    desk.dispatcher.dispatch(core.tenant)
    desk.telling.escalation.run(core.tenant)  # one look at what falls due next: others may have changed it


def escalation_round(core: Core, desk: Desk) -> None:
    """Tell people of promises at risk; the timer calls it at the moment that the last run found."""
    desk.telling.escalation.run(core.tenant)


def swap_round(core: Core, desk: Desk, every: timedelta = timedelta(seconds=SWAPS_SECONDS)) -> None:
    """Look for changed cartridges; `every` is how far apart the rounds are."""
    desk.stock.watch.run(core.tenant, every)


def loan_round(core: Core, desk: Desk) -> None:
    """Promise stand-by machines to who lost theirs, and keep the down time of repairs that were confirmed."""
    desk.stock.loans.allot(core.tenant)
    desk.stock.down_times.record(core.tenant)


def care_round(core: Core, desk: Desk) -> None:
    """Make the work orders of regular care that is due, and give them to technicians."""
    desk.fieldwork.plans.run(core.tenant)
    desk.dispatcher.dispatch(core.tenant)


def planning_round(core: Core, desk: Desk) -> None:
    """Give the visits of this working day their order and start; what is promised stays."""
    desk.planner.plan(core.tenant)


def silence_round(
    core: Core, telemetry: Telemetry, desk: Desk, expected_every: timedelta | None = None
) -> None:
    """Look for devices that fell silent, alone or together. `expected_every` is the poll interval unless told."""
    interval = expected_every or timedelta(seconds=core.settings.snmp.poll_interval_seconds)
    desk.triage.consider_silence(core.tenant, telemetry.store.states(core.tenant), interval)
    desk.servicedesk.close_settled(core.tenant)


def forecast_round(core: Core, desk: Desk, at_the_desk: AbstractContextManager[object] = _NOBODY_ELSE) -> int:
    """Forecast as of yesterday's end (UTC), let triage see it, plan the result; return how many forecasts.

    Forecasting takes long in a large fleet; only triage and planning need to be alone (`at_the_desk`).
    """
    report = desk.forecaster.run(core.tenant, core.clock.now().date() - timedelta(days=1))
    for name, why in report.refused.items():
        _log.warning(
            "a promoted model cannot serve, the formula or rule did; train anew", model=name, reason=why
        )
    with at_the_desk:
        desk.triage.consider_forecasts(core.tenant)
        desk.dispatcher.dispatch(core.tenant)
    return report.forecasts


def missed_night_round(core: Core, desk: Desk, at_the_desk: AbstractContextManager[object]) -> int:
    """Forecast if the last planned night was missed or cut short: this machine was off, or the process died."""
    schedule = core.settings.schedule
    due = night_due(core.clock.now(), schedule.forecast_at, ZoneInfo(schedule.time_zone))
    finished = desk.forecaster.finished(core.tenant)
    return 0 if finished is not None and finished >= due else forecast_round(core, desk, at_the_desk)


def night_due(now: datetime, planned_at: str, zone: ZoneInfo) -> date:
    """Return the UTC day up to which forecasts should have been made by `now`, if they are made daily at `HH:MM`."""
    hour, minute = (int(part) for part in planned_at.split(":"))
    here = now.astimezone(zone)
    planned = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if planned > here:
        planned -= timedelta(days=1)
    return planned.astimezone(UTC).date() - timedelta(days=1)
