"""Serves simulated printers of 50 values over real UDP, as a process of its own, so that its CPU is not counted.

Usage: python -m tests.benchmarks.snmp_responder AGENTS PORT [DEAD_SHARE LOSS]; prints `ready` and serves until its stdin
closes. Every n-th agent is dead where DEAD_SHARE = 1/n; LOSS is the chance that a request is lost.
"""

import sys

from config.clock import SystemClock
from simulators import usm
from simulators.recordings import Recording, recording_agent
from simulators.snmp_faults import SnmpFaults
from simulators.snmp_fleet import SnmpFleetServer

SUPPLIES = "1.3.6.1.2.1.43.11.1.1"
FIRST_ADDRESS = "127.10.0.1"
OIDS = (
    "1.3.6.1.2.1.1.1.0", "1.3.6.1.2.1.1.3.0",
    *(f"{SUPPLIES}.{column}.1.{row}" for column in (4, 5, 6, 7, 8, 9) for row in range(1, 9)),
)[:45]  # fmt: skip
USER = usm.UsmUser(
    name="reader", auth="SHA256", auth_password="auth-password", priv="AES", priv_password="priv-password"
)


def rows() -> tuple[tuple[str, int, bytes], ...]:
    values = [("1.3.6.1.2.1.1.1.0", 4, b"A simulated printer"), ("1.3.6.1.2.1.1.3.0", 0x43, b"\x12\x34\x56")]
    for column in (4, 5, 6, 7, 8, 9):
        for row in range(1, 9):
            text = f"Black Toner Cartridge {row}".encode()
            values.append(
                (f"{SUPPLIES}.{column}.1.{row}", 4 if column == 6 else 2, text if column == 6 else b"\x32")
            )
    return tuple(values)


def main(agents: int, port: int, dead: float = 0.0, loss: float = 0.0) -> None:
    every = round(1 / dead) if dead else 0
    clock = SystemClock()
    recording = Recording("bench", rows())
    served = []
    for number in range(agents):
        agent = recording_agent(recording)
        agent.engine = usm.Engine(b"\x80\x00\x1f\x88\x04" + number.to_bytes(4, "big"), clock.now())
        is_dead = bool(every) and number % every == every - 1
        if is_dead or loss:
            agent.faults = SnmpFaults(dead=is_dead, loss=loss, seed=number)
        served.append(agent)
    with SnmpFleetServer(served, clock, port=port, first_address=FIRST_ADDRESS, users=[USER]) as server:
        print(f"ready {server.port}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:5]))
