"""Looks at the simulated fleet: every second printer read as SNMP varbinds, the others as encoded MQTT payloads.

A look is ordered ahead and taken later, so that a long history can have its looks made by a second process while the
first one lands, triages and forecasts. Both ways give the same readings.
"""

import contextlib
import multiprocessing
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Final, Protocol

from collector.mqtt.payloads import pushed_reading
from collector.mqtt.topics import Kind, Topic
from collector.normalise import complete_derived, reading_from_varbinds
from collector.profiles import Profiles, load_profiles
from config.demo.hands import Hands, Help
from config.demo.world import Staged
from config.loaders import Knowledge, load_knowledge
from config.settings import Settings
from crm_core.domain.errors import StoreUnavailable
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import decode_reading, encode_reading
from simulators.device.device import SimulatedDevice

BOOT_ID: Final = "history"
OWN_PROCESS_FROM: Final = 3000  # device days; below it starting a process costs more than it gives


class Looks(Protocol):
    """Where history gets its readings from."""

    def order(self, at: datetime, helps: Sequence[Help]) -> None:
        """Ask for a look at `at`; what people do at the machines then has been done before it."""
        ...

    def take(self) -> list[DeviceReading]:
        """Return the readings of the look that was ordered last."""
        ...

    def close(self) -> None: ...


@dataclass(slots=True)
class LookMaker:
    """Makes looks in this process. `counted` is the last sequence number of each pushing device."""

    devices: Sequence[SimulatedDevice]
    hands: Hands
    knowledge: Knowledge
    tenant: str
    counted: dict[str, int]
    _profiles: Profiles = field(default_factory=load_profiles)
    _made: list[DeviceReading] = field(default_factory=list)

    def order(self, at: datetime, helps: Sequence[Help]) -> None:
        for one in helps:
            self.hands.do(one)
        self._made = list(self._readings(at))

    def take(self) -> list[DeviceReading]:
        made, self._made = self._made, []
        return made

    def close(self) -> None:
        """Nothing is held open."""

    def _readings(self, at: datetime) -> Iterator[DeviceReading]:
        for number, device in enumerate(self.devices):
            if device.answers(at):
                yield self._polled(device, at) if number % 2 == 0 else self._pushed(device, at)

    def _polled(self, device: SimulatedDevice, at: datetime) -> DeviceReading:
        return reading_from_varbinds(
            device.varbinds(at),
            polled_at=at,
            profiles=self._profiles,
            catalogue=self.knowledge.catalogue,
            book=self.knowledge.fault_codes,
            tenant=self.tenant,
            site_id=device.site_id,
            device_id=device.device_id,
        )

    def _pushed(self, device: SimulatedDevice, at: datetime) -> DeviceReading:
        self.counted[device.device_id] = seq = self.counted.get(device.device_id, 0) + 1
        body = device.mqtt_payload(at, boot_id=BOOT_ID, seq=seq, tenant=self.tenant)
        topic = Topic(self.tenant, device.site_id, device.device_id, Kind.READING)
        return complete_derived(
            pushed_reading(topic, body, at).reading,
            profiles=self._profiles,
            catalogue=self.knowledge.catalogue,
            book=self.knowledge.fault_codes,
        )


class LookProcess:
    """The same looks, made by a child process that runs ahead by one."""

    def __init__(self, settings: Settings, staged: Staged, counted: Mapping[str, int]) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._child = context.Process(
            target=_serve,
            args=(other, settings.model_dump(), staged, dict(counted)),
            name="looks",
            daemon=True,
        )
        self._child.start()
        other.close()

    def order(self, at: datetime, helps: Sequence[Help]) -> None:
        try:
            self._pipe.send((at, list(helps)))
        except OSError as error:
            raise StoreUnavailable("the process that simulates the printers ended; start again") from error

    def take(self) -> list[DeviceReading]:
        try:
            bodies: list[bytes] = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise StoreUnavailable("the process that simulates the printers ended; start again") from error
        return [decode_reading(body) for body in bodies]

    def close(self) -> None:
        self._pipe.close()
        self._child.join(10)
        if self._child.is_alive():
            self._child.terminate()


def make_looks(settings: Settings, staged: Staged, counted: Mapping[str, int], device_days: int) -> Looks:
    """Return looks at the fleet of `staged`: made here for a small history, by a second process for a long one."""
    if device_days >= OWN_PROCESS_FROM:
        return LookProcess(settings, staged, counted)
    return _maker(settings, staged, dict(counted))


def _maker(settings: Settings, staged: Staged, counted: dict[str, int]) -> LookMaker:
    devices = staged.devices()
    hands = Hands({device.device_id: device for device in devices}, staged.journal)
    hands.repeat()
    return LookMaker(devices, hands, load_knowledge(settings), settings.general.tenant, counted)


def _serve(
    pipe: Connection, sections: dict[str, dict[str, object]], staged: Staged, counted: dict[str, int]
) -> None:
    """Be the child: make looks until the pipe closes. Ctrl-C is the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    maker = _maker(Settings(**sections), staged, counted)  # type: ignore[arg-type]  # validated again by the model
    with contextlib.suppress(EOFError, OSError):
        while True:
            at, helps = pipe.recv()
            maker.order(at, helps)
            pipe.send([encode_reading(reading) for reading in maker.take()])
