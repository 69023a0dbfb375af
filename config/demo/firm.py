"""The demonstration's firm as it stands in a data folder: opened anew, or found again with its history."""

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from api.passwords import hash_password
from config.demo.store_room import PUDONG, STAND_BY, fill_store_room
from config.demo.world import SignIn, Staged, World, build_world, sign_ins, user_names, user_of
from config.wiring.core import Core
from crm_core.domain.errors import InvalidConfiguration
from crm_core.domain.loans import StandBy
from crm_core.domain.trust import Subject, SubjectKind

NOTE: Final = "demo.json"
JOURNAL: Final = "visits.jsonl"
_WORDS: Final = [
    "toner",
    "paper",
    "drum",
    "fuser",
    "tray",
    "cover",
    "sheet",
    "duplex",
    "staple",
    "colour",
    "cyan",
    "magenta",
    "yellow",
    "black",
    "press",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoNote:
    """What a data folder remembers of its demonstration. `passwords` are of this folder alone."""

    seed: int
    devices: int
    start: datetime
    until: datetime
    passwords: dict[str, str]
    runs: int = 0  # how often it went live: each is a new boot of the pushing printers

    def write(self, folder: Path) -> None:
        """Keep the note, readable by its owner alone."""
        path = folder / NOTE
        path.touch(mode=0o600)
        row = asdict(self) | {"start": self.start.isoformat(), "until": self.until.isoformat()}
        path.write_text(json.dumps(row, indent=1), encoding="utf-8")


def read_note(folder: Path) -> DemoNote | None:
    """Return the note of a folder, or None when no demonstration was made there."""
    path = folder / NOTE
    if not path.exists():
        return None
    try:
        row: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        start, until = (datetime.fromisoformat(row.pop(key)).astimezone(UTC) for key in ("start", "until"))
        return DemoNote(**row, start=start, until=until)
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidConfiguration(
            f"{path} cannot be read ({error}); choose another folder with --data"
        ) from error


def new_note(core: Core, *, seed: int, devices: int, days: int, until: datetime) -> DemoNote:
    """Return the note of a demonstration that begins `days` before `until`, with fresh passwords."""
    world = _world(core, seed, devices, until - timedelta(days=days), until)
    return DemoNote(
        seed=seed,
        devices=devices,
        start=until - timedelta(days=days),
        until=until,
        passwords={name: _password() for name in user_names(world.technicians)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """The rows of the firm, and how its printers are simulated."""

    world: World
    staged: Staged
    people: tuple[SignIn, ...]


def build_firm(core: Core, note: DemoNote) -> Firm:
    """Return the firm of a note; the same note gives the same firm."""
    world = _world(core, note.seed, note.devices, note.start, note.until)
    staged = Staged(world.roster, note.seed, note.start.date(), core.settings.general.folder / JOURNAL)
    return Firm(
        world=world.with_serials([device.serial for device in staged.devices()]),
        staged=staged,
        people=sign_ins(world.technicians, note.passwords, world.customers[0].customer_id),
    )


def save_firm(core: Core, firm: Firm) -> None:
    """Write customers, sites, contracts, people and devices into the CRM, in one transaction."""
    world = firm.world
    users = [user_of(core.tenant, person, hash_password(person.password)) for person in firm.people]
    with core.uow_factory() as uow:
        for customer in world.customers:
            uow.customers.save(customer)
        for site in world.sites:
            uow.sites.save(site)
        for contract in world.contracts:
            uow.contracts.save(contract)
        for technician in world.technicians:
            uow.technicians.save(technician)
        for device in world.devices:
            uow.devices.save(device)
        for period in world.periods:
            uow.devices.save_period(period)
        for user in users:
            uow.users.save(user)
        for number, customer in enumerate(world.customers):
            subject = Subject(SubjectKind.CUSTOMER, customer.customer_id)
            core.personal.put(uow, core.tenant, subject, "registration_number", f"91310000{number:09d}X")
        fill_store_room(core, uow, world, core.clock.now())
        uow.stock.save_stand_by(StandBy(tenant=core.tenant, device_id=STAND_BY, place=PUDONG))
        uow.commit()


def move_snmp_port(core: Core, port: int) -> None:
    """Tell the register at which UDP port the simulated printers answer in this run."""
    with core.uow_factory() as uow:
        for device in uow.devices.all(core.tenant):
            if device.snmp is not None and device.snmp.port != port:
                uow.devices.save(replace(device, snmp=replace(device.snmp, port=port)))
        uow.commit()


def _world(core: Core, seed: int, devices: int, start: datetime, until: datetime) -> World:
    return build_world(
        tenant=core.tenant,
        seed=seed,
        devices=devices,
        start=start,
        until=until,
        catalogue=core.catalogue,
        holidays=core.policy.sla.calendar.holidays,
    )


def _password() -> str:
    """Return a password that people can type: three words and a number, about 2**28 possibilities."""
    return "-".join((*(secrets.choice(_WORDS) for _ in range(3)), str(secrets.randbelow(90000) + 10000)))
