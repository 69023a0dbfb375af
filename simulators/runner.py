"""Runs a scenario: headless under virtual time as fast as it goes, or live against a running service.

`drumbeat simulate` calls `run_headless` or `run_live`; tests walk a story with `walk`.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from crm_core.ports import Clock
from simulators.device import Fleet, SimulatedDevice, devices_of
from simulators.mqtt_agent import MqttPlace
from simulators.mqtt_fleet import MqttFleet
from simulators.scenario import Scenario
from simulators.snmp_fleet import SnmpFleetServer, fleet_agents
from simulators.traps import send_due_traps
from simulators.truth import Ledger, write_truth
from simulators.usm import UsmUser

BOOT_ID: Final = "run-1"
LIVE_TICK_SECONDS: Final = 0.25


@dataclass(slots=True)
class RunSummary:
    """What a run did, for people and for `--json`."""

    scenario: str
    seed: int
    devices: int
    days: int
    readings: int = 0
    silent_polls: int = 0
    pages: int = 0
    run_outs: int = 0
    changes: int = 0
    failures: int = 0
    jams: int = 0
    traps: int = 0
    snmp_requests: int = 0
    unacknowledged: int = 0
    files: list[str] = field(default_factory=list)

    def json(self) -> str:
        """Return the summary as one JSON object."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Said:
    """One poll of a story: what a device said at an instant, or None when it was silent."""

    at: datetime
    device: SimulatedDevice
    seq: int
    body: bytes | None


def walk(scenario: Scenario, fleet: Fleet, *, devices: int | None = None) -> Iterator[Said]:
    """Yield the scene of a story poll by poll, in order of time, of all devices or of the first `devices`.

    A silent device uses no sequence number.
    """
    handles = devices_of(fleet)[:devices]
    seqs = [0] * len(handles)
    at = scenario.show_from
    while at < scenario.end:
        for i, device in enumerate(handles):
            if device.answers(at):
                seqs[i] += 1
                yield Said(at, device, seqs[i], device.mqtt_payload(at, boot_id=BOOT_ID, seq=seqs[i]))
            else:
                yield Said(at, device, seqs[i], None)
        at += scenario.poll_every


def _add_truth(summary: RunSummary, fleet: Fleet) -> None:
    for record in fleet.days.values():
        summary.pages += int(record.meters[:, 0].sum())
        summary.run_outs += int(record.ran_empty.sum())
        summary.changes += int(record.changed.sum())
        summary.jams += int(record.meters[:, 8].sum())
    summary.failures = len(fleet.failures)


def run_headless(
    scenario: Scenario,
    *,
    out: Path | None = None,
    devices: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> RunSummary:
    """Simulate a story to its end without waiting; with `out` write readings (JSON lines), ledger and truth there.

    `devices` limits whose readings are taken; truth is of all. `progress` gets the share done, 0..1.
    """
    fleet = scenario.fleet()
    summary = RunSummary(scenario.name, scenario.seed, len(fleet), scenario.days)
    fleet.record(scenario.days - 1)
    ledger = Ledger()
    whole = scenario.end - scenario.show_from
    lines = None
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        lines = (out / "readings.jsonl").open("wb")
    try:
        for said in walk(scenario, fleet, devices=devices):
            if said.body is None:
                summary.silent_polls += 1
                continue
            summary.readings += 1
            ledger.pushed(said.device.device_id, BOOT_ID, said.seq, said.at)
            if lines is not None:
                lines.write(said.body + b"\n")
            if progress is not None and said.device.number == 0:
                progress((said.at - scenario.show_from) / whole)
    finally:
        if lines is not None:
            lines.close()
    _add_truth(summary, fleet)
    if out is not None:
        ledger.write(out / "ledger.parquet")
        paths = [out / "readings.jsonl", out / "ledger.parquet", *write_truth(fleet, out)]
        summary.files = [path.name for path in paths]
    return summary


class StoryClock:
    """Virtual time for a live run: begins at `start` and passes `speed` times as fast as the wall's."""

    def __init__(self, start: datetime, speed: float) -> None:
        if speed <= 0:
            raise ValueError("the speed must be greater than 0")
        self._start = start
        self._speed = speed
        self._began = time.monotonic()

    def now(self) -> datetime:
        """Return the story's instant."""
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self._speed)


@dataclass(slots=True, kw_only=True)
class LiveOptions:
    """How a story is shown to a running service. None switches a way off.

    `snmp_share` of the devices speak SNMP only, the others push over MQTT; with one way switched off all use the other.
    """

    speed: float = 1.0
    snmp_port: int | None = None
    first_address: str = "127.1.0.1"
    community: str = "public"
    users: tuple[UsmUser, ...] = ()
    mqtt: MqttPlace | None = None
    snmp_share: float = 0.5
    traps_to: tuple[str, int] | None = None
    trap_version: int = 1  # 0 v1, 1 v2c
    out: Path | None = None


