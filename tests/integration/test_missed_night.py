"""A missed night is made up for once, by whichever node leads, without keeping the desk waiting, whatever the models' folder is like."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from config.clock import VirtualClock
from config.settings import load_settings
from config.wiring.analysing import Desk, build_desk, missed_night_round
from config.wiring.core import Core, open_core
from config.wiring.telemetry import Telemetry, open_telemetry
from crm_core.domain.fleet import Customer, Device, Site
from crm_core.domain.identity import CustomerId, DeviceId, SiteId
from tests.telemetry_readings import START, reading

_DAY_MINUTES = 24 * 60
Node = tuple[Core, Telemetry, Desk]


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Callable[[VirtualClock], Node]]:
    """Give nodes over one data folder, as two processes have them."""
    settings = load_settings(environment={}).changed(general={"data_dir": str(tmp_path)})
    opened: list[Telemetry] = []

    def start(clock: VirtualClock) -> Node:
        core = open_core(settings, clock)
        opened.append(open_telemetry(core))
        return core, opened[-1], build_desk(core, opened[-1].store)

    yield start
    for telemetry in opened:
        telemetry.close()


def _seen(core: Core, telemetry: Telemetry, days: range) -> None:
    """Register one device and land a reading of each day."""
    tenant, customer, site = core.tenant, CustomerId("c1"), SiteId("site-1")
    core.registry.save_customer(
        Customer(tenant=tenant, customer_id=customer, name="Firm", contact_name="Somebody")
    )
    core.registry.save_site(Site(tenant=tenant, site_id=site, customer_id=customer, name="", region="north"))
    core.registry.register(
        Device(tenant=tenant, device_id=DeviceId("d1"), site_id=site, customer_id=customer)
    )
    _land(telemetry, days)


def _land(telemetry: Telemetry, days: range) -> None:
    telemetry.ingest.land(
        [
            reading("d1", seq=day + 1, minutes=day * _DAY_MINUTES, pages=1000 + 40 * day, toner=80 - 2 * day)
            for day in days
        ]
    )


@contextmanager
def _desk_lock(seen: list[str], desk: Desk, core: Core) -> Iterator[None]:
    """Stand for the lock of the desk: notes how far the night was when somebody asked for it."""
    seen.append(str(desk.forecaster.finished(core.tenant)))
    yield


def test_a_missed_night_is_made_up_for_once_and_the_desk_waits_for_triage_only(
    node: Callable[[VirtualClock], Node],
) -> None:
    clock = VirtualClock(START + timedelta(days=5))
    core, telemetry, desk = node(clock)
    _seen(core, telemetry, range(5))
    asked: list[str] = []
    assert missed_night_round(core, desk, _desk_lock(asked, desk, core)) > 0
    yesterday = clock.now().date() - timedelta(days=1)
    assert desk.forecaster.finished(core.tenant) == yesterday
    assert missed_night_round(core, desk, _desk_lock(asked, desk, core)) == 0
    assert asked == [str(yesterday)]  # once, and only after the forecasts were saved

    clock.advance(timedelta(days=3))  # three nights without power
    _land(telemetry, range(5, 8))
    assert missed_night_round(core, desk, _desk_lock(asked, desk, core)) > 0
    assert desk.forecaster.finished(core.tenant) == yesterday + timedelta(days=3)
    assert len(asked) == 2


def test_what_one_node_made_the_other_does_not_make_again(node: Callable[[VirtualClock], Node]) -> None:
    clock = VirtualClock(START + timedelta(days=5))
    core, telemetry, desk = node(clock)
    _seen(core, telemetry, range(5))
    other_core, _, other_desk = node(clock)
    asked: list[str] = []
    assert missed_night_round(core, desk, _desk_lock(asked, desk, core)) > 0
    with core.uow_factory() as uow:
        made = uow.forecasts.for_device(core.tenant, DeviceId("d1"))
    assert missed_night_round(other_core, other_desk, _desk_lock(asked, other_desk, other_core)) == 0
    with other_core.uow_factory() as uow:
        assert uow.forecasts.for_device(core.tenant, DeviceId("d1")) == made
    assert len(asked) == 1


@pytest.mark.parametrize("damage", ["supplies", "failures", "state"])
def test_a_night_is_made_whatever_became_of_the_files(
    node: Callable[[VirtualClock], Node], damage: str
) -> None:
    clock = VirtualClock(START + timedelta(days=5))
    core, telemetry, desk = node(clock)
    _seen(core, telemetry, range(5))
    folder = core.settings.models_folder / core.tenant
    (folder / damage).mkdir(parents=True)
    (folder / damage / "champion").write_text("3", encoding="utf-8")
    (folder / "state.bin").write_bytes(b"torn")
    report = desk.forecaster.run(core.tenant, clock.now().date() - timedelta(days=1))
    assert report.forecasts > 0
    assert report.models == {"supplies": "formula", "failures": "rule"}
    assert set(report.refused) == {damage} - {"state"}
    assert "the kept state was refused" in (report.walked_because or "")
