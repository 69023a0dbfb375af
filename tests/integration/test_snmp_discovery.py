"""Discovery over real UDP: exactly the printers are found, the rest is named, and the register is matched."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from collector.profiles import load_profiles
from collector.snmp.discovery import (
    Change,
    FoundPrinter,
    KnownDevice,
    NamedCredential,
    Searcher,
    legacy_warning,
    proposals,
    searchable,
)
from collector.snmp.engine import Community, UsmUser
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from collector.snmp.poller import Poller
from config.clock import SystemClock
from config.fault_code_files import load_fault_codes
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.errors import InvalidValue
from crm_core.domain.telemetry import DeviceIdentity, DeviceReading
from simulators.recordings import Recording, recording_agent
from simulators.snmp_fleet import SnmpFleetServer

PRINTER = "1.3.6.1.2.1.25.3.1.5"
HR_PRINTER = bytes((0x2B, 6, 1, 2, 1, 25, 3, 1, 5))


def printer_rows(serial: str):
    return (
        ("1.3.6.1.2.1.1.1.0", 4, b"SHARP MX-3570N"), ("1.3.6.1.2.1.1.3.0", 0x43, b"\x05"),
        ("1.3.6.1.2.1.2.2.1.6.1", 4, b"\0\0\0\0\0\0"), ("1.3.6.1.2.1.2.2.1.6.2", 4, b"\x00\x22\xf3" + serial.encode()[-3:]),
        ("1.3.6.1.2.1.25.3.2.1.2.1", 6, HR_PRINTER), ("1.3.6.1.2.1.25.3.5.1.1.1", 2, b"\x03"),
        ("1.3.6.1.2.1.43.5.1.1.17.1", 4, serial.encode()),
    )  # fmt: skip


def agents():
    served = [
        recording_agent(Recording(f"p{n}", printer_rows(f"S{n:05}")), community=b"site") for n in range(5)
    ]
    switch = (
        ("1.3.6.1.2.1.1.1.0", 4, b"A network switch"),
        ("1.3.6.1.2.1.1.2.0", 6, bytes((0x2B, 6, 1, 4, 1, 9))),
    )
    served.append(recording_agent(Recording("switch", switch), community=b"site"))
    served.append(recording_agent(Recording("secret", printer_rows("S99999")), community=b"other"))
    return served


def search(engine_class, port, networks, **options):
    seen = []

    async def main():
        engine = engine_class()
        poller = Poller(
            engine,
            profiles=load_profiles(),
            catalogue=Catalogue([]),
            book=load_fault_codes(),
            clock=SystemClock(),
        )
        searcher = Searcher(
            engine,
            poller,
            credentials=[NamedCredential("public", Community()), NamedCredential("site", Community("site"))],
            port=port,
            **{"try_seconds": 3.0} | options,  # a busy machine is no silent printer
        )
        try:
            return await searcher.search(networks, lambda done, of: seen.append((done, of)))
        finally:
            await engine.close()
            await asyncio.sleep(0)

    return asyncio.run(main()), seen


@pytest.mark.parametrize(
    ("engine_class", "network", "addresses"),
    [(DatagramEngine, "127.4.0.0/24", 254), (PysnmpEngine, "127.4.0.0/28", 14)],
)
def test_exactly_the_printers_are_found(engine_class, network, addresses):
    with SnmpFleetServer(agents(), SystemClock(), port=0, first_address="127.4.0.1") as server:
        networks = searchable([network], ["127.0.0.0/8"])
        result, seen = search(engine_class, server.port, networks, a_second=1000.0, at_once=256)
    assert [found.host for found in result.printers] == [f"127.4.0.{n}" for n in range(1, 6)]
    assert [found.serial for found in result.printers] == [f"S{n:05}" for n in range(5)]
    assert {(found.credential, found.version) for found in result.printers} == {("site", "2c")}
    assert result.printers[0].mac == "00:22:f3:30:30:30"
    assert [(row.host, row.description) for row in result.skipped] == [("127.4.0.6", "A network switch")]
    assert result.searched == addresses
    assert result.silent == addresses - 6
    assert seen[-1] == (addresses, addresses)


def test_the_rate_is_limited():
    with SnmpFleetServer([], SystemClock(), port=0, first_address="127.4.1.1") as server:
        result, seen = search(
            DatagramEngine,
            server.port,
            searchable(["127.4.1.0/30"], ["127.4.0.0/16"]),
            a_second=20.0,
            try_seconds=0.2,
        )
    assert result.searched == 2
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("networks", "allowed"),
    [(["10.0.0.0/24"], ["127.0.0.0/8"]), (["10.0.0.0/8"], ["10.0.0.0/8"]), (["nonsense"], ["10.0.0.0/8"]), (["10.0.0.0/24"], [])],
    ids=["not allowed", "too large", "no network", "nothing allowed"],
)  # fmt: skip
def test_what_may_not_be_searched_is_refused(networks, allowed):
    with pytest.raises(InvalidValue):
        searchable(networks, allowed)


def found(host, serial=None, mac=None) -> FoundPrinter:
    reading = DeviceReading(polled_at=datetime(2026, 1, 1, tzinfo=UTC))
    reading = msgspec.structs.replace(reading, identity=DeviceIdentity(serial=serial))
    return FoundPrinter(host=host, port=161, credential="site", version="2c", mac=mac, reading=reading)


KNOWN = [
    KnownDevice(device_id="a", host="10.0.0.1", serial="SA", mac="aa"),
    KnownDevice(device_id="b", host="10.0.0.2", serial="SB", mac="bb"),
    KnownDevice(device_id="c", host="10.0.0.3", mac="cc"),
]


@pytest.mark.parametrize(
    ("printers", "changes"),
    [
        ([found("10.0.0.1", "SA")], [(Change.KNOWN, "a")]),
        ([found("10.0.0.9", "SA")], [(Change.MOVED, "a")]),
        ([found("10.0.0.1", "SX", "xx")], [(Change.SWAPPED, "a")]),
        ([found("10.0.0.8", "SX", "xx")], [(Change.NEW, None)]),
        (
            [found("10.0.0.1", "SA"), found("10.0.0.8", "SA", "zz")],
            [(Change.KNOWN, "a"), (Change.CLONED, "a")],
        ),
        ([found("10.0.0.7", "SN"), found("10.0.0.8", "SN")], [(Change.CLONED, None), (Change.CLONED, None)]),
        ([found("10.0.0.9", None, "cc")], [(Change.MOVED, "c")]),
        ([found("10.0.0.3", None, "yy")], [(Change.SWAPPED, "c")]),
        ([found("10.0.0.2", "SA"), found("10.0.0.1", "SB")], [(Change.MOVED, "a"), (Change.MOVED, "b")]),
        ([found("10.0.0.1")], [(Change.KNOWN, "a")]),
    ],
)
def test_found_printers_are_matched_with_the_register(printers, changes):
    assert [(row.change, row.device_id) for row in proposals(printers, KNOWN)] == changes


def test_weak_credentials_are_pointed_out():
    assert "everyone" in legacy_warning(Community("public"))
    assert legacy_warning(Community("s3cret-name")) is None
    assert "broken" in legacy_warning(UsmUser("u", "md5", "long-enough", "des", "long-enough"))
    assert legacy_warning(UsmUser("u", "sha256", "long-enough", "aes128", "long-enough")) is None
