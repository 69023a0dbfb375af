"""A night over 1,000 customers with 10,000 devices: classification with three months of counters, and the reminders."""

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from config.catalogue_files import load_catalogue
from config.wiring.customers import build_customers
from crm_core.domain.fleet import InstalledPeriod
from crm_core.domain.identity import CustomerId, DeviceId, SiteId
from crm_core.storage.sqlalchemy_uow import make_uow_factory, migrate
from tests.builders import T0, TENANT, ManualClock, a_contract, a_customer, a_device, a_site
from tests.policies import a_policy

CUSTOMERS, EACH = 1000, 10


class Counters:
    """Roll-ups of every device and day, as the telemetry store yields them."""

    def daily_meters(self, tenant: str, first: int, last: int) -> Iterator[SimpleNamespace]:
        for customer in range(CUSTOMERS):
            for number in range(EACH):
                for day in range(first, last + 1):
                    yield SimpleNamespace(device_id=f"d{customer}-{number}", day=day, pages=120)


def a_large_firm(uow_factory) -> None:
    with uow_factory() as uow:
        for number in range(CUSTOMERS):
            key, site = f"c{number}", f"s{number}"
            uow.customers.save(a_customer(key))
            uow.sites.save(a_site(site, key))
            uow.contracts.save(a_contract(f"k{number}", key))
            for place in range(EACH):
                device = DeviceId(f"d{number}-{place}")
                uow.devices.save(a_device(device, site, key))
                uow.devices.save_period(
                    InstalledPeriod(
                        tenant=TENANT,
                        device_id=device,
                        site_id=SiteId(site),
                        customer_id=CustomerId(key),
                        contract_id=None,
                        from_instant=T0.replace(year=2025),
                    )
                )
        uow.commit()


@pytest.mark.heavy
def test_a_night_over_ten_thousand_devices(tmp_path):
    url = f"sqlite:///{tmp_path}/crm.db"
    migrate(url)
    factory, reading = make_uow_factory(url), make_uow_factory(url, read_only=True)
    a_large_firm(factory)
    clock = ManualClock()
    customers = build_customers(factory, clock, a_policy(), load_catalogue(), Counters(), reading=reading)
    spent = []
    for moves in (True, False):
        begun = time.process_time()
        found = customers.classifier.run(TENANT)
        classified = time.process_time()
        customers.reminders.run(TENANT)
        spent.append((classified - begun, time.process_time() - classified))
        assert bool(found.moves) is moves
        clock.advance(days=1)
    print(f"classification and reminders, CPU seconds: {spent}")
    assert max(seconds for each in spent for seconds in each) < 60
    factory.close()
    reading.close()
