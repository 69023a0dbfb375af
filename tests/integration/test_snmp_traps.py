"""Traps and informs over real UDP: a fresh reading at once, strangers and storms kept out, informs acknowledged."""

import asyncio
import shutil
import socket
import subprocess

import pytest

from collector.profiles import load_profiles
from collector.snmp.ber import Malformed
from collector.snmp.engine import UsmUser
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.poller import Poller, PollTarget
from collector.snmp.traps import Repolls, TrapReceiver, check_notification
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from simulators.recordings import Recording, recording_agent
from simulators.snmp_fleet import SnmpFleetServer, alert_trap

ALERT = "1.3.6.1.2.1.43.18.1.1"
ROWS = {f"{ALERT}.1.1.7": 7, f"{ALERT}.2.1.7": 3, f"{ALERT}.4.1.7": 13, f"{ALERT}.7.1.7": 8}


def run(work, **options):
    async def main():
        errors, traps = [], []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        receiver = TrapReceiver(
            options.pop("on_trap", traps.append),
            is_known=options.pop("is_known", lambda host: host.startswith("127.")),
            host="127.0.0.1",
            port=0,
            **options,
        )
        port = await receiver.start()
        try:
            return await work(receiver, port, traps), errors
        finally:
            await receiver.stop()

    result, errors = asyncio.run(main())
    assert errors == []
    return result


