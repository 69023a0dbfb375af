"""SNMP engines side by side: one responder, the same 45 values, devices per CPU-second of the client, in one run.

Guards are on in all our engines. Peers: pysnmp's own v3arch API without guards and without MIB lookup, net-snmp's
snmpbulkget (a process a device), prometheus-snmp-exporter when it is installed. Floors are those of issue 4, with slack for a
busy machine; the printed ratios are the figures to quote.
"""

import asyncio
import ipaddress
import os
import resource
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from collector.snmp.engine import Allowance, Community, RoundTrips, SnmpTarget, UsmUser
from collector.snmp.engine_datagram import DatagramEngine
from collector.snmp.engine_gufo import GufoEngine
from collector.snmp.engine_pysnmp import PysnmpEngine
from tests.benchmarks.snmp_responder import FIRST_ADDRESS, OIDS, SUPPLIES

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(600)]
V3 = UsmUser("reader", "sha256", "auth-password", "aes128", "priv-password")
AGENTS = 200


@dataclass
class Result:
    name: str
    devices: int
    lost: int
    cpu: float
    wall: float

    @property
    def rate(self) -> float:
        return self.devices / self.cpu


@contextmanager
def responder(agents: int = AGENTS, *faults: float):
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.snmp_responder", str(agents), "0", *map(str, faults)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    try:
        yield int(process.stdout.readline().split()[1])
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


def address(number: int) -> str:
    return str(ipaddress.ip_address(FIRST_ADDRESS) + number)


async def ours(engine, name, port, credential, polls, *, at_once=50) -> Result:
    trips = [RoundTrips() for _ in range(AGENTS)]
    lost = 0

    async def sweep(count):
        nonlocal lost
        turns = iter(range(count))

        async def work():
            nonlocal lost
            for turn in turns:
                number = turn % AGENTS
                target = SnmpTarget(address(number), port, credential)
                got = await engine.get(target, OIDS, Allowance(trips=trips[number]))
                lost += len(got) != len(OIDS)

        await asyncio.gather(*(work() for _ in range(at_once)))

    try:
        await sweep(AGENTS)  # discovery, caches, round trips
        cpu, wall = time.process_time(), time.monotonic()
        await sweep(polls)
        return Result(name, polls, lost, time.process_time() - cpu, time.monotonic() - wall)
    finally:
        await engine.close()


async def plain_pysnmp(port, polls, *, at_once=30) -> Result:
    from pysnmp.hlapi.v3arch import asyncio as hlapi

    engine, community = hlapi.SnmpEngine(), hlapi.CommunityData("public")
    targets = [
        await hlapi.UdpTransportTarget.create((address(number), port), timeout=10, retries=0)
        for number in range(AGENTS)
    ]
    wanted = [hlapi.ObjectType(hlapi.ObjectIdentity(oid)) for oid in OIDS]
    lost = 0

    async def sweep(count):
        nonlocal lost
        turns = iter(range(count))

        async def work():
            nonlocal lost
            for turn in turns:
                error, _, _, rows = await hlapi.get_cmd(
                    engine, community, targets[turn % AGENTS], hlapi.ContextData(), *wanted, lookupMib=False
                )
                lost += error is not None or len(rows) != len(OIDS)

        await asyncio.gather(*(work() for _ in range(at_once)))

    await sweep(30)
    cpu, wall = time.process_time(), time.monotonic()
    await sweep(polls)
    result = Result(
        "pysnmp v3arch, no guards", polls, lost, time.process_time() - cpu, time.monotonic() - wall
    )
    engine.close_dispatcher()
    return result


def bulkget(port, polls) -> Result:
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    lost = 0
    for number in range(polls):
        done = subprocess.run(
            ["snmpbulkget", "-v2c", "-cpublic", "-On", "-Cr45", f"{address(number)}:{port}", f"{SUPPLIES}.3"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        lost += done.stdout.count("\n") < 45
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Result("net-snmp snmpbulkget", polls, lost, cpu, time.monotonic() - wall)


EXPORTER = os.environ.get("DRUMBEAT_SNMP_EXPORTER") or shutil.which("prometheus-snmp-exporter")


def exporter_config(folder: Path) -> Path:
    metrics = "".join(
        f"""
    - name: supply_{column}
      oid: {SUPPLIES}.{column}
      type: {"DisplayString" if column == 6 else "gauge"}
      help: column {column}
      indexes: [{{labelname: device, type: gauge}}, {{labelname: supply, type: gauge}}]"""
        for column in (4, 5, 6, 7, 8, 9)
    )
    path = folder / "snmp.yml"
    path.write_text(
        f"printer:\n  version: 2\n  auth: {{community: public}}\n  get: [1.3.6.1.2.1.1.3.0]\n"
        f"  walk: [{SUPPLIES}]\n  metrics:{metrics}\n"
    )
    return path


def exporter(port, polls, folder) -> Result:
    log = (folder / "exporter.log").open("w")
    process = subprocess.Popen(
        [EXPORTER, f"--config.file={exporter_config(folder)}", "--web.listen-address=127.0.0.1:19116"],
        stdout=log, stderr=log, env={**os.environ, "GOMAXPROCS": "1"},
    )  # fmt: skip
    try:
        url = "http://127.0.0.1:19116/snmp?module=printer&target="
        _until_up(f"{url}{address(0)}:{port}")
        cpu, wall, lost = _cpu_of(process.pid), time.monotonic(), 0
        for number in range(polls):
            with urllib.request.urlopen(f"{url}{address(number % AGENTS)}:{port}") as answer:
                lost += answer.read().count(b"\nsupply_") < 45
        return Result(
            "prometheus-snmp-exporter", polls, lost, _cpu_of(process.pid) - cpu, time.monotonic() - wall
        )
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def _until_up(url: str) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show(results: list[Result]) -> None:
    base = next(row.rate for row in results if row.name.startswith("pysnmp v3arch"))
    print(
        f"\n{'engine (45 values a device)':34}{'devices/CPU-s':>14}{'wall/s':>9}{'lost':>6}{'x pysnmp':>10}"
    )
    for row in results:
        print(
            f"{row.name:34}{row.rate:>14,.0f}{row.devices / row.wall:>9,.0f}{row.lost:>6}{row.rate / base:>10.1f}"
        )


def test_engines_side_by_side(tmp_path):
    with responder() as port:
        results = [
            asyncio.run(ours(DatagramEngine(), "ours, v2c", port, Community(), 8000)),
            asyncio.run(ours(DatagramEngine(), "ours, v3 authPriv", port, V3, 4000)),
            asyncio.run(
                ours(DatagramEngine(), "ours, v2c, 500 at once", port, Community(), 8000, at_once=500)
            ),
            asyncio.run(ours(GufoEngine(), "gufo behind our port, v2c", port, Community(), 2000)),
            asyncio.run(
                ours(PysnmpEngine(), "pysnmp behind our port, v2c", port, Community(), 120, at_once=20)
            ),
            asyncio.run(plain_pysnmp(port, 120)),
        ]
        if shutil.which("snmpbulkget"):
            results.append(bulkget(port, 40))
        if EXPORTER:
            results.append(exporter(port, 200, tmp_path))
    show(results)
    rate = {row.name: row.rate for row in results}
    assert all(row.lost == 0 for row in results[:4])
    assert rate["ours, v2c"] >= 40 * rate["pysnmp v3arch, no guards"]
    assert rate["ours, v3 authPriv"] >= 0.4 * rate["ours, v2c"]
    if "prometheus-snmp-exporter" in rate:
        assert rate["ours, v2c"] >= 4 * rate["prometheus-snmp-exporter"]
