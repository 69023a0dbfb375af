"""What may be concluded about a reading beside the device's own words: kinds, colours, part numbers, fault codes.

Every conclusion names its source, stands apart from the facts, and is left out where nothing supports it (an unnamed
supply has no colour, it is not black).
"""

import re
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from collector.profiles import DeviceProfile
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fault_codes import ERROR_STATE, PRT_ALERT_CODE, VENDOR, FaultCodeBook
from crm_core.domain.telemetry import Derived, DerivedFault, DerivedSupply, DeviceReading, MarkerSupply

KIND_OF_TYPE: Final = {
    "toner": "toner", "tonerCartridge": "toner", "wasteToner": "waste", "ink": "ink", "inkCartridge": "ink",
    "inkRibbon": "ribbon", "wasteInk": "waste", "opc": "drum", "developer": "developer", "fuserOil": "fuser",
    "solidWax": "ink", "wasteWax": "waste", "fuser": "fuser", "fuserOilWick": "fuser", "cleanerUnit": "maintenance",
    "fuserCleaningPad": "fuser", "transferUnit": "transfer", "fuserOiler": "fuser", "wasteWater": "waste",
    "wastePaper": "waste", "staples": "staples", "stitchingWire": "staples",
}  # fmt: skip

#: The first pattern that stands in the name tells the kind. English, Chinese, German, French, Spanish, Italian, Polish.
_KIND_WORDS: Final = tuple(
    (kind, re.compile(pattern, re.IGNORECASE))
    for kind, pattern in (
        ("waste", r"waste|废|廢|resttoner|alttoner|tonerabfall|r[ée]cup[ée]ration|residuos|recupero|zużyt|maintenance (?:box|cart)"),
        ("staples", r"stapl|订书|訂書|裝訂針|heft|agraf|grapa|punti metall"),
        ("transfer", r"transfer|belt|转印|轉印|übertrag|transfert|trasferimento|bande"),
        ("fuser", r"fus(?:er|ing)|fixing|定影|定着|fixier|fixiereinheit|fusore|unité de fusion|fusor|utrwalacz"),
        ("developer", r"developer|显影|顯影|entwickler|d[ée]veloppeur|revelador|wywoływacz"),
        ("drum", r"drum|photoconduct|\bopc\b|imaging unit|image unit|感光|成像|感光体|trommel|tambour|tambor|tamburo|bęben"),
        ("rollers", r"\brollers?\b|feed(?:er)? kit|搓纸|pickup|rolki|separation pad"),
        ("maintenance", r"maintenance|维护|保養|wartung|entretien|manutenzione|filter"),
        ("ink", r"\bink\b|墨水|墨盒|墨|tinte|encre|inchiostro|tinta|atrament"),
        ("toner", r"toner|cartridge|碳粉|墨粉|色粉|粉盒|kartusche|cartouche|cartuccia|cartucho|tusz"),
    )
)  # fmt: skip

_COLOUR_WORDS: Final = tuple(
    (colour, re.compile(pattern, re.IGNORECASE))
    for colour, pattern in (
        ("matte black", r"matte? black|mattschwarz|粗面黑|消光黑"),
        ("photo black", r"photo black|fotoschwarz|照片黑|亮黑"),
        ("light cyan", r"light cyan|淡青|浅青|hellcyan"),
        ("light magenta", r"light magenta|淡洋红|淺洋紅|浅品红|hellmagenta"),
        ("grey", r"\bgr[ae]y\b|灰"),
        ("black", r"\bblack\b|黑|ブラック|schwarz|\bnoir|\bnero\b|\bnegro\b|\bczarn|чёрн|черн|\bbk\b"),
        ("cyan", r"\bcyan|青|シアン|\bcian|\bciano\b|голуб|błękitn"),
        ("magenta", r"\bmagenta|洋红|洋紅|品红|品紅|マゼンタ|пурпур|purpurow"),
        ("yellow", r"\byellow|黄|黃|イエロー|\bgelb|\bjaune|\bgiallo|\bamarillo|\bżółt|ж[её]лт"),
        ("clear", r"\bclear toner|透明"),
        ("white", r"\bwhite\b|白色"),
    )
)  # fmt: skip
_COLOURED_KINDS: Final = frozenset({"toner", "ink", "drum", "developer", "ribbon"})
_STANDARD_COLOURS: Final = frozenset({"black", "cyan", "magenta", "yellow", "clear", "white", "grey"})

