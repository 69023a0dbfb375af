"""The device models and vendor styles that the simulator can build, read from models.toml and vendors.toml.

They are data so that a developer adds a machine in ten lines; the physics reads only the types of this module.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent

#: Components that wear and fail, in the words of the failure histories.
COMPONENTS: Final = ("fuser", "transfer", "drum", "feed_rollers", "developer", "laser", "electronics")
COLOURS: Final = "KCMY"

#: Colours in the languages of the machines, and prtMarkerSuppliesType by kind.
WORDS: Final = {
    "en": {"K": "Black", "C": "Cyan", "M": "Magenta", "Y": "Yellow"},
    "zh": {"K": "黑色", "C": "青色", "M": "品红色", "Y": "黄色"},
}
MARKER_TYPE: Final = {
    "toner": 3,
    "drum": 9,
    "developer": 10,
    "fuser": 15,
    "transfer": 20,
    "rollers": 1,
    "waste": 4,
    "staples": 32,
}

_COMPONENT_OF: Final = {
    "fuser": "fuser",
    "transfer": "transfer",
    "drum": "drum",
    "developer": "developer",
    "rollers": "feed_rollers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplySlot:
    """One slot of a machine: a toner, a drum, the fuser, the waste box.

    `colour` is a letter of KCMY or None; `yield_pages` is at 5 % coverage for toner and ink, impressions for
    parts, pages of waste for the box. A hidden slot wears but has no row in the supplies table.
    """

    kind: str  # toner, drum, developer, fuser, transfer, rollers, waste, staples
    colour: str | None
    part: str
    yield_pages: int
    hidden: bool = False
    label: str = (
        ""  # prtMarkerSuppliesDescription; {unit_serial} where the vendor shows the cartridge's serial
    )
    marker_type: int = 1  # prtMarkerSuppliesType
    colorant: int = 0  # prtMarkerSuppliesColorantIndex

    @property
    def component(self) -> str | None:
        """The component that this slot is, or None for what is used up."""
        return _COMPONENT_OF.get(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorStyle:
    """How the machines of one vendor speak: names, columns, counters, codes (see vendors.toml)."""

    key: str
    title: str
    object_id: str
    descr: str
    device_descr: str
    firmware: str
    order: str
    unit: int
    names: Mapping[str, str]
    tray_names: Sequence[str]
    codes: Mapping[str, Sequence[str]]
    alert_text: str
    counters: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    counter_types: Mapping[str, int] = field(default_factory=dict)
    omit: frozenset[str] = frozenset()
    covers: Sequence[str] = ("Front Door", "Right Door")
    language: str = "en"
    bypass: str = ""
    step: int = 1
    size_table: str = ""
    part_unit: int = 0
    waste_first: bool = False
    waste_unknown: bool = False
    sheets: bool = False
    power_up_alert: bool = False
    idle_alert: bool = False
    packed_status: bool = False
    toner_some_remaining: bool = False
    tray_level_unknown: bool = False
    capacity_unknown: frozenset[str] = frozenset()
    level_unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """One model: its slots, the design life of its components and how much it usually prints."""

    id: str
    name: str
    vendor: VendorStyle
    monthly_pages: int
    life_pages: int
    ppm: int
    colour: bool
    duplex: bool
    a3: bool
    technology: str
    functions: frozenset[str]
    trays: tuple[int, ...]
    slots: tuple[SupplySlot, ...]
    part_lives: tuple[int, ...]  # per COMPONENTS, impressions; 0 = the machine has no such part
    number: int = 0

    def code_of(self, component: str, rank: int) -> str:
        """Return the vendor's fault code for the `rank`-th code of a component."""
        codes = self.vendor.codes[component]
        return codes[rank % len(codes)]