class LiveRun:
    """A story in the making: agents on the wire, time passing. Drive it with `tick`, look at it with a view.

    The physics follow the story's own clock; readings bear the time of `wall`, so that a service takes them for now.
    """

    def __init__(self, scenario: Scenario, options: LiveOptions, wall: Clock) -> None:
        self.scenario = scenario
        self._wall = wall
        self.options = options
        self.fleet = scenario.fleet(keep_days=3 if options.out is None else None)
        self.clock: Clock = StoryClock(scenario.show_from, options.speed)
        self.summary = RunSummary(scenario.name, scenario.seed, len(self.fleet), scenario.days)
        self.ledger = Ledger()
        self.fleet.advance_to(scenario.show_from)
        self.server = self._snmp() if options.snmp_port is not None else None
        self.mqtt = self._mqtt(options.mqtt) if options.mqtt is not None else None
        self._next_push = scenario.show_from
        self._last_trap = scenario.show_from

    def _snmp(self) -> SnmpFleetServer:
        options = self.options
        agents = fleet_agents(
            self.fleet,
            self.clock.now(),
            community=options.community.encode(),
            refresh=timedelta(seconds=max(5.0 * options.speed, 1.0)),
            with_v3=bool(options.users),
            faults=self.scenario.snmp_faults,
        )
        return SnmpFleetServer(
            agents,
            self.clock,
            port=options.snmp_port or 0,
            first_address=options.first_address,
            users=options.users,
        )

    def _mqtt(self, place: MqttPlace) -> MqttFleet:
        handles = devices_of(self.fleet)
        share = self.options.snmp_share if self.server is not None else 0.0
        first = round(len(handles) * share)
        return MqttFleet(
            handles[first:],
            place,
            chaos=self.scenario.mqtt,
            seed=self.scenario.seed,
            boot=int(self._wall.now().timestamp()),
            ledger=self.ledger,
        )

    def start(self) -> None:
        """Put the agents on the wire. Raises `OSError` when the SNMP port is taken."""
        if self.server is not None:
            self.server.start()
        if self.mqtt is not None:
            self.mqtt.start()

    def tick(self) -> bool:
        """Do what is due at this instant of the story; return False when it has ended."""
        now = min(self.clock.now(), self.scenario.end - timedelta(seconds=1))
        self.fleet.advance_to(now)
        while self.mqtt is not None and self._next_push <= now:
            self.summary.readings += self.mqtt.push(self._next_push, stamped=self._wall.now())
            self._next_push += self.scenario.poll_every
        if self.server is not None:
            self.summary.snmp_requests = self.server.answered
            if self.options.traps_to is not None and now > self._last_trap:
                to, version = self.options.traps_to, self.options.trap_version
                self.summary.traps += send_due_traps(
                    self.server, self.fleet, to, self._last_trap, now, version=version
                )
        self._last_trap = now
        return self.clock.now() < self.scenario.end

    def stop(self) -> RunSummary:
        """Take the agents off the wire; write truth and ledger if asked; return what the run did."""
        if self.mqtt is not None:
            self.summary.unacknowledged = self.mqtt.pending
            self.mqtt.stop()
        if self.server is not None:
            self.server.stop()
        _add_truth(self.summary, self.fleet)
        if self.options.out is not None:
            self.options.out.mkdir(parents=True, exist_ok=True)
            self.ledger.write(self.options.out / "ledger.parquet")
            paths = [self.options.out / "ledger.parquet", *write_truth(self.fleet, self.options.out)]
            self.summary.files = [path.name for path in paths]
        return self.summary

    def picture(self) -> dict[str, int]:
        """Return how many devices are in which condition now: printing, idle, low, stopped, jammed, silent."""
        now = min(self.clock.now(), self.scenario.end - timedelta(seconds=1))
        return dict(Counter(condition(device, now) for device in devices_of(self.fleet)))


def condition(device: SimulatedDevice, at: datetime) -> str:
    """Return one word for a device: silent, stopped, jammed, waiting, low, asleep, printing or idle."""
    if not device.answers(at):
        return "silent"
    state = device.state(at)
    words = ((7, "stopped"), (3, "stopped"), (5, "jammed"), (4, "waiting"), (1, "waiting"), (2, "low"))
    for bit, word in words:
        if bit in state.errors:
            return word
    if state.asleep:
        return "asleep"
    return "printing" if state.printer_status == 4 else "idle"


def run_live(
    scenario: Scenario,
    options: LiveOptions,
    wall: Clock,
    *,
    stop: threading.Event,
    show: Callable[[LiveRun], None] | None = None,
) -> RunSummary:
    """Show a story to a running service until it ends or `stop` is set; `show` is called after every tick."""
    run = LiveRun(scenario, options, wall)
    run.start()
    try:
        while run.tick() and not stop.wait(LIVE_TICK_SECONDS):
            if show is not None:
                show(run)
    finally:
        summary = run.stop()
    return summary
