"""What people do at the simulated machines, noted in a journal so that a restart finds the machines as they were."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from crm_core.domain.service import Ticket
from simulators.device.device import SimulatedDevice
from simulators.device.visits import help_now
from simulators.models import COMPONENTS

#: What a maintenance kit renews in the simulated machines.
KIT: Final = ("fuser", "transfer", "drum", "feed_rollers", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """One act at one machine: `supplies` are indexes such as 1.3, `repair` ends jams, open covers and faults."""

    device_id: str
    at: str  # RFC 3339, as in the journal
    supplies: tuple[str, ...] = ()
    components: tuple[str, ...] = ()
    repair: bool = False


def help_for(device_id: str, tickets: Iterable[Ticket], at: datetime) -> Help:
    """Return what the tickets of one work order ask for."""
    supplies, components = set[str](), set[str]()
    repair = False
    for ticket in tickets:
        family, _, rest = ticket.cause.partition(".")
        if family == "supply":
            supplies.add(rest)
        elif family in {"life", "failure_risk"}:
            components.update(KIT if rest == "maintenance_kit" else {rest} & set(COMPONENTS))
        else:
            repair = True
    return Help(
        device_id=device_id,
        at=at.isoformat(),
        supplies=tuple(sorted(supplies)),
        components=tuple(sorted(components)),
        repair=repair,
    )


def helps_for(tickets: Iterable[Ticket], at: datetime) -> tuple[Help, ...]:
    """Return what is done at each machine of an order: one visit may serve several machines of a site."""
    by_device: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        by_device.setdefault(ticket.device_id, []).append(ticket)
    return tuple(help_for(device_id, those, at) for device_id, those in by_device.items())


@dataclass(slots=True)
class Hands:
    """Does what a `Help` says at the machines of a fleet, and remembers it."""

    devices: dict[str, SimulatedDevice]
    journal: Path

    def do(self, one: Help) -> None:
        """Note the act, then do it."""
        with self.journal.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps(asdict(one)) + "\n")
        self._act(one)

    def repeat(self) -> None:
        """Do again, on fresh machines, what the journal tells; a torn last line is left out."""
        if not self.journal.exists():
            return
        for line in self.journal.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                self._act(Help(**json.loads(line)))

    def _act(self, one: Help) -> None:
        device = self.devices.get(one.device_id)
        if device is None:
            return
        slots = sorted({slot for index in one.supplies for slot in _slot_of(device, index)})
        help_now(
            device.fleet,
            device.number,
            datetime.fromisoformat(one.at),
            slots=slots,
            components=one.components,
            repair=one.repair,
        )


def _slot_of(device: SimulatedDevice, supply_index: str) -> list[int]:
    """Return the slot of a supply index such as 1.3: the second number counts the slots from 1."""
    number = supply_index.rpartition(".")[2]
    position = int(number) - 1 if number.isdigit() else -1
    return [position] if 0 <= position < len(device.model.slots) else []