_PART_NUMBERS: Final = (
    re.compile(r"\bPN:? ?([A-Z0-9-]{5,})", re.IGNORECASE),  # Xerox: ", PN 006R01509;SN48..."
    re.compile(r"\b([A-Z]{2,3}-\d{3,5}[A-Z]{0,3})\b"),  # Kyocera, UTAX: TK-8527C; Sharp MX-61GT; Konica TN-328
    re.compile(r"\b(C[A-Z]\d{3}[A-Z]{1,2}|Q\d{4}[A-Z]|[A-Z]\d[A-Z]\d{2}[A-Z]|W\d{4}[A-Z]{1,2})\b"),  # HP: CF410A, D7H14A
    re.compile(r"\b((?:SJ[A-Z]{2}\d+\w*(?:[-/]\w+)*|T\d{3,4}[0-9A-Z]*(?:/T\d{3,4}[0-9A-Z]*)*))\b"),  # Epson
)  # fmt: skip
_SERIAL: Final = re.compile(r"(?:\bS/?N:?|;SN) ?([A-Z0-9-]{6,})", re.IGNORECASE)
_BLANK_SERIAL: Final = re.compile(r"^(?:unknown|crum-?|0+|none)$", re.IGNORECASE)
_SHORT: Final = 128


def complete_derived(
    reading: DeviceReading, *, profile: DeviceProfile | None, catalogue: Catalogue, book: FaultCodeBook
) -> DeviceReading:
    """Return the reading with conclusions filled in; those that a pushing agent already made are kept."""
    vendor = (
        reading.derived.vendor
        or (profile.vendor if profile and profile.vendor else None)
        or reading.identity.vendor
    )
    supplies = reading.derived.supplies or derive_supplies(reading, profile)
    derived = Derived(
        vendor=vendor,
        model_id=reading.derived.model_id or _model_id(catalogue, vendor, reading.identity.model),
        supplies=supplies,
        faults=reading.derived.faults or derive_faults(reading, vendor, book),
    )
    return replace(reading, derived=derived)


@lru_cache(maxsize=4096)
def _model_id(catalogue: Catalogue, vendor: str | None, model_name: str | None) -> str | None:
    model = catalogue.match(vendor, model_name)
    return str(model.model_id) if model else None


def derive_supplies(reading: DeviceReading, profile: DeviceProfile | None) -> tuple[DerivedSupply, ...]:
    """Return the conclusions about each supply row, and rows of vendor data alone where the MIB lists no supplies."""
    levels = _vendor_levels(reading, profile)
    if not reading.supplies:
        return tuple(
            DerivedSupply(
                index=f"0.{number}",
                kind=kind,
                colour=colour,
                level_percent=percent,
                source={"level_percent": name},
            )
            for number, (kind, colour, percent, name) in enumerate(levels, start=1)
        )
    rows = [
        _derived_row(row.index, row.name or "", row.type, row.cls, row.colorant, profile)
        for row in reading.supplies
    ]
    if not levels:
        return tuple(rows)
    return tuple(
        _with_vendor_level(row, supply, levels) for row, supply in zip(rows, reading.supplies, strict=True)
    )


@lru_cache(maxsize=32_768)
def _derived_row(
    index: str,
    name: str,
    kind_stated: str | None,
    cls: str | None,
    colorant: str | None,
    profile: DeviceProfile | None,
) -> DerivedSupply:
    """Return the conclusions of one row; they do not depend on its level and repeat over a fleet."""
    supply = MarkerSupply(index=index, type=kind_stated, cls=cls, colorant=colorant)
    kind, kind_source = _kind(supply, name)
    colour, colour_source = _colour(supply, name, kind, profile)
    part_number = _part_number(name)
    serial = _cartridge_serial(name)
    sources = {
        "kind": kind_source,
        "colour": colour_source,
        "part_number": "name" if part_number else None,
        "serial": "name" if serial else None,
    }
    return DerivedSupply(
        index=index,
        kind=kind,
        colour=colour,
        part_number=part_number,
        serial=serial,
        source={key: value for key, value in sources.items() if value},
    )


