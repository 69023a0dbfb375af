"""Reading vendor data by a device profile: identity, counters, packed strings. No vendor is named in code.

Each function takes the varbinds and returns only what the device said; a source that is missing, blank or contradicts
itself gives nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from collector.profiles import (
    PRINTER,
    CounterSource,
    CounterTable,
    DeviceProfile,
    IdentitySource,
    PackedString,
)
from collector.snmp import oids
from collector.snmp.oids import Tables, Varbinds, integer
from collector.snmp.printer_mib import COUNTER_UNITS
from collector.snmp.text import decode_text, fold_blanks
from crm_core.domain.telemetry import DeviceIdentity

#: What devices and anonymisers write where there is no value.
_NO_VALUE: Final = re.compile(r"^[<(\[]?(?:unknown|none|null|n/?a|not (?:available|set|specified)|private|[-?.x]+)[>)\]]?$", re.IGNORECASE)  # fmt: skip
_END_OF_RECORDS: Final = 0xFF
_MAX_RECORDS: Final = 256
_MAX_TABLE_ROWS: Final = 512
_SHORT: Final = 128
_LONG: Final = 256  # a longer text is not remembered

#: (whole, parts): the parts of a meter may not exceed it; if they do, the parts are not what the profile thinks.
_SUMS: Final = (
    ("total_printed", ("mono", "colour")),
    ("print_total", ("print_mono", "print_colour")),
    ("copy_total", ("copy_mono", "copy_colour")),
)


def read_identity(
    varbinds: Varbinds,
    profile: DeviceProfile,
    generic: DeviceProfile,
    vendor: str | None,
    printer: str,
    charset: int | None,
) -> DeviceIdentity:
    """Return who the device says it is: the first source that gives a value wins, the vendor's own sources first."""
    found: dict[str, str] = {}
    for source in (*profile.identity, *generic.identity):
        if source.field not in found:
            raw = varbinds.get(source.oid.replace(PRINTER, printer))
            if isinstance(raw, bytes | str):
                known = _identity_value if len(raw) <= _LONG else _identity_value.__wrapped__
                if value := known(raw, source, charset):
                    found[source.field] = value
    return DeviceIdentity(
        vendor=vendor, model=found.get("model"), serial=found.get("serial"), firmware=found.get("firmware")
    )


@lru_cache(maxsize=16_384)  # who a device is does not change from poll to poll
def _identity_value(raw: bytes | str, source: IdentitySource, charset: int | None) -> str | None:
    text = fold_blanks(decode_text(raw, charset))
    if source.reject and re.search(source.reject, text):
        return None
    if source.match:
        hit = re.search(source.match, text)
        if hit is None:
            return None
        text = hit.group(1) if hit.groups() else hit.group(0)
    for pattern in source.strip:
        text = re.sub(pattern, "", text)
    text = text.strip(" ;,")[:_SHORT]
    return None if not text or _NO_VALUE.match(text) else text


def brand_of(profile: DeviceProfile, texts: list[str]) -> str | None:
    """Return the brand on the device: by the profile's patterns, else its vendor; None for an unknown device."""
    for brand, pattern in profile.brands.items():
        if any(re.search(pattern, text) for text in texts):
            return brand
    return profile.vendor or None


def read_vendor_counters(
    tables: Tables, profile: DeviceProfile, printer: str, charset: int | None
) -> dict[str, int | dict[str, int]]:
    """Return the vendor's counters by meaning; parts that exceed their whole are left out (they mean something else)."""
    found: dict[str, int | dict[str, int]] = {}
    for source in profile.counters:
        if source.name not in found and (value := _counter(tables, source, printer)) is not None:
            found[source.name] = value
    for table in profile.counter_tables:
        for name, count in _counter_table(tables, table, charset, found).items():
            found.setdefault(name, count)
    if set(found) <= {"life_impressions"}:
        return {}  # a life count alone is not a vendor counter: the standard column already tells it
    return _without_contradictions(found)


def _counter(tables: Tables, source: CounterSource, printer: str) -> int | None:
    wanted = [oid.replace(PRINTER, printer) for oid in source.oids]
    values = [integer(tables.varbinds.get(oid)) for oid in wanted]
    present = [value for value in values if value is not None and 0 <= value < 2**62]
    if not present or (source.need == "all" and len(present) < len(wanted)):
        return None
    if source.unit is not None:
        unit = integer(tables.column(f"{oids.PRT_MARKER}.3").get(f"{printer}.1"))
        if COUNTER_UNITS.get(unit or 0) != source.unit:
            return None
    return sum(present)


