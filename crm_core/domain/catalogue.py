"""What the rental firm knows beforehand: device models, their supplies and parts, and fault codes.

`config` reads the files of `config/catalogue/` and passes these frozen types in; no rule reads a file.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from crm_core.domain.identity import ModelId
from crm_core.domain.service import TicketLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSupply:
    """A consumable of a model; `yield_pages` by data sheet (ISO/IEC 19752, 19798 or 24711: about 5 % coverage)."""

    kind: str  # toner, ink, drum, waste, ...
    colour: str | None
    part_number: str | None
    yield_pages: int | None
    price: str | None = None  # decimal text in the firm's currency


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePart:
    """A wearing part; `design_life_pages` by data sheet or service manual."""

    component: str  # fuser, transfer, drum, feed_rollers, developer, laser, electronics, maintenance_kit
    design_life_pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a model can do (requirement 116)."""

    colour: bool = False
    dpi: int | None = None
    duplex: bool = False
    staple: bool = False
    mobile_print: bool = False
    disk_encryption: bool = False
    user_rights: bool = False
    separate_drum: bool = False
    pantone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """One model of the catalogue. `name_patterns` are case-insensitive regular expressions on the reported model."""

    model_id: ModelId
    vendor: str
    name: str
    name_patterns: tuple[str, ...]
    technology: str  # laser, ink, thermal, solid_ink
    design_life_pages: int
    typical_pages_a_month: int
    supplies: tuple[CatalogueSupply, ...] = ()
    parts: tuple[CataloguePart, ...] = ()
    capabilities: Capabilities = field(default_factory=Capabilities)
    list_price: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCode:
    """What a code means and who can help. A row without a source never opens a ticket alone."""

    scheme: str  # prtAlertCode, hrPrinterDetectedErrorState, ipp, vendor
    vendor: str | None
    match: str  # exact, prefix, pattern, range, regex, text
    code: str
    name: str
    category: str
    level: TicketLevel | None
    source: str | None
    confidence: str = "high"
    component: str | None = None
    cleared_by: str | None = None
    title: dict[str, str] = field(default_factory=dict)  # language -> text
    guide: dict[str, tuple[str, ...]] = field(default_factory=dict)  # language -> steps
    note: str | None = None

    @property
    def may_raise_alone(self) -> bool:
        """True if the code may open a ticket with no other sign: it names a level and a trusted source."""
        return self.level is not None and bool(self.source) and self.confidence != "low"


class Catalogue:
    """The device models that the firm knows, found by id or by what a device says about itself."""

    def __init__(self, models: Iterable[DeviceModel]) -> None:
        self._models = {model.model_id: model for model in models}
        self._patterns = [
            (re.compile(pattern, re.IGNORECASE), model)
            for model in self._models.values()
            for pattern in model.name_patterns
        ]

    @property
    def models(self) -> tuple[DeviceModel, ...]:
        return tuple(self._models.values())

    def find(self, model_id: ModelId | str | None) -> DeviceModel | None:
        """Return the model of that id, or None."""
        return self._models.get(ModelId(model_id)) if model_id else None

    def match(self, vendor: str | None, model_name: str | None) -> DeviceModel | None:
        """Return the model whose pattern fits the reported name, the longest match first; None when none fits."""
        if not model_name:
            return None
        text = model_name if not vendor or vendor.lower() in model_name.lower() else f"{vendor} {model_name}"
        hits = [
            (found.end() - found.start(), model)
            for pattern, model in self._patterns
            if (found := pattern.search(text))
        ]
        return max(hits, key=lambda hit: hit[0])[1] if hits else None
