"""A device that is moved in the register counts where it stands now: in the store's figures, and for its readings."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from config.bridges import CrmDirectory
from config.clock import SystemClock, VirtualClock
from config.settings import load_settings
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.fleet import Customer, Device, Site
from crm_core.domain.identity import CustomerId, DeviceId, SiteId
from crm_core.domain.standing import DeviceDimensions, StandingFilter
from tests.telemetry_readings import START, reading


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[tuple[Core, Telemetry]]:
    settings = load_settings(environment={}).changed(general={"data_dir": str(tmp_path)})
    core = open_core(settings, SystemClock())
    telemetry = open_telemetry(core)
    yield core, telemetry
    telemetry.close()


def _regions(core: Core, telemetry: Telemetry) -> list[tuple[str, int]]:
    wanted = StandingFilter(silent_before=START, low_percent=10, by="region")
    return [(row.value, row.devices) for row in telemetry.store.standing(core.tenant, wanted)]


def test_a_move_is_seen_at_once(parts: tuple[Core, Telemetry]) -> None:
    core, telemetry = parts
    tenant, customer = core.tenant, CustomerId("c1")
    core.registry.save_customer(
        Customer(tenant=tenant, customer_id=customer, name="Firm", contact_name="Somebody")
    )
    for number, region in ((1, "north"), (2, "south")):
        core.registry.save_site(_site(core, number, region))
    for name in ("d1", "d2"):
        core.registry.register(_device(core, name, 1))
    telemetry.ingest.land([reading("d1", seq=1), reading("d2", seq=1)])
    assert _regions(core, telemetry) == [("north", 2)]
    core.registry.move(tenant, DeviceId("d2"), SiteId("site-2"))
    assert _regions(core, telemetry) == [("north", 1), ("south", 1)]
    landed = telemetry.ingest.land(
        [reading("d2", seq=2, minutes=1), reading("d2", seq=3, minutes=2, site="site-2")]
    )
    assert (landed.stored, landed.rejected) == (1, 1)  # a sender that still names the old site is told so
    core.registry.retire(tenant, DeviceId("d1"))
    assert _regions(core, telemetry) == [("", 1), ("south", 1)]


def test_only_what_changed_is_read_again(
    parts: tuple[Core, Telemetry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Devices, sites and states that other processes change are seen at the next look, without reading all devices."""
    core, _ = parts
    tenant, clock = core.tenant, VirtualClock(START)
    told: list[DeviceDimensions] = []
    directory = CrmDirectory(core.uow_factory, clock, told.extend)
    core.registry.save_customer(
        Customer(tenant=tenant, customer_id=CustomerId("c1"), name="Firm", contact_name="Somebody")
    )
    for number in (1, 2):
        core.registry.save_site(_site(core, number, "north"))
        core.registry.register(_device(core, f"d{number}", number))
    assert directory.site_of(tenant, "d1") == "site-1"
    assert {found.device_id for found in told} == {"d1", "d2"}

    core.registry.register(_device(core, "d3", 2))
    core.registry.move(tenant, DeviceId("d1"), SiteId("site-2"))
    core.registry.retire(tenant, DeviceId("d2"))
    told.clear()
    clock.advance(timedelta(minutes=1))
    with monkeypatch.context() as unread:
        unread.setattr(directory, "_read_all", None)
        assert [directory.site_of(tenant, name) for name in ("d1", "d2", "d3")] == ["site-2", None, "site-2"]
    assert {found.device_id for found in told} == {"d1", "d2", "d3"}

    core.registry.save_site(_site(core, 2, "south"))
    clock.advance(timedelta(minutes=1))
    assert directory.site_of(tenant, "d1") == "site-2"
    assert {found.device_id for found in told if found.region == "south"} == {"d1", "d3"}


def test_what_the_store_could_not_hear_is_told_again(parts: tuple[Core, Telemetry]) -> None:
    core, _ = parts
    clock, told, away = VirtualClock(START), list[DeviceDimensions](), [True]

    def keep(devices: Sequence[DeviceDimensions]) -> None:
        if away:
            raise StoreUnavailable("not now")
        told.extend(devices)

    directory = CrmDirectory(core.uow_factory, clock, keep)
    core.registry.save_customer(
        Customer(tenant=core.tenant, customer_id=CustomerId("c1"), name="Firm", contact_name="Somebody")
    )
    core.registry.save_site(_site(core, 1, "north"))
    core.registry.register(_device(core, "d1", 1))
    assert directory.site_of(core.tenant, "d1") == "site-1"
    away.clear()
    clock.advance(timedelta(minutes=1))
    directory.refresh(core.tenant)
    assert [found.device_id for found in told] == ["d1"]


def _site(core: Core, number: int, region: str) -> Site:
    return Site(
        tenant=core.tenant,
        site_id=SiteId(f"site-{number}"),
        customer_id=CustomerId("c1"),
        name="",
        region=region,
    )


def _device(core: Core, name: str, site: int) -> Device:
    return Device(
        tenant=core.tenant,
        device_id=DeviceId(name),
        site_id=SiteId(f"site-{site}"),
        customer_id=CustomerId("c1"),
    )