def _slots(row: Mapping[str, Any], order: str, *, waste_first: bool) -> tuple[SupplySlot, ...]:
    """Return the slots of a model block in the vendor's order."""
    hidden = frozenset(row.get("hidden", ()))
    slots: list[SupplySlot] = []
    for kind in ("toner", "drum", "developer"):
        rows: Mapping[str, Sequence[Any]] = row.get(kind, {})
        slots += [
            SupplySlot(
                kind=kind,
                colour=letter,
                part=rows[letter][0],
                yield_pages=rows[letter][1],
                hidden=kind in hidden,
            )
            for letter in order
            if letter in rows
        ]
    plain = [
        SupplySlot(kind=kind, colour=None, part="", yield_pages=row[kind], hidden=kind in hidden)
        for kind in ("waste", "fuser", "transfer", "rollers", "staples")
        if kind in row
    ]
    if waste_first and plain and plain[0].kind == "waste":
        slots.insert(1, plain.pop(0))
    return tuple(slots + plain)


def _labelled(slot: SupplySlot, style: VendorStyle, technology: str) -> SupplySlot:
    """Return the slot with what it is called and how it is typed in the MIB."""
    label = style.names.get(slot.kind, slot.kind).format(
        colour=WORDS[style.language].get(slot.colour or "", ""),
        part=slot.part,
        letter=slot.colour or "",
        slot=COLOURS.find(slot.colour or "K") + 1,
        unit_serial="{unit_serial}",
    )
    marker_type = MARKER_TYPE[slot.kind]
    if technology == "ink":
        marker_type = {"toner": 5, "waste": 8}.get(slot.kind, 1)
    colorant = COLOURS.index(slot.colour) + 1 if slot.colour else 0
    return replace(slot, label=label.strip(), marker_type=marker_type, colorant=colorant)


def _part_lives(slots: Sequence[SupplySlot], life: int) -> tuple[int, ...]:
    """Return the design life per component: of its shortest-lived slot, or of the machine for laser and board."""
    lives = dict.fromkeys(COMPONENTS, 0)
    for slot in slots:
        if slot.component is not None:
            known = lives[slot.component]
            lives[slot.component] = min(known, slot.yield_pages) if known else slot.yield_pages
    lives["laser"] = lives["electronics"] = life
    return tuple(lives[name] for name in COMPONENTS)


def _style(key: str, row: dict[str, Any]) -> VendorStyle:
    """Return one vendor table as a style; lists of words become sets."""
    sets: dict[str, frozenset[str]] = {
        name: frozenset(row[name]) for name in ("omit", "capacity_unknown", "level_unknown") if name in row
    }
    return VendorStyle(key=key, **{**row, **sets})


def model_from_table(
    row: Mapping[str, Any], styles: Mapping[str, VendorStyle], number: int
) -> SimulatedModel:
    """Return one [[model]] block as a model. Raises `KeyError` for an unknown vendor or a missing field."""
    style = styles[row["vendor"]]
    technology = row.get("technology", "laser")
    slots = tuple(
        _labelled(slot, style, technology) for slot in _slots(row, style.order, waste_first=style.waste_first)
    )
    return SimulatedModel(
        id=row["id"],
        name=row["name"],
        vendor=style,
        monthly_pages=row["monthly"],
        life_pages=row["life"],
        ppm=row.get("ppm", 30),
        colour=row.get("colour", False),
        duplex=row.get("duplex", False),
        a3=row.get("a3", False),
        technology=technology,
        functions=frozenset(row.get("functions", ("print",))),
        trays=tuple(row["trays"]),
        slots=slots,
        part_lives=_part_lives(slots, row["life"]),
        number=number,
    )


def read_models(models: Path, vendors: Path) -> dict[str, SimulatedModel]:
    """Return the models of two TOML files by id."""
    styles = {key: _style(key, row) for key, row in tomllib.loads(vendors.read_text("utf-8")).items()}
    rows = tomllib.loads(models.read_text("utf-8"))["model"]
    return {row["id"]: model_from_table(row, styles, number) for number, row in enumerate(rows)}


@cache
def default_models() -> Mapping[str, SimulatedModel]:
    """Return the models that ship with Drumbeat, by id."""
    return read_models(HERE / "models.toml", HERE / "vendors.toml")
