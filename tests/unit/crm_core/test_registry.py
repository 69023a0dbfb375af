"""The register: ids are checked, models are recognised, and a device's stays never overlap."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from crm_core.domain.errors import Conflict, InvalidValue, NotFound
from crm_core.domain.fleet import OwnerState, SnmpAddress
from crm_core.domain.identity import DeviceId, SiteId
from crm_core.registry import Registry
from crm_core.storage.memory import make_memory_uow_factory
from tests.builders import T0, TENANT, ManualClock, a_contract, a_customer, a_device, a_site, a_technician
from tests.policies import a_catalogue


@pytest.fixture
def world():
    clock, factory = ManualClock(), make_memory_uow_factory()
    registry = Registry(factory, clock, a_catalogue())
    registry.save_customer(a_customer())
    registry.save_customer(a_customer("c2"))
    registry.save_site(a_site())
    registry.save_site(a_site("s2", "c2"))
    return registry, clock, factory


def periods(factory, device_id="d1"):
    with factory() as uow:
        return [
            (each.site_id, each.from_instant, each.to_instant, each.start_count, each.end_count)
            for each in uow.devices.periods(TENANT, device_id)
        ]


def test_what_follows_is_filled_in(world):
    registry, _, factory = world
    bare = a_device(
        customer_id=None, model_id=None, vendor=None, model_name="ACME C1 SERIES", registered_at=None
    )
    device = registry.register(bare, start_count=1200)
    assert (device.customer_id, device.model_id, device.vendor) == ("c1", "acme-c1", "Acme")
    assert (device.registered_at, device.installed_on) == (T0, T0.date())
    assert periods(factory) == [("s1", T0, None, 1200, None)]


def test_registering_again_changes_what_is_known_and_no_stay(world):
    registry, clock, factory = world
    registry.register(a_device(registered_at=None))
    clock.advance(days=1)
    again = registry.register(a_device(registered_at=None, asset_tag="A-7"))
    assert again.registered_at == T0
    assert len(periods(factory)) == 1
    assert registry.find(TENANT, DeviceId("d1")).device.asset_tag == "A-7"


def test_a_move_ends_one_stay_and_begins_another(world):
    registry, clock, factory = world
    registry.register(a_device(), start_count=10)
    clock.advance(days=30)
    moved = registry.move(TENANT, DeviceId("d1"), SiteId("s2"), count=5010)
    later = T0 + timedelta(days=30)
    assert (moved.customer_id, moved.contract_id) == ("c2", None)
    assert periods(factory) == [("s1", T0, later, 10, 5010), ("s2", later, None, 5010, None)]


def test_a_retired_device_keeps_its_history(world):
    registry, clock, factory = world
    registry.register(a_device(serial="SN"))
    clock.advance(days=1)
    registry.retire(TENANT, DeviceId("d1"), count=99)
    assert periods(factory) == [("s1", T0, T0 + timedelta(days=1), None, 99)]
    registry.register(a_device("d2", serial="SN"))
    with pytest.raises(InvalidValue):
        registry.retire(TENANT, DeviceId("d2"), state=OwnerState.LOAN)


@pytest.mark.parametrize("device_id", ["", "a/b", "+", "#", "-x", "x" * 65, "é"])
def test_ids_that_no_topic_may_hold_are_refused(world, device_id):
    registry, _, _ = world
    with pytest.raises(InvalidValue):
        registry.register(a_device(device_id))


def test_an_address_belongs_to_one_device(world):
    registry, _, _ = world
    address = SnmpAddress(host="10.0.0.1")
    registry.register(a_device(snmp=address))
    registry.register(a_device(snmp=address))
    with pytest.raises(Conflict, match="address of device d1"):
        registry.register(a_device("d2", snmp=address))
    registry.retire(TENANT, DeviceId("d1"))
    registry.register(a_device("d2", snmp=address))


def test_records_that_contradict_each_other_are_refused(world):
    registry, _, _ = world
    with pytest.raises(Conflict):
        registry.register(a_device(customer_id="c2"))
    with pytest.raises(NotFound):
        registry.register(a_device(site_id="nowhere"))
    with pytest.raises(NotFound):
        registry.save_site(a_site("s3", "nobody"))
    with pytest.raises(InvalidValue):
        registry.save_contract(replace(a_contract(), ends_on=date(2020, 1, 1)))
    with pytest.raises(InvalidValue):
        registry.save_customer(replace(a_customer(), name=" "))
    registry.save_technician(a_technician())
    registry.save_contract(a_contract())
    assert registry.customer(TENANT, "c1").name == "C1"
    assert registry.devices(TENANT) == []
