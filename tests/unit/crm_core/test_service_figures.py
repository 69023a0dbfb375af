"""Figures of service quality against small histories whose answers can be counted by hand."""

from datetime import timedelta

from crm_core.domain.identity import DeviceId, TechnicianId, WorkOrderId
from crm_core.domain.service import (
    ClockKind,
    SlaClock,
    TicketLevel,
    TicketState,
    WorkOrder,
    WorkOrderKind,
    WorkOrderState,
)
from crm_core.service_figures import ServiceQuality
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import T0, TENANT, ManualClock, a_small_fleet, a_ticket
from tests.policies import a_policy

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def a_visit(
    number, *, days_ago, outcome="fixed", cause="fuser", count=None, tickets=(), kind=WorkOrderKind.REPAIR
):
    done = T0 - days_ago * DAY
    return WorkOrder(
        tenant=TENANT,
        work_order_id=WorkOrderId(number),
        kind=kind,
        state=WorkOrderState.DONE,
        device_id=DeviceId("d1"),
        site_id=None,
        customer_id=None,
        ticket_ids=tickets,
        technician_id=TechnicianId("t1"),
        assigned_reason="",
        created_at=done - HOUR,
        due_at=done,
        done_at=done,
        outcome=outcome,
        confirmed_cause=cause,
        count_after=count,
    )


def a_restored(cause, *, raised_days_ago, hours, promised_hours, level=TicketLevel.L3, **changes):
    raised = T0 - raised_days_ago * DAY
    clock = SlaClock(
        kind=ClockKind.RESTORE,
        started_at=raised,
        due_at=raised + promised_hours * HOUR,
        met_at=raised + hours * HOUR,
    )
    return a_ticket(
        cause, raised_at=raised, level=level, clocks=(clock,), state=TicketState.CLOSED, **changes
    )


def figures(visits=(), tickets=(), **options):
    factory = make_memory_uow_factory()
    a_small_fleet(factory)
    with factory() as uow:
        for ticket in tickets:
            uow.tickets.open_unless_covered(ticket)
        for visit in visits:
            uow.work_orders.add(visit)
        uow.commit()
    return ServiceQuality(factory, ManualClock(), a_policy()).figures(TENANT, **options)


def test_a_repair_that_comes_back_within_the_recall_time_did_not_hold():
    found = figures([
        a_visit(1, days_ago=40, cause="fuser"),
        a_visit(2, days_ago=30, cause="fuser"),  # ten days later: the first did not hold
        a_visit(3, days_ago=20, cause="roller"),
        a_visit(4, days_ago=10, cause="belt", outcome="not_fixed"),
        a_visit(5, days_ago=100, cause="fuser"),  # before the span
    ])  # fmt: skip
    assert (found.first_time_fix.met, found.first_time_fix.of) == (2, 4)


def test_pages_between_visits_is_the_mean_over_devices_that_were_visited_again():
    found = figures([
        a_visit(1, days_ago=80, count=10_000),
        a_visit(2, days_ago=50, count=16_000, kind=WorkOrderKind.SUPPLY),
        a_visit(3, days_ago=20, count=20_000),
        a_visit(4, days_ago=10, count=500),  # another board: its counter says nothing about the span before
    ])  # fmt: skip
    assert found.pages_between_visits == 5_000


def test_hours_to_restore_and_promises_kept_by_level():
    found = figures(tickets=[
        a_restored("e", raised_days_ago=200, hours=500, promised_hours=48),  # long ago
        a_restored("a", raised_days_ago=9, hours=10, promised_hours=48),
        a_restored("b", raised_days_ago=8, hours=20, promised_hours=48),
        a_restored("c", raised_days_ago=7, hours=60, promised_hours=48),
        a_restored("d", raised_days_ago=6, hours=5, promised_hours=8, level=TicketLevel.L1, detail={"recall": 1}),
    ])  # fmt: skip
    by_level = {row.level: row for row in found.restores}
    assert by_level[TicketLevel.L3].median_hours == 20
    assert (by_level[TicketLevel.L3].within.met, by_level[TicketLevel.L3].within.of) == (2, 3)
    assert by_level[TicketLevel.L2].median_hours is None
    assert (found.repeats.met, found.repeats.of) == (1, 4)


def test_other_regions_are_not_counted():
    visits = [a_visit(1, days_ago=10)]
    assert figures(visits, regions=("north",)).first_time_fix.of == 1
    elsewhere = figures(visits, regions=("south",))
    assert elsewhere.first_time_fix.of == 0
    assert elsewhere.in_use.of == 0


def test_months_are_whole_and_end_with_the_present_one():
    found = figures([a_visit(1, days_ago=1), a_visit(2, days_ago=35)], months=3)
    assert [(row.month.month, row.visits) for row in found.months] == [(1, 1), (2, 0), (3, 1)]
