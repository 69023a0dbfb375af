"""Every store of the CRM keeps the same promises: memory, SQLite and PostgreSQL run one suite."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.fleet import OwnerState, SnmpAddress
from crm_core.domain.identity import (
    DEFAULT_TENANT,
    DeviceId,
    SignalId,
    TechnicianId,
    TenantId,
    TicketId,
    UserId,
    WorkOrderId,
)
from crm_core.domain.service import (
    AccessToken,
    CauseTrack,
    Incident,
    IncidentKind,
    Role,
    SignalOrigin,
    TicketLevel,
    TicketState,
    User,
    WorkOrder,
    WorkOrderKind,
    WorkOrderState,
)
from crm_core.ports import FleetShares, TicketFilter, UnitOfWorkFactory, WorkOrderFilter
from tests.builders import (
    T0,
    TENANT,
    a_condition,
    a_contract,
    a_device,
    a_life_forecast,
    a_signal,
    a_site,
    a_small_fleet,
    a_supply_forecast,
    a_ticket,
)


def an_order(*ticket_ids: int, **changes: object) -> WorkOrder:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "work_order_id": WorkOrderId(0),
        "kind": WorkOrderKind.REPAIR,
        "state": WorkOrderState.ASSIGNED,
        "device_id": DeviceId("d1"),
        "site_id": "s1",
        "customer_id": "c1",
        "ticket_ids": tuple(TicketId(each) for each in ticket_ids),
        "technician_id": TechnicianId("t1"),
        "assigned_reason": "because",
        "created_at": T0,
        "due_at": T0 + timedelta(hours=4),
        **changes,
    }
    return WorkOrder(**fields)


def test_what_is_not_committed_is_gone(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        uow.tickets.open_unless_covered(a_ticket())
        uow.signals.append([a_signal()])
        uow.customers.save(replace(uow.customers.get(TENANT, "c1"), name="changed"))
    with uow_factory() as uow:
        assert uow.tickets.list(TENANT, TicketFilter()) == []
        assert uow.signals.pending(10) == []
        assert uow.customers.get(TENANT, "c1").name == "C1"


def test_an_error_in_the_block_rolls_back(uow_factory):
    a_small_fleet(uow_factory)
    with pytest.raises(ZeroDivisionError), uow_factory() as uow:
        uow.devices.save(a_device(f"d{9 + 1 // len(uow.technicians.all('nobody'))}"))
    with uow_factory() as uow:
        assert uow.devices.find(TENANT, "d9") is None


def test_fleet_comes_back_as_it_was_saved(uow_factory):
    a_small_fleet(uow_factory)
    device = a_device(
        "d2",
        contract_id="k1",
        serial="SN-1",
        snmp=SnmpAddress(host="10.0.0.9", port=1161),
        installed_on=T0.date(),
    )
    with uow_factory() as uow:
        uow.contracts.save(a_contract(on_site_hours=2))
        uow.devices.save(device)
        uow.commit()
    with uow_factory() as uow:
        bundle = uow.devices.bundle(TENANT, DeviceId("d2"))
        assert (bundle.device, bundle.site, bundle.contract) == (
            device,
            a_site(),
            a_contract(on_site_hours=2),
        )
        assert [each.device.device_id for each in uow.devices.bundles(TENANT)] == ["d1", "d2"]
        assert uow.devices.find_by_host(TENANT, "10.0.0.9", 1161) == device
        assert uow.devices.find_by_serial(TENANT, "SN-1") == device
        assert uow.technicians.get(TENANT, "t1").regions == ("north",)
        with pytest.raises(NotFound):
            uow.devices.bundle(TENANT, DeviceId("d404"))


def test_tenants_never_meet(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        opened = uow.tickets.open_unless_covered(a_ticket())
        uow.commit()
    with uow_factory() as uow:
        assert uow.devices.find("other", "d1") is None
        assert uow.devices.bundles("other") == []
        with pytest.raises(NotFound):
            uow.tickets.get("other", opened.ticket_id)


def test_serials_are_unique_among_devices_in_use(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        uow.devices.save(a_device("d1", serial="SN"))
        uow.devices.save(a_device("d2", serial="SN", owner_state=OwnerState.RETIRED))
        uow.commit()
    with pytest.raises(Conflict), uow_factory() as uow:
        uow.devices.save(a_device("d3", serial="SN"))
    with uow_factory() as uow:
        assert uow.devices.find_by_serial(TENANT, "SN").device_id == "d1"


def test_a_device_belongs_to_a_site_that_exists(uow_factory):
    a_small_fleet(uow_factory)
    with pytest.raises(Conflict), uow_factory() as uow:
        uow.devices.save(a_device("d2", site_id="nowhere"))


def test_one_open_ticket_a_cause(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        first = uow.tickets.open_unless_covered(a_ticket())
        assert uow.tickets.open_unless_covered(a_ticket()) is None
        assert uow.tickets.open_unless_covered(a_ticket("jam.any")) is not None
        assert uow.tickets.find_open(TENANT, first.dedup_key) == first
        uow.tickets.save(replace(first, state=TicketState.AUTO_RESOLVED))
        again = uow.tickets.open_unless_covered(a_ticket())
        assert again is not None
        assert again.ticket_id > first.ticket_id
        uow.commit()


def test_a_stale_version_is_refused(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        ticket = uow.tickets.open_unless_covered(a_ticket())
        changed = uow.tickets.save(replace(ticket, state=TicketState.TRIAGED))
        assert changed.version == ticket.version + 1
        with pytest.raises(Conflict):
            uow.tickets.save(replace(ticket, state=TicketState.CANCELLED))
        with pytest.raises(NotFound):
            uow.tickets.save(replace(ticket, ticket_id=TicketId(999)))


def test_tickets_are_listed_by_filter_and_cursor(uow_factory):
    a_small_fleet(uow_factory, devices=3)
    with uow_factory() as uow:
        for number, level in ((1, TicketLevel.L1), (2, TicketLevel.L2), (3, TicketLevel.L2)):
            uow.tickets.open_unless_covered(
                a_ticket(device_id=f"d{number}", level=level, raised_at=T0 + timedelta(hours=number))
            )
        uow.commit()

    def ids(**which):
        with uow_factory() as uow:
            return [ticket.device_id for ticket in uow.tickets.list(TENANT, TicketFilter(**which))]

    assert ids() == ["d3", "d2", "d1"]
    assert ids(limit=2) == ["d3", "d2"]
    with uow_factory() as uow:
        second = uow.tickets.list(TENANT, TicketFilter(limit=2))[-1]
    assert ids(before=second.ticket_id) == ["d1"]
    assert ids(level=TicketLevel.L2) == ["d3", "d2"]
    assert ids(states=frozenset({TicketState.CLOSED})) == []
    assert ids(device_id="d2") == ["d2"]
    assert ids(site_id="s1", customer_id="c1", regions=("north",)) == ["d3", "d2", "d1"]
    assert ids(regions=("south",)) == []
    with uow_factory() as uow:
        assert uow.tickets.counts_by_level(TENANT, open_only=True)[TicketLevel.L2] == 2
        hours = [timedelta(hours=each) for each in range(5)]
        assert uow.tickets.raised_between(TENANT, T0 + hours[2], T0 + hours[4]) == 2
        assert uow.tickets.raised_between(TENANT, T0, T0 + hours[4], device_id="d1") == 1
        assert uow.tickets.raised_between(TENANT, T0, T0 + hours[4], site_id="elsewhere") == 0


def test_one_active_work_order_a_ticket(uow_factory):
    a_small_fleet(uow_factory)
    with uow_factory() as uow:
        ticket = uow.tickets.open_unless_covered(a_ticket())
        order = uow.work_orders.add(an_order(ticket.ticket_id))
        assert uow.work_orders.active_for_ticket(TENANT, ticket.ticket_id) == order
        uow.commit()
    with pytest.raises(Conflict), uow_factory() as uow:
        uow.work_orders.add(an_order(ticket.ticket_id))
    with uow_factory() as uow:
        uow.work_orders.save(replace(order, state=WorkOrderState.DONE, done_at=T0))
        assert uow.work_orders.active_for_ticket(TENANT, ticket.ticket_id) is None
        again = uow.work_orders.add(an_order(ticket.ticket_id, kind=WorkOrderKind.SUPPLY))
        assert uow.work_orders.count(TENANT) == 2
        listed = uow.work_orders.list(TENANT, WorkOrderFilter(technician_id="t1", regions=("north",)))
        assert [each.work_order_id for each in listed] == [again.work_order_id, order.work_order_id]
        assert (
            uow.work_orders.list(TENANT, WorkOrderFilter(states=frozenset({WorkOrderState.EN_ROUTE}))) == []
        )


def test_a_signal_lands_once_and_is_taken_in_order(uow_factory):
    later = a_signal(a_condition(), at=T0 + timedelta(minutes=5))
    with uow_factory() as uow:
        assert uow.signals.append([a_signal(), later, a_signal()]) == 2
        assert uow.signals.append([later]) == 0
        uow.commit()
    with uow_factory() as uow:
        pending = uow.signals.pending(10)
        assert [replace(each, signal_id=None) for each in pending] == [a_signal(), later]
        uow.signals.mark_processed([SignalId(pending[0].signal_id)], T0)
        assert [each.evidence for each in uow.signals.pending(10)] == [later.evidence]
        assert uow.signals.append([a_signal()]) == 0


def test_tracks_and_watermarks_are_remembered(uow_factory):
    track = CauseTrack(
        tenant=TENANT,
        device_id=DeviceId("d1"),
        cause="jam.any",
        origin=SignalOrigin.TELEMETRY,
        condition=a_condition("jam.any"),
        first_seen=T0,
        last_seen=T0,
        seen_count=1,
        episodes=(T0,),
    )
    with uow_factory() as uow:
        uow.signals.save_track(track)
        gone = replace(track, cause="fault.fuser", clear_since=T0)
        uow.signals.save_track(gone)
        assert uow.signals.tracks(TENANT, DeviceId("d1")) == [gone, track]
        assert uow.signals.clearing_tracks(TENANT) == [gone]
        uow.signals.drop_track(track)
        assert uow.signals.all_tracks(TENANT) == [gone]
        assert uow.signals.watermark(TENANT, DeviceId("d1"), SignalOrigin.TELEMETRY) is None
        uow.signals.set_watermark(TENANT, DeviceId("d1"), SignalOrigin.TELEMETRY, T0)
        uow.signals.set_watermark(TENANT, DeviceId("d1"), SignalOrigin.TELEMETRY, T0 + timedelta(seconds=1))
        assert uow.signals.watermark(TENANT, DeviceId("d1"), SignalOrigin.TELEMETRY) == T0 + timedelta(
            seconds=1
        )


def test_the_newest_forecast_of_a_subject_counts(uow_factory):
    with uow_factory() as uow:
        uow.forecasts.save_all(
            [a_supply_forecast(days=20), a_supply_forecast("1.2", days=None), a_life_forecast(0.7)]
        )
        uow.forecasts.save_all([a_supply_forecast(days=5)])
        found = uow.forecasts.for_device(TENANT, DeviceId("d1"))
        assert found.supplies == (a_supply_forecast(days=5), a_supply_forecast("1.2", days=None))
        assert found.life == (a_life_forecast(0.7),)
        assert uow.forecasts.for_devices(TENANT) == {"d1": found}
        assert uow.forecasts.running_out(TENANT, 7) == [a_supply_forecast(days=5)]
        assert uow.forecasts.running_out(TENANT, 4) == []
        assert uow.forecasts.for_some(TENANT, [DeviceId("d1"), DeviceId("none")]) == {"d1": found}
        assert uow.forecasts.empty_within(TENANT, 7) == [("d1", "1.1", 5.0)]
        assert uow.forecasts.empty_within(TENANT, 4) == []
        assert uow.forecasts.shares(TENANT) == FleetShares({}, {DeviceId("d1"): 0.7})
        assert uow.forecasts.shares(TenantId("rival")) == FleetShares({}, {})
        assert uow.forecasts.count(TENANT) == 3


def test_one_open_incident_a_subject(uow_factory):
    incident = Incident(
        tenant=TENANT,
        incident_id=0,
        kind=IncidentKind.SITE,
        subject="s1",
        opened_at=T0,
        device_ids=(DeviceId("d1"),),
    )
    with uow_factory() as uow:
        first = uow.incidents.open_unless_covered(incident)
        assert uow.incidents.open_unless_covered(incident) is None
        assert uow.incidents.find_open(TENANT, IncidentKind.SITE, "s1") == first
        uow.incidents.save(replace(first, closed_at=T0 + timedelta(hours=1)))
        assert uow.incidents.open_ones(TENANT) == []
        assert uow.incidents.open_unless_covered(incident) is not None
        assert len(uow.incidents.all(TENANT)) == 2


def test_people_and_their_tokens(uow_factory):
    user = User(tenant=TENANT, user_id=UserId("u1"), name="li", role=Role.ADMIN, password_hash="x")
    token = AccessToken(
        tenant=TENANT,
        token_hash="h",
        user_id=user.user_id,
        purpose="session",
        created_at=T0,
        expires_at=T0 + timedelta(hours=1),
    )
    with uow_factory() as uow:
        uow.users.save(user)
        uow.users.save_token(token)
        assert uow.users.find_by_name(TENANT, "li") == user
        assert uow.users.find_token("h") == token
        uow.users.revoke_tokens_of(TENANT, "u1")
        assert uow.users.find_token("h") is None
        uow.commit()
    with pytest.raises(Conflict), uow_factory() as uow:
        uow.users.save(replace(user, user_id=UserId("u2")))


def test_a_lease_has_one_holder_and_its_number_rises(uow_factory):
    minute = timedelta(minutes=1)

    def acquire(holder, at):
        with uow_factory() as uow:
            lease = uow.leases.acquire("leader", holder, at, minute)
            uow.commit()
            return lease

    first = acquire("a", T0)
    assert (first.holder, first.fencing) == ("a", 1)
    assert acquire("b", T0) is None
    assert acquire("a", T0 + minute / 2).fencing == 1
    taken_over = acquire("b", T0 + 2 * minute)
    assert taken_over.fencing == 2
    assert acquire("a", T0 + 2 * minute) is None
    with uow_factory() as uow:
        uow.leases.release(first)  # an old holder releases nothing
        uow.commit()
    assert acquire("a", T0 + 2 * minute) is None
    with uow_factory() as uow:
        uow.leases.release(taken_over)
        uow.commit()
    assert acquire("a", T0 + 2 * minute).fencing == 3


def test_sixteen_threads_open_one_ticket_a_cause(uow_factory):
    """1,600 raises of 10 causes by 16 threads give exactly 10 tickets (product.md 0.7)."""
    a_small_fleet(uow_factory)
    opened: list[object] = []
    run_together(16, lambda: [_raise(uow_factory, f"fault.f{number % 10}", opened) for number in range(100)])
    assert len(opened) == 10
    with uow_factory() as uow:
        assert len(uow.tickets.list(DEFAULT_TENANT, TicketFilter(limit=1000))) == 10


def _raise(uow_factory: UnitOfWorkFactory, cause: str, opened: list[object]) -> None:
    with uow_factory() as uow:
        ticket = uow.tickets.open_unless_covered(a_ticket(cause))
        uow.commit()
    if ticket is not None:
        opened.append(ticket)


def run_together(number: int, work: Callable[[], object]) -> None:
    """Run `work` in threads that start at once; the first error of any of them is raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(number)

    def run() -> None:
        try:
            barrier.wait()
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
