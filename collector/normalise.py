"""Raw varbinds -> a reading: pure, the same for live polls, recordings and simulated devices.

Facts are what the device states (RFC 2790, RFC 3805, the vendor's own OIDs by profile); conclusions stand in `derived`.
Hostile or broken input gives fewer facts, never an exception and never an invented one.

Of a device that was read before, only those parts are read again into which a changed value goes; a property test holds
the result against reading everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from msgspec.structs import replace

from collector import derived
from collector.profiles import DeviceProfile, Profiles, describing_texts
from collector.snmp import host_resources, oids, printer_mib
from collector.snmp.oids import Tables, Varbinds
from collector.vendor_data import brand_of, read_identity, read_vendor_counters, read_vendor_status
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.content import sharing_content
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.telemetry import Derived, DeviceReading, Source

#: The parts into which the columns of a table go. A column that is not here may say which row is the printer or how its
#: texts are encoded; with that everything changes.
_PART_OF_COLUMN: Final = {
    f"{table}.{column}": part
    for part, table, columns in (
        ("supplies", oids.PRT_SUPPLIES, range(2, 10)),
        ("trays", oids.PRT_INPUT, range(2, 19)),
        ("outputs", oids.PRT_OUTPUT, range(4, 13)),
        ("alerts", oids.PRT_ALERT, range(2, 10)),
        ("covers", oids.PRT_COVER, range(2, 4)),
        ("counters", oids.PRT_MARKER, range(3, 6)),
        ("status", oids.HR_DEVICE, range(5, 6)),
        ("status", oids.HR_PRINTER, range(1, 3)),
        ("status", oids.CONSOLE_TABLE, range(2, 3)),
    )
    for column in columns
}
#: The parts that profiles read, from whatever OIDs they name.
_BY_PROFILE: Final = frozenset({"identity", "counters", "vendor_status"})
_VENDORS: Final = f"{oids.ENTERPRISES}."
#: The parts that conclusions are drawn from.
_GROUNDS: Final = frozenset({"identity", "supplies", "alerts", "status", "vendor_status"})


@dataclass(frozen=True, slots=True)
class Look:
    """What was read, and how: by which profile, for which row of hrDeviceTable, in which character set."""

    varbinds: Varbinds
    profile: DeviceProfile
    printer: str
    charset: int | None
    reading: DeviceReading

    def sharing(self, before: "Look") -> "Look":
        """Return the look with the very parts of the one before wherever they are equal: later steps see that at a glance."""
        reading = sharing_content(self.reading, before.reading)
        return Look(self.varbinds, self.profile, self.printer, self.charset, reading)


@dataclass(frozen=True, slots=True)
class _Source:
    """What the parts of a reading are read from."""

    tables: Tables
    profile: DeviceProfile
    generic: DeviceProfile
    printer: str
    charset: int | None


def _identity(of: _Source) -> object:
    varbinds = of.tables.varbinds
    brand = brand_of(of.profile, describing_texts(varbinds))
    return read_identity(varbinds, of.profile, of.generic, brand, of.printer, of.charset)


def _counters(of: _Source) -> object:
    vendor = read_vendor_counters(of.tables, of.profile, of.printer, of.charset)
    return replace(printer_mib.read_counters(of.tables), vendor=vendor)


_READERS: Final[dict[str, Callable[[_Source], Any]]] = {
    "identity": _identity,
    "supplies": lambda of: printer_mib.read_supplies(of.tables, of.charset),
    "trays": lambda of: printer_mib.read_trays(of.tables, of.charset),
    "outputs": lambda of: printer_mib.read_outputs(of.tables, of.charset),
    "alerts": lambda of: printer_mib.read_alerts(of.tables, of.charset),
    "covers": lambda of: printer_mib.read_covers(of.tables, of.charset),
    "status": lambda of: host_resources.read_status(
        of.tables, printer_mib.read_console(of.tables, of.charset)
    ),
    "counters": _counters,
    "vendor_status": lambda of: read_vendor_status(of.tables.varbinds, of.profile, of.printer, of.charset),
}


class Normaliser:
    """Reads devices by the profiles, the models and the fault codes of an installation."""

    def __init__(self, profiles: Profiles, catalogue: Catalogue, book: FaultCodeBook) -> None:
        self._profiles = profiles
        self._catalogue = catalogue
        self._book = book

    def look(self, varbinds: Varbinds, before: Look | None = None, **head: Any) -> Look:
        """Return the reading that the varbinds state, with conclusions beside it, as a look to go on from.

        `varbinds` maps dotted OIDs (no leading dot) to int, bytes (OCTET STRING) or str (OID, IpAddress); absent rows are
        absent. `before` is the last look at the same device. `head` are the fields of the reading that no varbind gives.
        """
        parts = None if before is None else changed_parts(varbinds, before)
        tables = Tables(varbinds)
        if before is None or parts is None:
            profile = self._profiles.recognise(varbinds)
            printer = host_resources.printer_index(tables)
            charset = printer_mib.character_set(tables, printer, profile.default_charset)
            source = _Source(tables, profile, self._profiles.generic, printer, charset)
            reading = DeviceReading(**head, **{part: read(source) for part, read in _READERS.items()})
            return Look(varbinds, profile, printer, charset, self._concluded(reading, profile))
        source = _Source(tables, before.profile, self._profiles.generic, before.printer, before.charset)
        fields = {part: _READERS[part](source) for part in parts}
        if parts.isdisjoint(_GROUNDS):
            reading = replace(before.reading, **head, **fields)
        else:
            reading = replace(before.reading, **head, **fields, derived=Derived())
            reading = self._concluded(reading, before.profile)
        return Look(varbinds, before.profile, before.printer, before.charset, reading)

    def _concluded(self, reading: DeviceReading, profile: DeviceProfile) -> DeviceReading:
        return derived.complete_derived(reading, profile=profile, catalogue=self._catalogue, book=self._book)


def changed_parts(varbinds: Varbinds, before: Look) -> set[str] | None:
    """Return the parts of the reading into which a changed value goes; None when it may be any."""
    old = before.varbinds
    if len(varbinds) != len(old):
        return None
    by_profile = _oids_of_profile(before.profile, before.printer)
    tables = before.profile.table_columns()
    parts: set[str] = set()
    for oid, value in varbinds.items():
        if old.get(oid) == value:
            continue
        if oid not in old:
            return None
        part = _part_of(oid)
        if part is not None:
            parts.add(part)
        elif not oid.startswith(_VENDORS):
            return None
        if part is None or oid in by_profile or (tables and oid.startswith(tables)):
            parts |= _BY_PROFILE
    return parts


@lru_cache(maxsize=65_536)
def _part_of(oid: str) -> str | None:
    return _PART_OF_COLUMN.get(oids.column_of(oid))


@lru_cache(maxsize=1024)
def _oids_of_profile(profile: DeviceProfile, printer: str) -> frozenset[str]:
    return frozenset(profile.scalar_oids(printer))


def reading_from_varbinds(
    varbinds: Varbinds,
    *,
    polled_at: datetime,
    profiles: Profiles,
    catalogue: Catalogue,
    book: FaultCodeBook,
    tenant: str = DEFAULT_TENANT,
    site_id: str | None = None,
    device_id: str | None = None,
    source: Source = "snmp",
    boot_id: str | None = None,
    seq: int | None = None,
    incomplete: Sequence[str] = (),
) -> DeviceReading:
    """Return the reading of one look (see `Normaliser.look`).

    `polled_at` is aware UTC. `incomplete` names parts that did not answer.
    """
    look = Normaliser(profiles, catalogue, book).look(
        varbinds, polled_at=polled_at, tenant=tenant, site_id=site_id, device_id=device_id, source=source,
        boot_id=boot_id, seq=seq, incomplete=tuple(incomplete),
    )  # fmt: skip
    return look.reading


def complete_derived(
    reading: DeviceReading, *, profiles: Profiles, catalogue: Catalogue, book: FaultCodeBook
) -> DeviceReading:
    """Return a pushed reading with the conclusions that its sender did not make."""
    vendor = (reading.derived.vendor or reading.identity.vendor or "").lower()
    profile = next((row for row in profiles.all if row.vendor.lower() == vendor), None) if vendor else None
    return derived.complete_derived(reading, profile=profile, catalogue=catalogue, book=book)
