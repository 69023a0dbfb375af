"""Half a year of the firm under virtual time: polls, pushes, tickets, visits and nightly forecasts, hour by hour.

Nothing is written into a store directly. Every second printer is read as SNMP varbinds and normalised, the others send
encoded MQTT payloads that are decoded as the listener decodes them; both go through ingest, and what follows from them
goes through outbox, inbox, triage, dispatch and the service desk, as it would have then.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from collector.mqtt.payloads import pushed_reading
from collector.mqtt.topics import Kind, Topic
from collector.normalise import complete_derived, reading_from_varbinds
from collector.profiles import Profiles
from config.clock import VirtualClock
from config.demo.staff import Staff
from config.wiring.analysing import Desk, forecast_round, silence_round, triage_round
from config.wiring.core import Core
from config.wiring.telemetry import Telemetry
from crm_core.domain.telemetry import DeviceReading
from simulators.device.device import SimulatedDevice

#: Minutes after midnight UTC: 09:10, 12:40 and 16:50 in Shanghai, when machines are on and people at work.
POLL_MINUTES: Final = (70, 280, 530)
#: The night's gap between two looks: who was seen at the last one of a day is not dark before the first of the next.
LOOKS_APART: Final = timedelta(days=1) - timedelta(minutes=POLL_MINUTES[-1] - POLL_MINUTES[0])
BOOT_ID: Final = "history"
_DAY: Final = timedelta(days=1)

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class History:
    """Makes the firm's past. `devices` alternate between SNMP (even) and MQTT (odd)."""

    core: Core
    telemetry: Telemetry
    desk: Desk
    clock: VirtualClock
    devices: Sequence[SimulatedDevice]
    profiles: Profiles
    staff: Staff
    forecasts: int = 0
    _seq: dict[int, int] = field(default_factory=dict)

    def run(self, since: datetime, until: datetime, progress: Progress) -> None:
        """Live through everything after `since`, up to `until`; `progress` gets the day and how many there are.

        What is stored already may come again: a history that was killed goes on where it stopped.
        """
        first = since.replace(hour=0, minute=0, second=0, microsecond=0)
        days = max((until - first) // _DAY + 1, 1)
        self._go_on_counting()
        for day in range(days):
            midnight = first + day * _DAY
            for instant in (midnight + timedelta(minutes=minute) for minute in POLL_MINUTES):
                if since < instant <= until:
                    self._round(instant)
            if since < midnight + _DAY <= until:
                self._end_of_day(midnight + _DAY)
            progress(day + 1, days)
        self.clock.move_to(max(until, self.clock.now()))

    def _go_on_counting(self) -> None:
        """Let the sequences of pushed readings go on after those that are accounted for."""
        for number, device in enumerate(self.devices):
            received = self.telemetry.store.received(self.core.tenant, device.device_id).get(BOOT_ID)
            if received is not None and received.ranges:
                self._seq[number] = received.ranges[-1][1]

    def _round(self, now: datetime) -> None:
        """One look at the fleet, what follows from it, and what people then do."""
        self.clock.move_to(max(now, self.clock.now()))
        self.telemetry.ingest.land(list(self._readings(now)))
        self.telemetry.deliver()
        triage_round(self.core, self.desk)
        self.staff.work(now)

    def _end_of_day(self, now: datetime) -> None:
        """Do the day's bookkeeping and forecast when the UTC day is complete (08:00 in Shanghai)."""
        self.clock.move_to(now)
        silence_round(self.core, self.telemetry, self.desk, LOOKS_APART)
        self.forecasts += forecast_round(self.core, self.desk)

    def _readings(self, now: datetime) -> Iterator[DeviceReading]:
        for number, device in enumerate(self.devices):
            if device.answers(now):
                yield self._polled(device, now) if number % 2 == 0 else self._pushed(number, device, now)

    def _polled(self, device: SimulatedDevice, now: datetime) -> DeviceReading:
        return reading_from_varbinds(
            device.varbinds(now),
            polled_at=now,
            profiles=self.profiles,
            catalogue=self.core.catalogue,
            book=self.core.fault_codes,
            tenant=self.core.tenant,
            site_id=device.site_id,
            device_id=device.device_id,
        )

    def _pushed(self, number: int, device: SimulatedDevice, now: datetime) -> DeviceReading:
        self._seq[number] = seq = self._seq.get(number, 0) + 1
        body = device.mqtt_payload(now, boot_id=BOOT_ID, seq=seq, tenant=self.core.tenant)
        topic = Topic(self.core.tenant, device.site_id, device.device_id, Kind.READING)
        return complete_derived(
            pushed_reading(topic, body, now).reading,
            profiles=self.profiles,
            catalogue=self.core.catalogue,
            book=self.core.fault_codes,
        )
