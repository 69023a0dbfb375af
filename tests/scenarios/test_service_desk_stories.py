"""Acceptance stories of the service desk with their exact figures (reference product.md section 5, corrected in 1.4)."""

from datetime import UTC, datetime, timedelta

from crm_core.domain.service import OPEN_STATES, TicketState, WorkOrderKind, WorkOrderState
from crm_core.ticket_states import Move
from crm_core.triage import TriageReport
from tests.builders import TENANT, a_condition, a_reading, a_supply, an_alert
from tests.policies import L1, L3, a_policy, a_rule, a_triage_policy
from tests.scenarios.site import World

EVERY = timedelta(minutes=5)


def at(hour: int, minute: int) -> datetime:
    """Return an instant of a plain Tuesday, Shanghai time."""
    return datetime(2026, 3, 3, hour - 8, minute, tzinfo=UTC)


def test_story_1_power_cut():
    """40 devices dark 14:02-15:10, 2 already down, 3 back with a fuser code, 4 with low toner before: one incident."""
    rules = [a_rule("fault.", n=1, clear_n=2), a_rule("supply.", n=1, clear_n=2, clear_minutes=10)]
    world = World({"dark": 42, "other": 40}, policy=a_policy(a_triage_policy(rules)))
    world.clock.move_to(at(13, 0) - timedelta(days=3))

    def healthy(device_id, **says):
        return lambda now: a_reading(now, device_id=device_id, supplies=[a_supply("1.1", 60)], **says)

    def in_the_dark(number):
        device_id = f"dark-{number}"
        toner_low = number < 4

        def say(now):
            if number >= 40:  # down since yesterday
                return healthy(device_id)(now) if now < at(13, 0) - timedelta(days=2) else None
            if at(14, 2) <= now < at(15, 10):
                return None
            if now >= at(15, 10):
                if toner_low:  # wakes up asleep: the level is no number and the bit is gone
                    return a_reading(now, device_id=device_id, supplies=[a_supply("1.1", -3)])
                fuser = [an_alert(1002, group=10)] if number in (10, 11, 12) else []
                return healthy(device_id, alerts=fuser)(now)
            return healthy(device_id, errors=["lowToner"] if toner_low else [])(now)

        return say

    for number in range(42):
        world.says[f"dark-{number}"] = in_the_dark(number)
    for number in range(40):
        world.says[f"other-{number}"] = healthy(f"other-{number}")
    world.poll()
    world.clock.move_to(at(13, 0))
    world.poll_until(at(13, 55))
    before = world.tickets()
    assert sorted(ticket.cause for ticket in before) == ["silence"] * 2 + ["supply.1.1"] * 4
    world.poll_until(at(15, 25))

    with world.uow_factory() as uow:
        incidents = uow.incidents.all(TENANT)
    assert [(each.kind, each.subject, len(each.device_ids)) for each in incidents] == [("site", "dark", 40)]
    assert incidents[0].closed_at == at(15, 10)
    assert incidents[0].suppressed == 3
    assert (
        world.tickets()[: len(before)] == before
    )  # the old ones are untouched, the toner is not cleared by sleep
    new = world.tickets()[len(before) :]
    assert [(ticket.device_id, ticket.cause) for ticket in new] == [
        (f"dark-{number}", "fault.markerfuserovertemperature") for number in (10, 11, 12)
    ]
    assert all(at(15, 20) <= ticket.raised_at <= at(15, 25) for ticket in new)


def test_a_blind_watcher_opens_no_tickets():
    """When more than 5 % of the fleet is dark at once and no site explains it, the watcher itself is suspect."""
    world = World({f"s{number}": 2 for number in range(40)})
    world.clock.move_to(at(9, 0))
    cut = at(10, 0)
    for number in range(40):
        for each in range(2):
            device_id = f"s{number}-{each}"
            lost = each == 0 and number < 10
            world.says[device_id] = lambda now, device_id=device_id, lost=lost: (
                None if lost and now >= cut else a_reading(now, device_id=device_id)
            )
    world.poll_until(at(10, 30))
    with world.uow_factory() as uow:
        (incident,) = uow.incidents.open_ones(TENANT)
    assert (incident.kind, len(incident.device_ids)) == ("fleet", 10)
    assert world.tickets() == []


