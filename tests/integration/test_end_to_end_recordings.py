"""Real printers through the whole product: 41 recordings over UDP become readings, forecasts, tickets and work orders.

Everything is composed by `config.wiring` as in production; only the clock is virtual. No figure of a recording is repeated
here but the two facts that the story is about: nearly empty inks, and a printer that says "toner low" itself.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from collector.profiles import load_profiles
from collector.snmp.engine_gufo import GufoEngine
from collector.snmp.poller import Poller, PollTarget
from config.clock import VirtualClock
from config.settings import load_settings
from config.wiring.analysing import build_desk, forecast_round, triage_round
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.fleet import Contract, Customer, CustomerTier, Device, Site, SnmpAddress
from crm_core.domain.identity import ContractId, CustomerId, DeviceId, SiteId, TechnicianId
from crm_core.domain.money import Money
from crm_core.domain.service import Technician, Ticket, TicketLevel, TicketState
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import DeviceForecasts, TicketFilter, WorkOrderFilter
from simulators.recordings import RecordingPlayer

pytestmark = [pytest.mark.shared, pytest.mark.timeout(120)]

_NOON = datetime(2026, 1, 5, 4, 0, tzinfo=UTC)  # a Monday, noon in Shanghai
_NEARLY_EMPTY = ("librenms_epson", "printmaster_epson_cw")
_SAYS_LOW_TONER = "librenms_sharp"


@dataclass(frozen=True)
class Outcome:
    """What came out of one poll of all recordings and one night of analytics."""

    core: Core
    telemetry: Telemetry
    names: dict[str, str]  # device id -> name of the recording

    def reading(self, name: str) -> DeviceReading | None:
        return self.telemetry.store.newest(self.core.tenant, DeviceId(device_id_of(name)))

    def forecasts(self, name: str) -> DeviceForecasts:
        with self.core.uow_factory() as uow:
            return uow.forecasts.for_device(self.core.tenant, DeviceId(device_id_of(name)))

    def tickets(self, name: str | None = None) -> list[Ticket]:
        wanted = None if name is None else DeviceId(device_id_of(name))
        with self.core.uow_factory() as uow:
            return list(uow.tickets.list(self.core.tenant, TicketFilter(device_id=wanted, limit=1000)))

    def is_planned(self, ticket: Ticket) -> bool:
        with self.core.uow_factory() as uow:
            orders = uow.work_orders.list(
                self.core.tenant, WorkOrderFilter(site_id=ticket.site_id, limit=1000)
            )
        return any(ticket.ticket_id in order.ticket_ids for order in orders)


def device_id_of(name: str) -> str:
    """Return the id under which a recording is registered."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", name)


def _register(core: Core, player: RecordingPlayer) -> None:
    tenant, today = core.tenant, core.clock.now().date()
    core.registry.save_customer(
        Customer(tenant=tenant, customer_id=CustomerId("museum"), name="Museum of printers", tier=CustomerTier.CORE,
                 contact_name="Wang Fang")
    )  # fmt: skip
    core.registry.save_site(
        Site(
            tenant=tenant,
            site_id=SiteId("hall"),
            customer_id=CustomerId("museum"),
            name="Hall",
            region="north",
        )
    )
    core.registry.save_contract(
        Contract(tenant=tenant, contract_id=ContractId("c1"), customer_id=CustomerId("museum"),
                 starts_on=today - timedelta(days=30), ends_on=date(2030, 1, 1), monthly_rent=Money(Decimal(100)))
    )  # fmt: skip
    core.registry.save_technician(
        Technician(tenant=tenant, technician_id=TechnicianId("li"), name="Li Wei", regions=("north",), skills=("*",),
                   max_jobs_a_day=100)
    )  # fmt: skip
    for name, address in player.addresses.items():
        core.registry.register(
            Device(tenant=tenant, device_id=DeviceId(device_id_of(name)), site_id=SiteId("hall"),
                   contract_id=ContractId("c1"), snmp=SnmpAddress(host=address, port=player.port))
        )  # fmt: skip