def _kind(supply: MarkerSupply, name: str) -> tuple[str | None, str | None]:
    """Return kind and source: a specific MIB type first, then a receptacle class, then the name."""
    if kind := KIND_OF_TYPE.get(supply.type or ""):
        return kind, "type"
    if supply.is_receptacle:
        return "waste", "class"
    if word := _first_word(_KIND_WORDS, name):
        return word, "name"
    return ("other", "type") if supply.type == "other" else (None, None)


def _first_word(words: tuple[tuple[str, re.Pattern[str]], ...], name: str) -> str | None:
    """Return the word of the first pattern that stands in a name."""
    return next((word for word, pattern in words if pattern.search(name)), None)


def _colour(
    supply: MarkerSupply, name: str, kind: str | None, profile: DeviceProfile | None
) -> tuple[str | None, str | None]:
    """Return colour and source: the colorant table, the name, the vendor's part numbers; None rather than a guess."""
    stated = (supply.colorant or "").lower().strip()
    if stated in _STANDARD_COLOURS:
        return stated, "colorant"
    if kind is not None and kind not in _COLOURED_KINDS:
        return None, None
    if colour := _first_word(_COLOUR_WORDS, name):
        return colour, "name"
    for marker in profile.part_number_colours if profile else ():
        if (hit := re.search(marker.match, name)) and (said := marker.letters.get(hit.group(1))):
            return said, f"part number ({profile.id if profile else ''})"
    return None, None


def _part_number(name: str) -> str | None:
    for pattern in _PART_NUMBERS:
        if (hit := pattern.search(name)) and hit.group(1).lower() != "unknown":
            return hit.group(1)[:_SHORT]
    return None


def _cartridge_serial(name: str) -> str | None:
    hit = _SERIAL.search(name)
    return None if hit is None or _BLANK_SERIAL.match(hit.group(1)) else hit.group(1)[:_SHORT]


def _vendor_levels(
    reading: DeviceReading, profile: DeviceProfile | None
) -> list[tuple[str, str | None, float, str]]:
    """Return (kind, colour, percent, source) from vendor_status by the profile's map."""
    found = []
    for row in profile.supply_levels if profile else ():
        value = reading.vendor_status.get(row.status)
        if isinstance(value, int) and 0 <= value <= 100:
            found.append((row.kind, row.colour, float(value), f"vendor_status.{row.status}"))
    return found


def _with_vendor_level(
    row: DerivedSupply, supply: MarkerSupply, levels: list[tuple[str, str | None, float, str]]
) -> DerivedSupply:
    """Add the vendor's percentage where the MIB gives none and exactly one entry fits kind and colour."""
    if supply.percent is not None:
        return row
    fits = [level for level in levels if level[0] == row.kind and level[1] in {row.colour, None}]
    if len(fits) != 1:
        return row
    _, _, percent, source = fits[0]
    return replace(row, level_percent=percent, source={**row.source, "level_percent": source})


def derive_faults(
    reading: DeviceReading, vendor: str | None, book: FaultCodeBook
) -> tuple[DerivedFault, ...]:
    """Return the fault codes in error bits, alert rows, alert texts and panel texts, each once.

    A state that needs no ticket (sleep, warm-up, power-up) is no fault. A vendor code that the book does not know is
    listed without a name.
    """
    found: dict[tuple[str, str, str], DerivedFault] = {}

    def add(scheme: str, code: str, name: str | None, source: str) -> None:
        found.setdefault(
            (scheme, code, source), DerivedFault(scheme=scheme, code=code, name=name, source=source)
        )

    for name in sorted(reading.error_names):
        row = book.find(ERROR_STATE, name, vendor)
        if row is not None and row.level is not None:
            add(ERROR_STATE, name, row.name, "error_state")
    for alert in reading.alerts:
        row = book.for_alert(alert.code, severity=alert.severity, group=alert.group)
        if row is not None and row.level is not None:
            add(PRT_ALERT_CODE, str(alert.code), row.name, f"alert:{alert.index}")
    texts = [(f"alert:{alert.index}", alert.desc or "") for alert in reading.alerts]
    texts += [("console", line) for line in reading.status.console]
    for source, text in texts:
        for code in book.codes_in(text, vendor):
            row = book.find(VENDOR, code, vendor)
            if row is None or row.level is not None:
                add(VENDOR, code, row.name if row else None, source)
        row = book.find_text(text, vendor)
        if row is not None and row.level is not None:
            add(VENDOR, row.code, row.name, source)
    return tuple(found.values())
