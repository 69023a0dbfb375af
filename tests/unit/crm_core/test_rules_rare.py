"""Races, empty houses and lost leases: what triage, budgets, campaigns and escalation do where it seldom gets to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core import campaigns, escalation, incidents, triage
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import Incident, IncidentKind, TicketState, WorkOrderState
from crm_core.domain.telemetry import DeviceState
from crm_core.escalation import Escalation
from crm_core.notices.addressing import Addressing
from crm_core.ports import TicketFilter
from crm_core.stock.shelf import Asked
from tests.builders import T0, TENANT, a_condition, a_device, a_signal, a_ticket
from tests.policies import L3, a_policy, a_triage_policy
from tests.unit.crm_core.desk import HOUR, Desk

FUSER = a_condition("fault.fuser", level=L3)


def test_a_full_inbox_is_emptied_in_parts():
    desk = Desk(devices=3)
    with desk.uow_factory() as uow:
        uow.signals.append([a_signal(FUSER, device_id=f"d{number}") for number in (1, 2, 3)])
        uow.commit()
    report = desk.triage.run_all(limit=2)
    assert (report.signals, report.opened) == (3, 3)


def test_a_cause_that_something_else_covers_opens_nothing(monkeypatch):
    monkeypatch.setattr(triage, "asked_for", lambda *_: Asked(None, None))
    desk = Desk()
    assert desk.see(FUSER).covered == 1
    assert desk.tickets() == []


@pytest.mark.parametrize("again", [True, False])
def test_another_writer_was_first(monkeypatch, again):
    """What `covering` does not see yet, the unique key does: the ticket that is there takes the evidence."""
    desk = Desk()
    with desk.uow_factory() as uow:
        first = uow.tickets.open_unless_covered(a_ticket("fault.fuser"))
        uow.commit()
    answers = iter([None, first if again else None])
    monkeypatch.setattr(triage, "covering", lambda *_: next(answers))
    assert desk.see(FUSER).opened == 0
    assert len(desk.ticket().evidence) == (1 if again else 0)
    with desk.uow_factory() as uow:
        (track,) = uow.signals.tracks(TENANT, DeviceId("d1"))
    assert track.ticket_id == (first.ticket_id if again else None)


def test_a_cause_that_went_is_dropped_once_its_ticket_is_over():
    desk = Desk()
    desk.see(FUSER)
    desk.servicedesk.move(TENANT, desk.ticket().ticket_id, triage.Move.CANCEL, actor="li", note="false alarm")
    desk.later(hours=1)
    desk.see()
    with desk.uow_factory() as uow:
        assert uow.signals.tracks(TENANT, DeviceId("d1")) == []


def test_a_device_without_a_site_has_only_its_own_budget():
    desk = Desk(policy=a_policy(a_triage_policy(max_automatic_tickets_per_site_day=0)))
    with desk.uow_factory() as uow:
        uow.devices.save(replace(a_device("d9"), site_id=None, serial=None))
        uow.commit()
    desk.see(a_condition("fault.motor", text="it hums", severity="warning"), device_id="d9")
    assert desk.ticket().state is TicketState.NEW
    assert desk.ticket().detail["text"] == "it hums"


# --- campaigns and incidents ---


def many_of_one_fault(desk: Desk) -> None:
    for number in range(1, 7):
        desk.see(FUSER, device_id=f"d{number}")


def test_a_campaign_leaves_alone_who_is_being_served():
    desk = Desk(policy=a_policy(a_triage_policy(campaign_devices=3)), devices=6)
    desk.see(FUSER, device_id="d1")
    desk.dispatcher.dispatch(TENANT)
    (order,) = desk.orders()
    desk.servicedesk.depart(TENANT, order.work_order_id, actor="t1")
    many_of_one_fault(desk)
    merged = desk.tickets(TicketState.MERGED)
    assert [ticket.device_id for ticket in merged] == ["d2", "d3"]
    (visited,) = desk.tickets(TicketState.IN_PROGRESS)
    assert visited.device_id == "d1"


def test_the_campaign_of_another_node_is_not_started_again():
    desk = Desk(policy=a_policy(a_triage_policy(campaign_devices=99)), devices=6)
    many_of_one_fault(desk)
    policy = a_policy(a_triage_policy(campaign_devices=3))
    with desk.uow_factory() as uow:
        ticket = uow.tickets.list(TENANT, TicketFilter())[0]
        bundle = uow.devices.bundle(TENANT, ticket.device_id)
        subject = incidents.campaign_subject(bundle, ticket.cause)
        other = Incident(
            tenant=TENANT, incident_id=0, kind=IncidentKind.MODEL, subject=subject, opened_at=T0, device_ids=()
        )  # fmt: skip
        assert uow.incidents.open_unless_covered(other) is not None
        assert campaigns.perhaps_start(uow, ticket, bundle, T0, policy) is None


def test_too_few_of_a_large_model_are_no_campaign():
    desk = Desk(policy=a_policy(a_triage_policy(campaign_devices=3, campaign_share=0.6)), devices=10)
    many_of_one_fault(desk)
    assert len(desk.tickets(TicketState.NEW)) == 6
    desk.see(FUSER, device_id="d7")
    assert len(desk.tickets(TicketState.MERGED)) == 7


def test_tickets_of_another_model_do_not_count():
    desk = Desk(policy=a_policy(a_triage_policy(campaign_devices=3)), devices=6)
    with desk.uow_factory() as uow:
        for name in ("d2", "d4", "d6"):
            uow.devices.save(replace(uow.devices.get(TENANT, name), model_id=None))
        uow.commit()
    for number in (1, 2, 4, 6, 3):
        desk.see(FUSER, device_id=f"d{number}")
    assert desk.tickets(TicketState.MERGED) == []
    desk.see(FUSER, device_id="d5")
    assert [ticket.device_id for ticket in desk.tickets(TicketState.MERGED)] == ["d1", "d3", "d5"]


def state_of(device_id: str, last_seen) -> DeviceState:
    return DeviceState(
        device_id=DeviceId(device_id), last_seen=last_seen, life_count=None, lowest_supply_percent=None,
        lowest_supply_index=None, error_names=(), worst_alert_severity=None, source="snmp",
    )  # fmt: skip


def test_an_incident_grows_with_its_site_and_passes_over_devices_without_one():
    desk = Desk(devices=6)
    with desk.uow_factory() as uow:
        bundles = list(uow.devices.bundles(TENANT))
        bundles.append(
            DeviceBundle(
                device=replace(a_device("d9"), site_id=None), site=None, customer=None, contract=None
            )
        )
        every, now = timedelta(minutes=5), T0 + timedelta(minutes=20)
        names = [each.device.device_id for each in bundles]

        def dark(count, opened):
            states = [state_of(name, T0 if at < count else now) for at, name in enumerate(names)]
            found = incidents.update_incidents(uow, TENANT, bundles, states, now, desk.policy, every)
            assert found == opened

        dark(5, 1)
        dark(6, 0)
        (incident,) = uow.incidents.open_ones(TENANT)
    assert incident.device_ids == tuple(f"d{number}" for number in range(1, 7))


# --- escalation ---


def test_a_step_that_another_node_told_meanwhile_is_not_told_again(monkeypatch):
    desk = Desk()
    desk.uow_factory.on_commit(escalation.EscalationSchedule(desk.policy))
    desk.see(FUSER)
    desk.later(hours=100)
    first, second = (
        Escalation(desk.uow_factory, desk.clock, desk.policy, Addressing(desk.policy)) for _ in range(2)
    )
    told = first.run(TENANT).told
    assert told > 0
    with desk.uow_factory() as uow:
        names = {
            name for note in uow.notices.escalations(TENANT, desk.ticket().ticket_id) for name in note.told
        }
        uow.notices.schedule_escalations(TENANT, {desk.ticket().ticket_id: T0 + HOUR})
        monkeypatch.setattr(type(uow.notices), "told_steps", lambda *_: {})
        ticket_id = desk.ticket().ticket_id
        uow.commit()
    assert names == set()  # nobody has a role here: it is noted all the same
    with desk.uow_factory() as uow:
        report = escalation.EscalationReport()
        second._tell(uow, TENANT, ticket_id, desk.clock.now(), report)
    assert report.told == 0


def test_a_cause_that_went_while_somebody_drives_there_keeps_its_visit():
    desk = Desk()
    desk.see(FUSER)
    desk.dispatcher.dispatch(TENANT)
    with desk.uow_factory() as uow:
        uow.work_orders.save(replace(desk.orders()[0], state=WorkOrderState.EN_ROUTE))
        uow.commit()
    desk.later(hours=1)
    desk.see()
    desk.later(hours=1)
    desk.triage.run()
    assert desk.ticket().state is TicketState.SCHEDULED
