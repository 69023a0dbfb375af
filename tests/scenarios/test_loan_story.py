"""Acceptance story 5 with its exact figures (reference product.md section 5, corrected in 1.4): the last loaner."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from collector.stores.memory import MemoryTelemetryStore
from crm_core.domain.fleet import OwnerState
from crm_core.domain.loans import LoanState
from crm_core.domain.relations import CustomerClass
from crm_core.domain.service import ClockKind, TicketLevel, TicketState
from crm_core.domain.stock import StockPlace
from crm_core.escalation import Escalation, EscalationSchedule
from crm_core.notices.addressing import Addressing
from crm_core.ports import Landing
from crm_core.signals import conclude
from crm_core.stock.down_time import DownTimes, rent_credit
from crm_core.stock.loans import LoanDesk
from tests.builders import TENANT, a_contract, a_customer, a_device, a_reading, a_site, a_technician, an_alert
from tests.policies import a_book, a_catalogue, a_policy, a_rule, a_triage_policy
from tests.stock_builders import WAREHOUSE
from tests.unit.crm_core.desk import Desk

TEN = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai
FUSER = [an_alert(1002, group=10)]
CUSTOMERS = ("gold", "silver")


class LoanWorld(Desk):
    """A gold and a silver customer with one machine each, and one stand-by machine 30 km away."""

    def __init__(self, distance_degrees: float = 0.27) -> None:
        rules = [a_rule("fault.", n=1, clear_n=2, clear_minutes=30)]
        super().__init__(policy=a_policy(a_triage_policy(rules)), devices=0)
        self.uow_factory.on_commit(EscalationSchedule(self.policy))
        self.telemetry = MemoryTelemetryStore()
        self.loans = LoanDesk(self.uow_factory, self.clock, self.policy, a_catalogue())
        self.down = DownTimes(self.uow_factory, self.clock, self.telemetry)
        self.escalation = Escalation(self.uow_factory, self.clock, self.policy, Addressing(self.policy))
        self._previous = {}
        with self.uow_factory() as uow:
            uow.technicians.save(a_technician("t2", ("north", "south")))
            place = StockPlace(tenant=TENANT, place=WAREHOUSE, name="Main", latitude=31.0, longitude=121.5)
            uow.stock.save_place(place)
            for number, name in enumerate(CUSTOMERS):
                uow.customers.save(a_customer(name))
                where = replace(a_site(f"s-{name}", name), latitude=31.0 + distance_degrees, longitude=121.5)
                uow.sites.save(where)
                uow.contracts.save(a_contract(f"k-{name}", name))  # 600 a month
                uow.devices.save(a_device(name, f"s-{name}", name, contract_id=f"k-{name}"))
                uow.relations.classes.add(
                    CustomerClass(
                        tenant=TENANT, class_id=number, customer_id=name, axis="loyalty", value=name,
                        reasons=(), since=TEN,
                    )
                )  # fmt: skip
            uow.devices.save(a_device("loaner", None, None, owner_state=OwnerState.STOCK))
            uow.commit()
        self.loans.keep(TENANT, "loaner", WAREHOUSE)

    def poll(self, broken=()):
        """Read both machines now; triage, loans and escalation follow."""
        now, signals = self.clock.now(), []
        for name in CUSTOMERS:
            reading = a_reading(now, device_id=name, alerts=FUSER if name in broken else [])
            concluded = conclude(reading, self._previous.get(name), a_book())
            self._previous[name] = reading
            self.telemetry.append([Landing(reading=reading)])
            signals += [concluded.signal] if concluded.signal is not None else []
        self.take(signals)
        self.triage.run()
        report = self.loans.allot(TENANT)
        self.escalation.run(TENANT)
        return report

    def poll_until(self, end, broken=()):
        while self.clock.now() < end:
            self.clock.advance(minutes=30)
            self.poll(broken)

    def ticket_of(self, name):
        (ticket,) = [each for each in self.tickets() if each.device_id == name]
        return ticket

    def told(self, name):
        with self.uow_factory() as uow:
            return {
                (note.clock, note.step.value): note.reached_at
                for note in uow.notices.escalations(TENANT, self.ticket_of(name).ticket_id)
            }

    def mend(self, name, at):
        """Let the technician finish at `at`."""
        (order,) = [each for each in self.orders() if each.device_id == name]
        self.clock.move_to(at)
        self.servicedesk.arrive(TENANT, order.work_order_id, actor="t2")
        self.servicedesk.done(TENANT, order.work_order_id, actor="t2", confirmed_cause="fuser")


def test_story_5_the_last_loaner():
    world = LoanWorld()
    world.clock.move_to(TEN)
    world.poll()  # the last good telemetry: from here both are down
    world.clock.advance(minutes=5)
    world.poll(broken=CUSTOMERS)
    raised = world.clock.now()
    world.dispatcher.dispatch(TENANT)
    assert [world.ticket_of(name).level for name in CUSTOMERS] == [TicketLevel.L3] * 2
    world.clock.advance(minutes=10)
    report = world.poll(broken=CUSTOMERS)
    assert (report.promised, report.without) == (1, 1)
    with world.uow_factory() as uow:
        (loan,) = uow.stock.loans(TENANT)
    assert (loan.customer_id, loan.device_id, loan.state) == ("gold", "loaner", LoanState.RESERVED)
    assert loan.distance_km < 60
    assert world.ticket_of("silver").events[-1].event == "loaner_none"

    world.loans.bring(TENANT, loan.loan_id, actor="t2")
    brought = world.clock.now()
    assert world.ticket_of("gold").clock(ClockKind.RESTORE).met_at == brought
    with world.uow_factory() as uow:
        lent = uow.devices.get(TENANT, "loaner")
    assert (lent.owner_state, lent.site_id) == (OwnerState.LOAN, "s-gold")

    world.poll_until(raised + timedelta(hours=24), broken=CUSTOMERS)
    first = next(at for (clock, _), at in world.told("silver").items() if clock is ClockKind.RESTORE)
    assert first == raised + timedelta(hours=24)  # half of 48 hours
    assert ClockKind.RESTORE not in {clock for clock, _ in world.told("gold")}

    world.poll_until(TEN + timedelta(days=5) - timedelta(minutes=30), broken=CUSTOMERS)
    for name in CUSTOMERS:
        world.mend(name, TEN + timedelta(days=5))
    world.poll_until(TEN + timedelta(days=5, hours=4))
    assert {world.ticket_of(name).state for name in CUSTOMERS} == {TicketState.RESOLVED}
    world.loans.take_back(TENANT, loan.loan_id, actor="t2")
    with world.uow_factory() as uow:
        assert uow.devices.get(TENANT, "loaner").owner_state is OwnerState.STOCK

    assert world.down.record(TENANT) == 2
    assert world.down.record(TENANT) == 0
    with world.uow_factory() as uow:
        silver, gold = (
            uow.stock.down_times(TENANT, TEN, world.clock.now(), customer_id=name)[0]
            for name in ("silver", "gold")
        )
        rent = uow.contracts.get(TENANT, "k-silver").monthly_rent
    assert (silver.since, silver.until) == (TEN, TEN + timedelta(days=5))
    assert silver.counted == timedelta(days=5)
    assert gold.counted == brought - TEN
    policy = world.policy.stock.rent_credit
    assert rent_credit(rent, silver.counted, policy).amount == Decimal("39.45")
    assert rent_credit(rent, gold.counted, policy).amount == Decimal("0.00")


def test_a_machine_beyond_reach_is_promised_to_nobody():
    world = LoanWorld(distance_degrees=0.6)  # 66 km
    world.clock.move_to(TEN)
    world.poll(broken=CUSTOMERS)
    world.clock.advance(minutes=10)
    report = world.poll(broken=CUSTOMERS)
    assert (report.promised, report.without) == (0, 2)
    world.clock.advance(minutes=10)
    assert world.poll(broken=CUSTOMERS).without == 0  # it is said once


def test_a_promise_is_withdrawn_when_the_repair_comes_first():
    world = LoanWorld()
    world.clock.move_to(TEN)
    world.poll(broken=["gold"])
    world.dispatcher.dispatch(TENANT)
    world.clock.advance(minutes=10)
    world.poll(broken=CUSTOMERS)
    world.mend("gold", world.clock.now() + timedelta(minutes=5))
    world.clock.advance(minutes=30)
    world.dispatcher.dispatch(TENANT)
    report = world.poll(broken=["silver"])
    assert (report.withdrawn, report.promised) == (1, 1)
    with world.uow_factory() as uow:
        open_loan, withdrawn = uow.stock.loans(TENANT)
    assert (withdrawn.state, open_loan.customer_id) == (LoanState.CANCELLED, "silver")