def test_three_silent_devices_over_weeks_are_no_storm():
    world = World({"s": 20})
    world.clock.move_to(at(9, 0))
    for number in range(20):
        device_id = f"s-{number}"
        gone = at(10, 0) + timedelta(days=7 * number) if number < 3 else None
        world.says[device_id] = lambda now, device_id=device_id, gone=gone: (
            None if gone is not None and now >= gone else a_reading(now, device_id=device_id)
        )
    hour = timedelta(hours=1)
    world.poll_until(at(9, 0) + timedelta(days=21), hour)
    with world.uow_factory() as uow:
        assert uow.incidents.all(TENANT) == []
    assert [ticket.cause for ticket in world.tickets(TicketState.NEW)] == ["silence"] * 3


def test_printers_switched_off_for_the_weekend_are_no_storm():
    """A quarter of the fleet sleeps from Friday evening to Monday morning; a real fault of another device is a ticket."""
    world = World(
        {f"s{number}": 2 for number in range(40)}, policy=a_policy(a_triage_policy([a_rule("", n=1)]))
    )
    world.clock.move_to(at(9, 0))
    closes, opens = at(17, 55) + timedelta(days=3), at(9, 0) + timedelta(days=6)
    for number in range(40):
        for each in range(2):
            device_id = f"s{number}-{each}"
            rests = each == 0 and number < 20
            broken = [an_alert(1002, group=10)] if device_id == "s30-1" else []
            world.says[device_id] = lambda now, device_id=device_id, rests=rests, broken=broken: (
                None
                if rests and closes <= now < opens
                else a_reading(now, device_id=device_id, alerts=broken if now >= closes else [])
            )
    world.poll_until(opens + timedelta(hours=2), timedelta(minutes=30))
    with world.uow_factory() as uow:
        assert uow.incidents.all(TENANT) == []
    assert [ticket.device_id for ticket in world.tickets()] == ["s30-1"]


def test_story_8_bad_firmware():
    """70 of 600 devices of one model show one fault within 36 h: one campaign with a remote step, not 70 visits."""
    world = World({f"s{number}": 20 for number in range(30)})
    start = at(9, 0)
    bad = [f"s{number % 30}-{number // 30}" for number in range(70)]
    report = TriageReport()
    for number, device_id in enumerate(bad):
        world.clock.move_to(start + number * timedelta(minutes=30))
        report += world.see(a_condition("fault.controller", L3), device_id=device_id)
        world.dispatcher.dispatch(TENANT)
    assert report.incidents == 1
    (campaign,) = world.tickets(*OPEN_STATES)
    assert (campaign.cause, campaign.level, campaign.detail["devices"]) == (
        "campaign.fault.controller",
        L1,
        31,  # the first number above 5 % of 600
    )
    assert len(world.tickets(TicketState.MERGED)) == 31  # raised before the campaign existed
    active = [order for order in world.orders() if order.state is not WorkOrderState.CANCELLED]
    assert [(order.kind, order.guide_keys[0]) for order in active] == [
        (WorkOrderKind.PHONE, "guide.campaign.1")
    ]
    with world.uow_factory() as uow:
        (incident,) = uow.incidents.open_ones(TENANT)
    assert (incident.kind, incident.suppressed, len(incident.device_ids)) == ("model", 39, 70)

    world.clock.advance(hours=1)
    for device_id in bad[:68]:  # the corrected firmware helps 68 of them
        world.see(device_id=device_id)
    world.servicedesk.move(TENANT, campaign.ticket_id, Move.FIX_BY_PHONE, actor="li")
    world.clock.advance(hours=1)
    world.triage.run()
    world.clock.advance(minutes=11)
    for device_id in bad[68:]:
        world.see(a_condition("fault.controller", L3), device_id=device_id)
    assert [ticket.device_id for ticket in world.tickets(*OPEN_STATES)] == bad[68:]


def test_the_same_jam_on_many_devices_is_no_campaign():
    world = World({"s": 40}, policy=a_policy(a_triage_policy(max_automatic_tickets_per_site_day=100)))
    for number in range(40):
        world.see(a_condition("jam.any", L1), device_id=f"s-{number}")
    assert len(world.tickets(TicketState.NEW)) == 40
