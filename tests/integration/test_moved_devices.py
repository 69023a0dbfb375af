"""A device that is moved in the register counts where it stands now: in the store's figures, and for its readings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from config.clock import SystemClock
from config.settings import load_settings
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.fleet import Customer, Device, Site
from crm_core.domain.identity import CustomerId, DeviceId, SiteId
from crm_core.domain.standing import StandingFilter
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
        core.registry.save_site(
            Site(
                tenant=tenant, site_id=SiteId(f"site-{number}"), customer_id=customer, name="", region=region
            )
        )
    for name in ("d1", "d2"):
        core.registry.register(
            Device(tenant=tenant, device_id=DeviceId(name), site_id=SiteId("site-1"), customer_id=customer)
        )
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
