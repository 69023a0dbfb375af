"""One responder as a process of its own, so that its CPU and memory can be read from outside.

Usage: python -m tests.benchmarks.fleet_responder fleet AGENTS | recording FILE.snmprec | pysnmp FILE.snmprec
Prints `ready PORT`, then after each line on stdin `cpu SECONDS rss BYTES`; ends with stdin.
"""

import asyncio
import gc
import resource
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from pysnmp.carrier.asyncio.dgram import udp
from pysnmp.entity import config, engine
from pysnmp.entity.rfc3413 import cmdrsp, context
from pysnmp.proto.api import v2c
from pysnmp.smi.instrum import AbstractMibInstrumController

from simulators.device import Fleet, make_roster
from simulators.models import default_models
from simulators.recordings import Recording, read_recording, recording_agent
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents

NOON = datetime(2025, 3, 5, 4, 0, tzinfo=UTC)
FIRST_ADDRESS = "127.11.0.1"
TYPES = {
    2: v2c.Integer32,
    4: v2c.OctetString,
    65: v2c.Counter32,
    66: v2c.Gauge32,
    67: v2c.TimeTicks,
    70: v2c.Counter64,
}


class FixedClock:
    def now(self) -> datetime:
        return NOON


def fleet_server(count: int) -> SnmpFleetServer:
    fleet = Fleet(make_roster(count, default_models(), seed=1), seed=1, start=date(2025, 3, 3), keep_days=1)
    agents = fleet_agents(fleet, NOON)
    for agent in agents:
        agent.look(NOON)
    return SnmpFleetServer(agents, FixedClock(), first_address=FIRST_ADDRESS)


class Rows(AbstractMibInstrumController):
    """A recording for pysnmp's responder: GET only, a dictionary look-up a row."""

    def __init__(self, recording: Recording) -> None:
        self.rows: Mapping[tuple[int, ...], object] = {
            tuple(int(part) for part in name.split(".")): TYPES[tag](
                content if tag == 4 else int.from_bytes(content, "big", signed=tag == 2)
            )
            for name, tag, content in recording.rows
            if tag in TYPES
        }

    def read_variables(self, *varbinds, **_):
        return [(name, self.rows.get(tuple(name), v2c.NoSuchInstance())) for name, _value in varbinds]


def serve_pysnmp(recording: Recording) -> None:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    snmp = engine.SnmpEngine()
    transport = udp.UdpTransport().open_server_mode(("127.0.0.1", 0))
    config.add_transport(snmp, udp.DOMAIN_NAME, transport)
    config.add_v1_system(snmp, "area", "public")
    config.add_vacm_user(snmp, 2, "area", "noAuthNoPriv", (1, 3))
    served = context.SnmpContext(snmp)
    served.unregister_context_name(b"")
    served.register_context_name(b"", Rows(recording))
    cmdrsp.GetCommandResponder(snmp, served)

    async def tell() -> None:
        while transport.transport is None:  # noqa: ASYNC110 - pysnmp offers no event for "bound"
            await asyncio.sleep(0.01)
        print("ready", transport.transport.get_extra_info("sockname")[1], flush=True)

    loop.run_until_complete(tell())
    threading.Thread(target=answer_questions, daemon=True).start()
    loop.run_forever()


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def answer_questions() -> None:
    for _ in sys.stdin:
        used = resource.getrusage(resource.RUSAGE_SELF)
        print("cpu", used.ru_utime + used.ru_stime, "rss", resident_bytes(), flush=True)


def main(kind: str, what: str) -> None:
    if kind == "pysnmp":
        serve_pysnmp(read_recording(Path(what)))
        return
    if kind == "fleet":
        server = fleet_server(int(what))
    else:
        agent = recording_agent(read_recording(Path(what)))
        server = SnmpFleetServer([agent], FixedClock(), first_address="127.0.0.1")
    with server:
        print("ready", server.port, flush=True)
        answer_questions()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
