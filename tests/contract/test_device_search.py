"""Devices by filter, on all stores: search, count and place agree with a plain look at the whole fleet."""

from dataclasses import replace
from datetime import timedelta

import pytest

from crm_core.domain.errors import NotFound
from crm_core.domain.fleet import InstalledPeriod, OwnerState, SnmpAddress, Transport
from crm_core.domain.identity import CustomerId, DeviceId, SiteId, TenantId
from crm_core.ports import DeviceFilter, DevicePlace
from tests.builders import T0, TENANT, a_customer, a_device, a_site

FLEET = (
    ("d1", "s1", "Canon iR-ADV C3525i"),
    ("d2", "s1", "HP 100%_Laser"),
    ("d3", "s2", "Canon iR-ADV C3525i"),
    ("d4", "s3", "ApeosPort"),
)


@pytest.fixture
def fleet(uow_factory):
    with uow_factory() as uow:
        uow.customers.save(replace(a_customer("c1"), name="王府 Trading"))
        uow.customers.save(replace(a_customer("c2"), name="École"))
        for site, customer, region in (("s1", "c1", "north"), ("s2", "c1", "south"), ("s3", "c2", "west")):
            uow.sites.save(a_site(site, customer, region))
        for device_id, site, model in FLEET:
            customer = "c2" if site == "s3" else "c1"
            uow.devices.save(replace(a_device(device_id, site, customer), model_name=model))
        uow.devices.save(replace(a_device("d5", "s1", "c1"), site_id=None, customer_id=None, model_name=None))
        uow.commit()
    return uow_factory


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (DeviceFilter(), "d1 d2 d3 d4 d5"),
        (DeviceFilter(limit=2), "d1 d2"),
        (DeviceFilter(after="d2", limit=2), "d3 d4"),
        (DeviceFilter(customer_id="c1"), "d1 d2 d3"),
        (DeviceFilter(site_id="s3"), "d4"),
        (DeviceFilter(customer_id="c2", site_id="s1"), ""),
        (DeviceFilter(regions=("north", "west")), "d1 d2 d4"),
        (DeviceFilter(regions=("north",), also=frozenset({"d3", "d5"})), "d1 d2 d3 d5"),
        (DeviceFilter(regions=("",)), ""),
        (DeviceFilter(device_ids=frozenset({"d1", "d4"}), customer_id="c1"), "d1"),
        (DeviceFilter(device_ids=frozenset()), ""),
        (DeviceFilter(q="CANON"), "d1 d3"),
        (DeviceFilter(q="100%_l"), "d2"),
        (DeviceFilter(q="%"), "d2"),
        (DeviceFilter(q="_x"), ""),
        (DeviceFilter(q="王府"), "d1 d2 d3"),
        (DeviceFilter(q="École"), "d4"),
        (DeviceFilter(q="S2"), "d3"),
        (DeviceFilter(q="' OR 1=1 --"), ""),
    ],
)
def test_search_finds_what_the_filter_says(fleet, which, found):
    with fleet() as uow:
        assert " ".join(each.device.device_id for each in uow.devices.search(TENANT, which)) == found
        if which.limit is None:
            assert uow.devices.matching(TENANT, which) == len(found.split())
        assert uow.devices.search(TenantId("rival"), which) in ([], ())


def test_what_is_found_is_complete_and_places_are_narrow(fleet):
    with fleet() as uow:
        assert list(uow.devices.search(TENANT, DeviceFilter())) == list(uow.devices.bundles(TENANT))
        assert uow.devices.matching(TENANT, DeviceFilter(limit=1)) == 5
        assert uow.devices.place(TENANT, "d3") == DevicePlace("c1", "south")
        assert uow.devices.place(TENANT, "d5") == DevicePlace(None, None)
        with pytest.raises(NotFound):
            uow.devices.place(TENANT, "d9")
        with pytest.raises(NotFound):
            uow.devices.place(TenantId("rival"), "d1")


def test_devices_are_counted_as_they_stood_at_an_instant(fleet):
    june = T0 + timedelta(days=30)
    stay = InstalledPeriod(
        tenant=TENANT, device_id=DeviceId("d1"), site_id=SiteId("s1"), customer_id=CustomerId("c1"), contract_id=None,
        from_instant=T0,
    )  # fmt: skip
    with fleet() as uow:
        uow.devices.save_period(replace(stay, to_instant=june))
        uow.devices.save_period(replace(stay, from_instant=june, site_id=SiteId("s2")))
        uow.devices.save_period(replace(stay, device_id=DeviceId("d2"), from_instant=june))
        counted = [
            uow.devices.installed_at(TENANT, at)
            for at in (T0 - timedelta(days=1), T0, june, june + timedelta(1))
        ]
        assert counted == [0, 1, 2, 2]
        assert uow.devices.installed_at(TenantId("other"), june) == 0


def test_a_fleet_in_the_least(fleet):
    early, late = T0 - timedelta(days=1), T0
    with fleet() as uow:
        for key, changes in (
            ("d1", {"registered_at": early, "snmp": None}),
            ("d2", {"registered_at": early, "snmp": None, "transport": Transport.MQTT}),
            ("d3", {"registered_at": late, "snmp": SnmpAddress(host="192.0.2.7")}),
            ("d4", {"owner_state": OwnerState.RETIRED}),
        ):
            uow.devices.save(replace(uow.devices.get(TENANT, key), **changes))
        served = DeviceFilter(owner_states=frozenset({OwnerState.INSTALLED}), limit=1)
        rows = [("d1", "c1", False), ("d2", "c1", True), ("d3", "c1", False), ("d5", None, False)]
        assert sorted(uow.devices.fleet(TENANT, served, early)) == rows
        assert dict(row[::2] for row in uow.devices.fleet(TENANT, served, late))["d3"]
        assert sorted(uow.devices.fleet(TENANT, DeviceFilter(regions=("south", "west")), late)) == [
            ("d3", "c1", True),
            ("d4", "c2", False),
        ]
        assert uow.devices.fleet(TenantId("rival"), served, late) == []
