"""The trap watch of a process: a registered device's trap wakes it, a stranger's does not."""

import socket
import threading

import pytest

from config.settings import load_settings
from config.trap_watch import TrapWatch
from config.wiring.snmp import open_credentials
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.fleet import Device, SnmpAddress
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.storage.memory import make_memory_uow_factory
from simulators.snmp_fleet import alert_trap

ROWS = {"1.3.6.1.2.1.43.18.1.1.2.1.7": 3}


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def watch(tmp_path, port, wake) -> TrapWatch:
    settings = load_settings(None).changed(general={"data_dir": tmp_path}, snmp={"trap_port": port})
    factory = make_memory_uow_factory()
    with factory() as uow:
        uow.devices.save(
            Device(tenant=TenantId("default"), device_id=DeviceId("d-1"), snmp=SnmpAddress(host="127.0.0.21"))
        )
        uow.commit()
    return TrapWatch(wake, factory, TenantId("default"), settings.snmp, open_credentials(settings))


def send(port, source):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.sendto(alert_trap(b"public", ROWS, 100), ("127.0.0.1", port))


def test_a_trap_of_a_registered_device_wakes_it_once(tmp_path):
    woken, called = [], threading.Event()

    def wake(device_id: str) -> bool:
        woken.append(device_id)
        called.set()
        return True

    watching = watch(tmp_path, free_port(), wake)
    watching.start()
    try:
        send(watching.port, "127.0.0.99")
        for _ in range(3):
            send(watching.port, "127.0.0.21")
        assert called.wait(60)
    finally:
        watching.stop()
    assert woken == ["d-1"]
    assert watching.statistics.dropped == {"unknown_source": 1}


def test_a_port_that_is_taken_is_said_plainly(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        with pytest.raises(InvalidConfiguration, match="trap_port"):
            watch(tmp_path, taken.getsockname()[1], lambda _: True).start()
