"""The poll groups of a process: due times survive a restart, a dead device is backed off, a trap-like wake polls at once."""

import time
from datetime import UTC, datetime

from collector.dead_letters import MemoryDeadLetters
from collector.due_times import SqliteDueTimes
from collector.ingest import Ingest
from collector.profiles import load_profiles
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller
from collector.stores.memory import MemoryTelemetryStore
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from config.polling import PollGroups
from config.settings import load_settings
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import Customer, Device, Site, SnmpAddress
from crm_core.domain.identity import CustomerId, DeviceId, SiteId, TenantId
from crm_core.signals import Conclusion
from crm_core.storage.memory import make_memory_uow_factory
from simulators.recordings import Recording, recording_agent
from simulators.snmp_fleet import SnmpFleetServer

ROWS = (("1.3.6.1.2.1.1.1.0", 4, b"SHARP MX-1"), ("1.3.6.1.2.1.1.3.0", 0x43, b"\x05"))
TENANT = TenantId("default")


def groups(tmp_path, port):
    settings = load_settings(None).changed(snmp={"retries": 0, "device_deadline_seconds": 0.5}).snmp
    clock, factory, store = SystemClock(), make_memory_uow_factory(), MemoryTelemetryStore()
    with factory() as uow:
        uow.customers.save(
            Customer(tenant=TENANT, customer_id=CustomerId("c"), name="Acme", contact_name="A")
        )
        uow.sites.save(
            Site(tenant=TENANT, site_id=SiteId("s"), customer_id=CustomerId("c"), name="HQ", region="r")
        )
        for name, host in (("alive", "127.4.9.1"), ("dead", "127.4.9.2")):
            address = SnmpAddress(host=host, port=port)
            uow.devices.save(
                Device(
                    tenant=TENANT,
                    device_id=DeviceId(name),
                    site_id=SiteId("s"),
                    customer_id=CustomerId("c"),
                    snmp=address,
                )
            )
        uow.commit()
    engine = DatagramEngine()
    poller = Poller(
        engine,
        profiles=load_profiles(),
        catalogue=Catalogue([]),
        book=load_fault_codes(),
        clock=clock,
        seconds_a_poll=0.5,
        repeats=0,
    )
    ingest = Ingest(store, lambda *_: Conclusion((), None), MemoryDeadLetters(), clock)
    return PollGroups(
        poller, engine, ingest, factory, clock, tenant=TENANT, settings=settings, groups=1,
        due_times=SqliteDueTimes(tmp_path / "due.sqlite"),
    ), store  # fmt: skip


def test_readings_land_the_dead_is_backed_off_and_due_times_survive(tmp_path):
    with SnmpFleetServer(
        [recording_agent(Recording("alive", ROWS))], SystemClock(), port=0, first_address="127.4.9.1"
    ) as server:
        polling, store = groups(tmp_path, server.port)
        polling.start()
        try:
            for _ in range(3):
                polling.sweep(0)
            assert polling.wake("alive")
            assert polling.tick(0) == 1
            end = time.monotonic() + 5
            while polling.counters.polled < 4 and time.monotonic() < end:
                time.sleep(0.02)
        finally:
            polling.stop()
        assert polling.counters.polled == 4
        assert polling.counters.unreachable + polling.counters.misbehaved == 3
        assert store.newest(TENANT, DeviceId("alive")).identity.model == "MX-1"
        saved = {record.key: record for record in SqliteDueTimes(tmp_path / "due.sqlite").load()}
        assert saved["dead"].failures == 3
        assert saved["dead"].due_at > datetime.now(UTC)
        assert saved["alive"].failures == 0
        again, _ = groups(tmp_path, server.port)
        again.start()
        assert again.tick(0) == 0  # nobody is due: the grid and the back-off go on
        again.stop()
