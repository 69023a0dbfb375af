"""Devices whose readings go through `conclude`, the inbox and triage poll by poll: the world of the stories."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from crm_core.domain.service import Signal, Ticket
from crm_core.domain.telemetry import DeviceReading, DeviceState
from crm_core.signals import conclude
from crm_core.triage import TriageReport
from tests.builders import T0, TENANT, a_customer, a_device, a_site, a_technician
from tests.policies import a_book
from tests.unit.crm_core.desk import Desk

Says = Callable[[datetime], DeviceReading | None]


class World(Desk):
    """Many devices at several sites; each says what its function returns, or nothing at all (None)."""

    def __init__(self, sites: Mapping[str, int], **options: object) -> None:
        super().__init__(devices=0, **options)
        self.says: dict[str, Says] = {}
        self._previous: dict[str, DeviceReading] = {}
        with self.uow_factory() as uow:
            for site, number in sites.items():
                uow.customers.save(a_customer(f"c-{site}"))
                uow.sites.save(a_site(site, f"c-{site}"))
                for each in range(number):
                    uow.devices.save(
                        a_device(f"{site}-{each}", site, f"c-{site}", registered_at=T0 - timedelta(days=90))
                    )
            uow.technicians.save(a_technician("t1", ("*",)))
            uow.commit()

    def poll(self, expected_every: timedelta = timedelta(minutes=5), incidents: bool = True) -> TriageReport:
        """Read every device now, run triage, and look for silence."""
        now = self.clock.now()
        signals: list[Signal] = []
        for device_id, say in self.says.items():
            reading = say(now)
            if reading is None:
                continue
            signal = conclude(reading, self._previous.get(device_id), a_book()).signal
            self._previous[device_id] = reading
            if signal is not None:
                signals.append(signal)
        report = self.take(signals)
        return report + self.triage.consider_silence(
            TENANT, self.states(), expected_every if incidents else None
        )

    def poll_until(self, end: datetime, every: timedelta = timedelta(minutes=5)) -> None:
        """Poll from now on, `end` included."""
        while self.clock.now() <= end:
            self.poll(every)
            self.clock.move_to(self.clock.now() + every)

    def states(self) -> list[DeviceState]:
        return [
            DeviceState(
                device_id=device_id, last_seen=reading.polled_at, life_count=None, lowest_supply_percent=None,
                lowest_supply_index=None, error_names=(), worst_alert_severity=None, source="snmp",
            )
            for device_id, reading in self._previous.items()
        ]  # fmt: skip

    def tickets_of(self, causes: Iterable[str]) -> list[Ticket]:
        wanted = tuple(causes)
        return [ticket for ticket in self.tickets() if ticket.cause.startswith(wanted)]
