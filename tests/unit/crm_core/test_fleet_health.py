"""Fleet health: one band a device with its causes, promises at risk, what runs out, and no query a device."""

from datetime import timedelta

from crm_core.domain.forecast import FailureForecast
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import ClockKind, TicketLevel, WorkOrderState
from crm_core.fleet_census import HealthBand
from crm_core.fleet_health import FleetHealth
from tests.builders import (
    TENANT,
    a_condition,
    a_life_forecast,
    a_provenance,
    a_reading,
    a_site,
    a_supply_forecast,
)
from tests.policies import L1, L2, L3
from tests.unit.crm_core.desk import Desk


class Newest:
    """The newest states of a fleet: all that this read model asks of telemetry."""

    def __init__(self, clock, devices):
        self._clock, self.devices, self.calls = clock, devices, 0

    def last_heard(self, _tenant):
        self.calls += 1
        return {DeviceId(key): self._clock.now() - age for key, age in self.devices.items()}

    def newest(self, _tenant, device_id):
        return a_reading(self._clock.now() - self.devices[device_id], device_id=device_id)


def a_fleet():
    desk = Desk(devices=5)
    store = Newest(desk.clock, {f"d{number}": timedelta(minutes=5) for number in range(1, 6)})
    health = FleetHealth(desk.uow_factory, store, desk.policy, desk.clock)
    return desk, store, health


def test_every_device_is_in_one_band_with_its_causes():
    desk, store, health = a_fleet()
    desk.see(a_condition("fault.fuser", L3), a_condition("supply.1.1", L2))
    desk.see(a_condition("supply.1.2", L2), device_id="d2")
    with desk.uow_factory() as uow:
        uow.forecasts.save_all([a_supply_forecast("1.3", 9, replenish=False, device_id="d3")])
        uow.commit()
    store.devices["d4"] = timedelta(days=3)
    overview = health.overview(TENANT)
    assert {band.band: band.devices for band in overview.bands} == {
        HealthBand.DOWN: 1,
        HealthBand.ATTENTION: 2,
        HealthBand.WATCH: 1,
        HealthBand.GOOD: 1,
    }
    assert overview.bands[0].causes == (("fault", 1), ("supply", 1))
    assert [each.bundle.device.device_id for each in overview.worst] == ["d1", "d2", "d4", "d3"]
    assert [each.bundle.device.device_id for each in overview.silent] == ["d4"]
    assert overview.open_tickets == {TicketLevel.L1: 0, TicketLevel.L2: 2, TicketLevel.L3: 1}
    assert [(each.forecast.supply_index, each.covered) for each in overview.running_out] == [("1.3", False)]
    assert store.calls == 1


def test_promises_at_risk_come_with_the_most_urgent_first():
    desk, _, health = a_fleet()
    desk.see(a_condition("fault.fuser", L3))
    assert [each.clock.kind for each in health.overview(TENANT).at_risk] == [ClockKind.RESPOND]
    desk.later(hours=3)
    assert health.overview(TENANT).at_risk[0].overdue
    desk.servicedesk.acknowledge(TENANT, desk.ticket().ticket_id, actor="li")
    assert health.overview(TENANT).at_risk == ()
    desk.later(hours=42)
    assert [each.clock.kind for each in health.overview(TENANT).at_risk] == [ClockKind.RESTORE]
    desk.repair()
    assert health.overview(TENANT).at_risk == ()


def test_work_orders_of_today():
    desk, _, health = a_fleet()
    desk.see(a_condition("jam.any", L1))
    desk.dispatcher.dispatch(TENANT)
    overview = health.overview(TENANT)
    assert overview.work_orders == {WorkOrderState.ASSIGNED: 1}
    assert (overview.work_orders_due_today, overview.work_orders_done_today) == (1, 0)
    desk.servicedesk.done(TENANT, desk.orders()[0].work_order_id, actor="t1")
    assert health.overview(TENANT).work_orders_done_today == 1


def test_wear_and_risk_put_a_device_under_watch():
    desk, _, health = a_fleet()
    risk = FailureForecast(
        tenant=TENANT,
        device_id=DeviceId("d2"),
        component="fuser",
        p_fail_7d=0.3,
        p_fail_14d=0.5,
        provenance=a_provenance(),
    )
    with desk.uow_factory() as uow:
        uow.forecasts.save_all([a_life_forecast(0.85), risk])
        uow.commit()
    assert health.device(TENANT, DeviceId("d1")).causes == ("life.device",)
    assert health.device(TENANT, DeviceId("d2")).causes == ("failure_risk.fuser",)
    assert health.overview(TENANT).replacements_due == 1


def test_a_region_sees_only_itself():
    desk, _, health = a_fleet()
    desk.see(a_condition("fault.fuser", L3))
    assert health.overview(TENANT, ["south"]).devices == 0
    assert health.overview(TENANT, ["south"]).open_tickets[TicketLevel.L3] == 0
    assert health.overview(TENANT, ["north"]).devices == 5
    with desk.uow_factory() as uow:
        uow.sites.save(a_site(region="south"))
        uow.commit()
    assert health.overview(TENANT, ["south"]).devices == 5
