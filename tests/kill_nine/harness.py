"""Kills agent, broker, collector and InfluxDB at random moments and balances the ledger afterwards.

generated = stored + waiting + dead-lettered + counted drops. The ring numbers what is generated and forgets only what a
mark covers, so a reading that was acknowledged and lost can never be made good: the ledger stays open.
"""

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from collector.outbox import InfluxForwarder, Outbox
from collector.stores.influx_gaps import JournalComparison
from collector.stores.influxdb import InfluxEndpoint, InfluxServer
from collector.stores.sqlite import SqliteTelemetryStore
from config.clock import SystemClock
from crm_core.domain.errors import DrumbeatError
from crm_core.domain.identity import TenantId
from tests.telemetry_servers import Daemon, InfluxDaemon

PROJECT = Path(__file__).resolve().parents[2]
TENANT = TenantId("default")


class Program:
    """One of our own processes; notes how long it took from its start to its first durable reading."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = [sys.executable, "-m", f"tests.kill_nine.{module}", *arguments]
        self._process: subprocess.Popen[str] | None = None
        self.recoveries: list[float] = []
        self.landed = False  # in its present life

    def start(self) -> None:
        began, self.landed = time.monotonic(), False
        self._process = subprocess.Popen(
            self._command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._watch, args=(self._process, began), daemon=True).start()

    def _watch(self, process: subprocess.Popen[str], began: float) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "landed":
                self.recoveries.append(time.monotonic() - began)
                self.landed = process is self._process

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


@dataclass
class Outcome:
    """What the checker found."""

    kills: dict[str, int]
    generated: int = 0
    stored: int = 0
    rows: int = 0
    rolled_up: int = 0
    settled: int = 0
    waiting: int = 0
    shed: int = 0
    dead_letters: int = 0
    in_influx: int | None = None
    forgotten_by_influx: int = 0
    missing: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    recoveries: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.generated - self.stored - self.waiting - self.shed - self.dead_letters

    @property
    def doubled(self) -> int:
        return self.rows - self.stored


def run(
    folder: Path, broker: Daemon, influx: InfluxDaemon | None, *, kills: int, seed: int, planted: bool = False,
    devices: int = 20, rate: float = 400.0, patience_seconds: float = 120.0,
) -> Outcome:  # fmt: skip
    """Kill `kills` times, then let everything settle and balance the ledger.

    A `planted` collector is given time to land before each kill: what was never at work can lose nothing.
    """
    chance = random.Random(seed)
    endpoint = influx.endpoint("kills") if influx is not None else None
    agent = Program("agent", str(folder), str(broker.port), str(devices), str(rate))
    collector = Program(
        "collector", str(folder), str(broker.port), msgspec.json.encode(endpoint).decode(),
        "planted" if planted else "honest",
    )  # fmt: skip
    parts: dict[str, Program | Daemon] = {"agent": agent, "broker": broker, "collector": collector}
    if influx is not None:
        influx.start()
        parts["influxdb"] = influx
    outcome = Outcome(kills=dict.fromkeys(parts, 0))
    for name in ("broker", "collector", "agent"):
        parts[name].start()
    try:
        time.sleep(2)
        for _ in range(kills):
            if planted:
                _settle(lambda: None, lambda: collector.landed, 30.0)
            time.sleep(chance.uniform(0.05, 2.5))
            victim = chance.choice(sorted(parts))
            parts[victim].kill()
            outcome.kills[victim] += 1
            time.sleep(chance.choice((0.0, 0.05, 0.3)))
            parts[victim].start()
        (folder / "pause").touch()
        _settle(lambda: _look(folder, outcome), lambda: outcome.waiting == 0, patience_seconds)
        if endpoint is not None:
            _settle(
                lambda: _ask_influx(endpoint, outcome),
                lambda: outcome.in_influx == outcome.stored,
                patience_seconds,
            )
            outcome.forgotten_by_influx = _send_forgotten(folder, endpoint)
            _ask_influx(endpoint, outcome)
    finally:
        for part in parts.values():
            part.kill()
    _look(folder, outcome)  # nobody writes any more
    outcome.recoveries = collector.recoveries
    return outcome


def _settle(look: Callable[[], None], done: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        look()
        if done():
            return
        time.sleep(0.2)


def _look(folder: Path, outcome: Outcome) -> None:
    """Read the ring and the store as they are now."""
    ring = sqlite3.connect(folder / "ring.sqlite")
    numbers = dict(ring.execute("SELECT device_id, last_seq FROM device").fetchall())
    (boot, shed, torn) = ring.execute("SELECT boot_id, shed, torn FROM life").fetchone()
    (waiting,) = ring.execute("SELECT count(*) FROM reading").fetchone()
    ring.close()
    outcome.generated, outcome.waiting, outcome.shed = sum(numbers.values()), waiting, shed + torn
    store = SqliteTelemetryStore(folder / "telemetry.sqlite", SystemClock())
    received = {device: store.received(TENANT, device).get(boot) for device in numbers}
    outcome.settled = sum(len(ranges) for ranges in received.values() if ranges is not None)
    outcome.missing = {
        device: list(ranges.ranges)
        for device, ranges in received.items()
        if ranges and len(ranges.ranges) > 1
    }
    outcome.rows = outcome.stored = 0
    with store.reading() as db:
        tables = db.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'reading%' AND type = 'table'"
        ).fetchall()
        for (name,) in tables:
            (rows,) = db.execute(f'SELECT count(*) FROM "{name}"').fetchone()
            (distinct,) = db.execute(
                f'SELECT count(*) FROM (SELECT DISTINCT device, boot, seq FROM "{name}")'
            ).fetchone()
            outcome.rows += rows
            outcome.stored += distinct
        (outcome.dead_letters,) = db.execute("SELECT count(*) FROM dead_letter").fetchone()
    outcome.rolled_up = store.stats(TENANT).readings
    store.close()


def _send_forgotten(folder: Path, endpoint: InfluxEndpoint) -> int:
    """Do what the product does each night: compare with the journal; return how many points the server had forgotten."""
    store = SqliteTelemetryStore(folder / "telemetry.sqlite", SystemClock(), lines=True)
    server = InfluxServer(endpoint)
    outbox = Outbox(store, SystemClock())
    comparison = JournalComparison(
        store, outbox, server.queries, InfluxForwarder(outbox, server, retry_seconds=0.2).drain
    )
    try:
        return sum(comparison.mend(day) for day in comparison.days())
    finally:
        server.close()
        store.close()


def _ask_influx(endpoint: InfluxEndpoint, outcome: Outcome) -> None:
    server = InfluxServer(endpoint)
    try:
        rows = list(server.queries.rows("SELECT count(source) FROM printer_reading"))
        outcome.in_influx = rows[0].values[1] if rows else 0
    except DrumbeatError:
        outcome.in_influx = None
    finally:
        server.close()
