"""A repair is confirmed by telemetry, also where the gauge gives no number while enough is left."""

from dataclasses import replace
from datetime import timedelta

from crm_core.domain.service import TicketState
from crm_core.domain.telemetry import DeviceState
from tests.builders import TENANT, a_condition
from tests.policies import a_policy, a_rule, a_triage_policy
from tests.unit.crm_core.desk import Desk

SETTLED = a_triage_policy().settle_after


def a_repaired_desk() -> Desk:
    """Return a desk whose only ticket, a low toner, was finished just now; the gauge says only 'some remaining'."""
    desk = Desk(policy=a_policy(a_triage_policy([a_rule("supply.", n=1, clear_n=2)])))
    desk.see(a_condition("supply.1.1"))
    desk.repair()
    assert desk.ticket().state is TicketState.RESOLVED_UNVERIFIED
    return desk


def a_silent_state() -> DeviceState:
    return DeviceState(
        device_id="d1", last_seen=None, life_count=None, lowest_supply_percent=None, lowest_supply_index=None,
        error_names=(), worst_alert_severity=None, source="snmp",
    )  # fmt: skip


def look(desk: Desk, last_seen_after: timedelta) -> TicketState:
    """Let verification look half a day later at a device that last reported so long after the repair."""
    done = desk.ticket().changed_at
    state = replace(a_silent_state(), last_seen=done + last_seen_after)
    desk.clock.move_to(done + timedelta(hours=12))
    desk.triage.consider_silence(TENANT, [state])
    return desk.ticket().state


def test_a_device_that_reports_without_its_complaint_confirms_the_repair():
    desk = a_repaired_desk()
    desk.see(unknown=("supply.1.1",))
    assert look(desk, timedelta(hours=11)) is TicketState.RESOLVED


def test_a_device_that_has_not_reported_since_confirms_nothing():
    assert look(a_repaired_desk(), timedelta(minutes=-5)) is TicketState.RESOLVED_UNVERIFIED


def test_a_repeated_complaint_confirms_nothing():
    desk = a_repaired_desk()
    desk.later(hours=1)
    desk.see(a_condition("supply.1.1"))
    assert desk.ticket().state is TicketState.IN_PROGRESS
    assert look(desk, timedelta(hours=11)) is TicketState.IN_PROGRESS


def test_a_device_that_nobody_heard_of_confirms_nothing():
    desk = a_repaired_desk()
    desk.later(hours=12)
    desk.triage.consider_silence(TENANT, [])
    assert desk.ticket().state is TicketState.RESOLVED_UNVERIFIED


def test_a_report_at_the_very_moment_is_none_since():
    assert look(a_repaired_desk(), SETTLED) is TicketState.RESOLVED_UNVERIFIED
    assert look(a_repaired_desk(), SETTLED + timedelta(seconds=1)) is TicketState.RESOLVED


def test_only_complaints_of_finished_repairs_are_let_go():
    desk = Desk(policy=a_policy(a_triage_policy([a_rule("supply.", n=1, clear_n=2)])), devices=2)
    desk.see(a_condition("supply.1.1"))
    state = replace(a_silent_state(), last_seen=desk.clock.now() + timedelta(hours=11))
    desk.later(hours=12)
    desk.triage.consider_silence(TENANT, [state])
    with desk.uow_factory() as uow:
        assert uow.signals.tracks(TENANT, "d1")[0].clear_since is None
