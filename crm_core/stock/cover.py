"""What lies at the site already: a cartridge on the shelf, in the cupboard or on its way covers a need without a visit.

Each piece covers one supply of one device: it is promised to it in the ledger. While the promise holds no ticket asks
for another delivery; who uses the piece, or takes it away, ends the promise.
"""

from dataclasses import dataclass
from datetime import datetime

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.service import CauseTrack, SignalOrigin
from crm_core.domain.stock import (
    PlaceKind,
    Reservation,
    cover_holder,
    cupboard_at,
    kind_of_place,
    shelf_at,
    transit_to,
)
from crm_core.domain.stock_policy import ShelfHint
from crm_core.ports import UnitOfWork
from crm_core.stock.fitting import fitting_items


@dataclass(frozen=True, slots=True)
class Cover:
    """A piece that waits for one supply, and whether people at the site can take it from their shelf now."""

    promise: Reservation

    @property
    def on_shelf(self) -> bool:
        return kind_of_place(self.promise.place) is PlaceKind.SHELF


def cover_of(uow: UnitOfWork, track: CauseTrack, bundle: DeviceBundle, now: datetime) -> Cover | None:
    """Return what covers a supply, promising a free piece at the site to it; None when a delivery is needed."""
    site_id, detail = bundle.device.site_id, track.condition.detail
    if not track.cause.startswith("supply.") or site_id is None or detail.get("supply_index") is None:
        return None
    holder = cover_holder(track.device_id, track.cause)
    for present in uow.stock.reservations(track.tenant, holder=holder):
        if present.place in (shelf_at(site_id), cupboard_at(site_id), transit_to(site_id)):
            return Cover(present)
        uow.stock.release(present)  # the device moved: its promise does not travel along
    items = fitting_items(
        uow.stock.items(track.tenant),
        bundle.device.model_id,
        _text(detail.get("kind")),
        _text(detail.get("colour")),
        _text(detail.get("part_number")),
    )
    for place in (shelf_at(site_id), cupboard_at(site_id), transit_to(site_id)):
        for item in items:
            wanted = Reservation(
                tenant=track.tenant, holder=holder, item_id=item.item_id, place=place, quantity=1, at=now
            )
            if uow.stock.reserve(wanted):
                return Cover(wanted)
    return None


def let_go(uow: UnitOfWork, track: CauseTrack) -> None:
    """End the promise to a supply that needs nothing any more."""
    for present in uow.stock.reservations(track.tenant, holder=cover_holder(track.device_id, track.cause)):
        uow.stock.release(present)


def wants_hint(track: CauseTrack, cover: Cover, hint: ShelfHint) -> bool:
    """Return True if somebody should tell the people there to use the cartridge on their shelf.

    Nobody calls about a machine that will print for days; one that stands still beside a full cartridge is worth it.
    """
    match hint:
        case ShelfHint.NEVER:
            return False
        case ShelfHint.ALWAYS:
            return cover.on_shelf
        case ShelfHint.WHEN_EMPTY:
            stands_still = track.origin is SignalOrigin.TELEMETRY and track.condition.severity == "critical"
            return cover.on_shelf and stands_still


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