def _counter_table(
    tables: Tables, table: CounterTable, charset: int | None, known: Mapping[str, int | dict[str, int]]
) -> dict[str, int | dict[str, int]]:
    keys = dict(tables.under(table.key_oid))
    rows: dict[str, int] = {}
    for count, (index, raw) in enumerate(tables.under(table.value_oid)):
        value = integer(raw)
        if count >= _MAX_TABLE_ROWS or value is None or not 0 <= value < 2**62:
            continue
        key = keys.get(index)
        text = (
            decode_text(key, charset)[:_SHORT]
            if isinstance(key, bytes | str)
            else str(key if key is not None else "")
        )
        name = table.names.get(text) if table.names else text
        if name:
            rows[name] = rows.get(name, 0) + value
    if table.into is None:
        return dict(rows)
    filled = {name: value for name, value in rows.items() if value}
    whole = known.get(table.total or "")
    if not filled or (table.total is not None and sum(filled.values()) != whole):
        return {}
    return {table.into: filled}


def _without_contradictions(found: dict[str, int | dict[str, int]]) -> dict[str, int | dict[str, int]]:
    """Drop the parts of a meter whose sum is more than the whole: billing on them would be wrong."""
    kept = dict(found)
    for whole, parts in _SUMS:
        total, values = kept.get(whole), [kept.get(part) for part in parts]
        present = [value for value in values if isinstance(value, int)]
        if isinstance(total, int) and sum(present) > total:
            for part in parts:
                kept.pop(part, None)
    return kept


def technology_of(varbinds: Varbinds, profile: DeviceProfile, charset: int | None) -> str:
    """Return toner or ink by the first sign of the profile that fits; toner when none does."""
    for sign in profile.technology:
        raw = varbinds.get(sign.oid)
        if isinstance(raw, bytes | str) and re.search(sign.match, decode_text(raw, charset)):
            return sign.technology
    return "toner"


def read_vendor_status(
    varbinds: Varbinds, profile: DeviceProfile, printer: str, charset: int | None
) -> dict[str, int | str]:
    """Return what the vendor's own strings say, by the names of the profile; empty when the device has none of them."""
    status: dict[str, int | str] = {}
    technology = technology_of(varbinds, profile, charset)
    seen = False
    for packed in profile.packed:
        raw = varbinds.get(packed.oid)
        if isinstance(raw, bytes):
            seen = True
            status.update(unpack(raw, packed, technology))
    if not seen:
        return {}
    for text in profile.status_texts:
        raw = varbinds.get(text.oid)
        if isinstance(raw, bytes) and (line := decode_text(raw, charset).lower()[:_SHORT]):
            status[text.name] = line
    for fallback in profile.status_fallbacks:
        value = integer(varbinds.get(fallback.oid.replace(PRINTER, printer)))
        if fallback.name not in status and value is not None and 0 <= value < 2**62:
            status[fallback.name] = value
    return status


def unpack(raw: bytes, packed: PackedString, technology: str) -> dict[str, int | str]:
    """Return the values of the known tags in a packed string.

    Records are tag, type (01), length, value. Four-octet values are big-endian (percent tags in hundredths); two-octet
    values are a level and its number of steps. A damaged record ends the reading: nothing after it can be trusted.
    """
    found: dict[str, int | str] = {}
    at = 0
    for _ in range(_MAX_RECORDS):
        if at + 3 > len(raw) or raw[at] == _END_OF_RECORDS:
            break
        length = raw[at + 2]
        value = raw[at + 3 : at + 3 + length]
        if raw[at + 1] != 1 or len(value) < length or length not in {2, 4}:
            break
        meaning = packed.tags.get(f"{raw[at]:02x}")
        if meaning is not None:
            name = meaning.name or (meaning.ink if technology == "ink" else meaning.toner)
            number = _packed_value(value, percent=meaning.percent)
            if name and number is not None:
                found[name] = number
        at += 3 + length
    return found


def _packed_value(value: bytes, *, percent: bool) -> int | None:
    if len(value) == 2:
        level, steps = value
        return round(100 * level / steps) if steps and level <= steps else None
    number = int.from_bytes(value, "big")
    if not percent:
        return number
    return round(number / 100) if number <= 10_000 else None
