"""Raw varbinds -> a reading: one pure function, the same for live polls, recordings and simulated devices.

Facts are what the device states (RFC 2790, RFC 3805, the vendor's own OIDs by profile); conclusions stand in `derived`.
Hostile or broken input gives fewer facts, never an exception and never an invented one.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from collector import derived
from collector.profiles import Profiles, describing_texts
from collector.snmp import host_resources, printer_mib
from collector.snmp.oids import Tables, Varbinds
from collector.vendor_data import brand_of, read_identity, read_vendor_counters, read_vendor_status
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fault_codes import FaultCodeBook
from crm_core.domain.identity import DEFAULT_TENANT
from crm_core.domain.telemetry import DeviceReading, Source


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
    """Return the reading that the varbinds state, with conclusions beside it.

    `varbinds` maps dotted OIDs (no leading dot) to int, bytes (OCTET STRING) or str (OID, IpAddress); absent rows are
    absent. `polled_at` is aware UTC. `incomplete` names parts that did not answer.
    """
    tables = Tables(varbinds)
    profile = profiles.recognise(varbinds)
    printer = host_resources.printer_index(tables)
    charset = printer_mib.character_set(tables, printer, profile.default_charset)
    counters = printer_mib.read_counters(tables)
    reading = DeviceReading(
        tenant=tenant,
        site_id=site_id,
        device_id=device_id,
        polled_at=polled_at,
        source=source,
        boot_id=boot_id,
        seq=seq,
        identity=read_identity(
            varbinds,
            profile,
            profiles.generic,
            brand_of(profile, describing_texts(varbinds)),
            printer,
            charset,
        ),
        supplies=printer_mib.read_supplies(tables, charset),
        trays=printer_mib.read_trays(tables, charset),
        outputs=printer_mib.read_outputs(tables, charset),
        alerts=printer_mib.read_alerts(tables, charset),
        covers=printer_mib.read_covers(tables, charset),
        status=host_resources.read_status(tables, printer_mib.read_console(tables, charset)),
        counters=replace(counters, vendor=read_vendor_counters(tables, profile, printer, charset)),
        vendor_status=read_vendor_status(varbinds, profile, printer, charset),
        incomplete=tuple(incomplete),
    )
    return derived.complete_derived(reading, profile=profile, catalogue=catalogue, book=book)


def complete_derived(
    reading: DeviceReading, *, profiles: Profiles, catalogue: Catalogue, book: FaultCodeBook
) -> DeviceReading:
    """Return a pushed reading with the conclusions that its sender did not make."""
    vendor = (reading.derived.vendor or reading.identity.vendor or "").lower()
    profile = next((row for row in profiles.all if row.vendor.lower() == vendor), None) if vendor else None
    return derived.complete_derived(reading, profile=profile, catalogue=catalogue, book=book)