async def until(condition, seconds=30.0):
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def send(port, *datagrams, source="127.0.0.1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        for datagram in datagrams:
            sock.sendto(datagram, ("127.0.0.1", port))


def test_a_printer_alert_is_understood():
    async def work(_, port, traps):
        send(port, alert_trap(b"public", ROWS, 100), source="127.0.0.7")
        await until(lambda: traps)
        return traps

    (trap,) = run(work)
    assert trap.host == "127.0.0.7"
    assert trap.is_printer_alert
    assert trap.alert == {"severity": 3, "group": 13, "code": 8}


def test_strangers_wrong_communities_and_noise_do_not_come_through():
    async def work(receiver, port, traps):
        send(port, alert_trap(b"public", ROWS, 100), source="127.9.9.9")
        send(port, b"noise", b"\x30\x00", alert_trap(b"public", ROWS, 100)[:-3], source="127.0.0.1")
        send(port, alert_trap(b"secret", ROWS, 100), source="127.0.0.1")
        await until(lambda: receiver.statistics.received >= 5)
        await asyncio.sleep(0.05)
        return traps, receiver.statistics.dropped

    traps, dropped = run(work, is_known=lambda host: host == "127.0.0.1")
    assert traps == []
    assert dropped == {"unknown_source": 1, "malformed": 3}


def test_a_storm_of_one_device_does_not_keep_others_out():
    async def work(receiver, port, traps):
        send(port, *[alert_trap(b"public", ROWS, 100)] * 500, source="127.0.0.2")
        send(port, alert_trap(b"public", ROWS, 100), source="127.0.0.3")
        await until(lambda: any(trap.host == "127.0.0.3" for trap in traps))
        return len(traps), receiver.statistics

    seen, statistics = run(work)
    assert seen <= 20
    assert statistics.dropped["device_rate"] >= 480


def test_a_trap_leads_to_a_fresh_reading_at_once():
    recording = Recording(
        "trapping", (("1.3.6.1.2.1.1.1.0", 4, b"SHARP MX-1"), ("1.3.6.1.2.1.1.3.0", 0x43, b"\x05"))
    )
    server = SnmpFleetServer([recording_agent(recording)], SystemClock(), port=0, first_address="127.3.7.1")

    async def main():
        engine, readings = DatagramEngine(), []
        poller = Poller(
            engine,
            profiles=load_profiles(),
            catalogue=Catalogue([]),
            book=load_fault_codes(),
            clock=SystemClock(),
        )

        async def poll(host):
            readings.append(await poller.poll(PollTarget(host=host, port=server.port)))

        repolls = Repolls(poll)
        receiver = TrapReceiver(
            lambda trap: repolls.ask(trap.host), is_known=lambda _: True, host="127.0.0.1", port=0
        )
        port = await receiver.start()
        server.send_trap(0, ("127.0.0.1", port), ROWS, 100)
        await until(lambda: readings)
        await receiver.stop()
        await repolls.stop()
        await engine.close()
        return readings

    with server:
        readings = asyncio.run(main())
    assert [reading.identity.model for reading in readings] == ["MX-1"]


def test_a_burst_of_traps_leads_to_one_more_poll():
    async def main():
        polls, answered = [], asyncio.Event()

        async def poll(host):
            polls.append(host)
            await answered.wait()

        repolls = Repolls(poll, quiet_seconds=0.0)
        repolls.ask("printer")
        await until(lambda: polls)
        for _ in range(20):  # while the first poll runs
            repolls.ask("printer")
        answered.set()
        await until(lambda: len(polls) > 1)
        repolls.ask("other")
        await until(lambda: "other" in polls)
        await repolls.stop()
        return polls, repolls.merged

    assert asyncio.run(main()) == (["printer", "printer", "other"], 19)


@pytest.mark.server
@pytest.mark.skipif(shutil.which("snmpinform") is None, reason="install net-snmp: sudo apt-get install snmp")
@pytest.mark.parametrize("version", ["2c", "3"])
def test_informs_of_net_snmp_are_acknowledged(version):
    user = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")
    secrets = ["-v2c", "-cpublic"] if version == "2c" else [
        "-v3", "-ureader", "-lauthPriv", "-aSHA-256", "-Aauth-password", "-xAES", "-Xpriv-password"
    ]  # fmt: skip

    async def work(_, port, traps):
        command = ["snmpinform", *secrets, "-r1", "-t3", f"127.0.0.1:{port}", "5", "1.3.6.1.2.1.43.18.2.0.1"]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        return traps, done

    traps, done = run(work, users=[user])
    assert done.returncode == 0, done.stderr
    assert [trap.is_printer_alert for trap in traps] == [True]


@pytest.mark.server
@pytest.mark.skipif(shutil.which("snmptrap") is None, reason="install net-snmp: sudo apt-get install snmp")
def test_a_v1_trap_of_net_snmp_is_understood():
    async def work(_, port, traps):
        command = [
            "snmptrap",
            "-v1",
            "-cpublic",
            f"127.0.0.1:{port}",
            "1.3.6.1.2.1.43.18.2",
            "127.0.0.1",
            "6",
            "1",
            "5",
        ]
        await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
        await until(lambda: traps)
        return traps

    (trap,) = run(work)
    assert trap.is_printer_alert


@pytest.mark.server
@pytest.mark.skipif(shutil.which("snmptrap") is None, reason="install net-snmp: sudo apt-get install snmp")
def test_v3_traps_of_net_snmp_are_understood_without_being_told_the_engine_id():
    user = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")

    def command(engine_id, port, password="auth-password"):
        secrets = ["-v3", "-ureader", "-lauthPriv", "-aSHA-256", f"-A{password}", "-xAES", "-Xpriv-password"]
        where = [f"-e{engine_id}", f"127.0.0.1:{port}", "5", "1.3.6.1.2.1.43.18.2.0.1"]
        return ["snmptrap", *secrets, *where]

    async def work(_, port, traps):
        for engine_id, password in (
            ("0x8000000001020304", "auth-password"),
            ("0x80000000aabbccdd", "wrong-password"),
            ("0x8000000005060708", "auth-password"),  # the machine at this address was exchanged
        ):
            await asyncio.to_thread(
                subprocess.run, command(engine_id, port, password), capture_output=True, check=True
            )
        await until(lambda: len(traps) == 2)
        return traps

    traps = run(work, users=[user])
    assert [trap.is_printer_alert for trap in traps] == [True, True]


@pytest.mark.parametrize("cut", range(1, 90, 7))
def test_cut_notifications_are_malformed(cut):
    with pytest.raises(Malformed):
        check_notification(alert_trap(b"public", ROWS, 100)[:cut])
