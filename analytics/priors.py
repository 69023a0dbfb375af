"""What is assumed before a device's own history speaks: data-sheet yields, and typical ones where no sheet is known.

A forecast must exist from the first day on. The catalogue gives yields and usual pages a month per model; for a model
that nobody listed the table below gives the order of magnitude of its class. Forecasts that rest on either are
flagged as such to people.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from crm_core.domain.catalogue import Catalogue, DeviceModel
from crm_core.domain.fleet import Device

#: Pages of a full supply of a machine that nobody listed: orders of magnitude of office machines (middle of the
#: catalogue in config/catalogue/models.yaml and of public data sheets).
GENERIC_YIELDS: Final = {
    "toner": 7000, "ink": 4000, "drum": 60000, "developer": 200000, "fuser": 150000, "transfer": 200000, "waste": 30000,
    "staples": 15000, "maintenance": 200000, "rollers": 120000, "other": 30000,
}  # fmt: skip
GENERIC_PAGES_A_DAY: Final = {"ink": 25.0, "laser": 60.0}
DAYS_A_MONTH: Final = 30.4


@dataclass(frozen=True, slots=True)
class YieldPrior:
    """Pages that a full supply gives, and whether the data sheet of the model says so."""

    pages: float
    from_catalogue: bool


class SupplyPriorBook:
    """Priors per device from the catalogue, generic ones where the model is not listed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._found: dict[tuple[str | None, str | None, str | None], DeviceModel | None] = {}

    def fingerprint(self) -> bytes:
        """Return the whole catalogue as bytes: what priors depend on, the same in every process."""
        return msgspec.json.encode(self._catalogue.models, order="deterministic")

    def model_of(self, device: Device) -> DeviceModel | None:
        """Return the catalogue model of a device by id or by what it says about itself; None if not listed."""
        key = (device.model_id, device.vendor, device.model_name)
        if key not in self._found:
            self._found[key] = self._catalogue.find(device.model_id) or self._catalogue.match(
                device.vendor, device.model_name
            )
        return self._found[key]

    def yield_pages(self, device: Device, kind: str | None, colour: str | None) -> YieldPrior:
        """Return the pages of a full supply of this kind and colour."""
        model = self.model_of(device)
        if model is not None:
            same = [s for s in model.supplies if s.kind == kind and s.yield_pages]
            best = next((s for s in same if s.colour == colour), same[0] if same else None)
            if best is not None and best.yield_pages:
                return YieldPrior(float(best.yield_pages), from_catalogue=True)
            life = next((p.design_life_pages for p in model.parts if p.component == _component(kind)), None)
            if life:
                return YieldPrior(float(life), from_catalogue=True)
        return YieldPrior(
            float(GENERIC_YIELDS.get(kind or "other", GENERIC_YIELDS["other"])), from_catalogue=False
        )

    def pages_per_day(self, device: Device) -> float:
        """Return the pages a day that a machine of this model usually prints."""
        model = self.model_of(device)
        if model is not None and model.typical_pages_a_month > 0:
            return model.typical_pages_a_month / DAYS_A_MONTH
        ink = "ink" in (device.model_name or "").lower() or (device.vendor or "").lower().startswith("epson")
        return GENERIC_PAGES_A_DAY["ink" if ink else "laser"]


def _component(kind: str | None) -> str | None:
    return {"maintenance": "maintenance_kit", "rollers": "feed_rollers"}.get(kind or "", kind)