async def _poll_all(core: Core, telemetry: Telemetry, player: RecordingPlayer) -> list[str]:
    """Poll every recording once through the hot engine and land it; return what failed."""
    engine, failed = GufoEngine(), []
    poller = Poller(
        engine, profiles=load_profiles(), catalogue=core.catalogue, book=core.fault_codes, clock=core.clock
    )
    targets = [
        PollTarget(
            host=address, port=player.port, tenant=core.tenant, site_id="hall", device_id=device_id_of(name)
        )
        for name, address in player.addresses.items()
    ]

    async def land(_: PollTarget, reading: DeviceReading) -> None:
        telemetry.ingest.land([reading])

    async def note(target: PollTarget, error: Exception) -> None:
        failed.append(f"{target.device_id}: {error}")

    await poller.sweep(targets, land, note)
    await engine.close()
    return failed


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Iterator[Outcome]:
    """Poll all recordings, let triage take the signals, sleep one night, forecast, and let triage see that too."""
    clock = VirtualClock(_NOON)
    settings = load_settings(environment={}).changed(general={"data_dir": tmp_path_factory.mktemp("museum")})
    core = open_core(settings, clock)
    telemetry = open_telemetry(core)
    desk = build_desk(core, telemetry.store)
    with RecordingPlayer(shared / "real_printers" / "dumps", clock) as player:
        _register(core, player)
        assert asyncio.run(_poll_all(core, telemetry, player)) == []
    telemetry.deliver()
    triage_round(core, desk)
    clock.advance(timedelta(days=1))
    forecast_round(core, desk)
    yield Outcome(core, telemetry, {device_id_of(name): name for name in player.addresses})
    telemetry.close()


def _expected(shared: Path) -> dict[str, dict[str, list[object]]]:
    folder = shared / "real_printers" / "expected"
    return {path.stem: json.loads(path.read_text())["facts"] for path in folder.glob("*.json")}


def test_all_41_recordings_give_a_stored_reading(outcome: Outcome) -> None:
    assert len(outcome.names) == 41
    assert [name for name in outcome.names.values() if outcome.reading(name) is None] == []
    assert outcome.telemetry.store.stats(outcome.core.tenant).readings == 41


def test_every_supply_has_a_forecast_or_a_stated_reason(outcome: Outcome, shared: Path) -> None:
    with_supplies = {
        name: facts["supplies"] for name, facts in _expected(shared).items() if facts.get("supplies")
    }
    assert len(with_supplies) >= 15
    for name, supplies in with_supplies.items():
        forecasts = outcome.forecasts(name).supplies
        assert len(forecasts) == len(supplies), name
        for forecast in forecasts:
            assert (forecast.days_to_empty is None) == (forecast.missing_reason is not None), (name, forecast)


@pytest.mark.parametrize("name", _NEARLY_EMPTY)
def test_nearly_empty_inks_lead_to_a_planned_l2_ticket(outcome: Outcome, name: str) -> None:
    tickets = [one for one in outcome.tickets(name) if one.level is TicketLevel.L2]
    assert tickets, f"no L2 ticket for {name}: {outcome.forecasts(name).supplies}"
    free = [
        ticket for ticket in tickets if ticket.state is not TicketState.HELD
    ]  # the daily budget may hold some
    assert free
    assert all(outcome.is_planned(ticket) for ticket in free)


def test_the_inks_are_due_by_days_not_by_a_percent(outcome: Outcome) -> None:
    """The forecast decided: whatever has a ticket has fewer days left than whatever has none."""
    for name in _NEARLY_EMPTY:
        causes = {ticket.cause for ticket in outcome.tickets(name)}
        days = {
            f"supply.{one.supply_index}": one.days_to_empty.p50
            for one in outcome.forecasts(name).supplies
            if one.days_to_empty
        }
        due = [left for cause, left in days.items() if cause in causes]
        rest = [left for cause, left in days.items() if cause not in causes]
        if due and rest:
            assert max(due) <= min(rest), (name, days, causes)


def test_low_toner_that_the_printer_states_leads_to_a_planned_l2_ticket(outcome: Outcome) -> None:
    reading = outcome.reading(_SAYS_LOW_TONER)
    assert reading is not None
    assert "lowToner" in reading.error_names
    tickets = [one for one in outcome.tickets(_SAYS_LOW_TONER) if one.level is TicketLevel.L2]
    assert tickets
    assert all(outcome.is_planned(ticket) for ticket in tickets)


def test_every_ticket_is_explainable(outcome: Outcome) -> None:
    tickets = outcome.tickets()
    assert len({ticket.dedup_key for ticket in tickets if ticket.is_open}) == len(tickets)
    for ticket in tickets:
        assert ticket.evidence, ticket
        if ticket.state is TicketState.HELD:
            assert ticket.events[-1].note, "a held ticket says what holds it"
        else:
            assert ticket.clocks, ticket
            assert all(clock.due_at is not None for clock in ticket.clocks), ticket
