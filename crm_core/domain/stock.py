"""Where cartridges, parts and stand-by machines are: items, places, moves between places, and what is reserved.

The ledger is double-entry: a move takes from one place what it gives to another, so all places of an item together
always hold nothing. Only suppliers and the two differences (found, counted) may owe; no other place ever goes below
what is reserved there.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final, NewType

from crm_core.domain.errors import InvalidValue
from crm_core.domain.identity import DeviceId, ModelId, SiteId, TechnicianId, TenantId, WorkOrderId
from crm_core.domain.money import Money

ItemId = NewType("ItemId", str)
#: A place as text, `<kind>:<name>`: warehouse:main, van:tech-li, shelf:s-school, installed:lab-01.
PlaceKey = NewType("PlaceKey", str)


class PlaceKind(StrEnum):
    """Kinds of places."""

    WAREHOUSE = "warehouse"
    VAN = "van"  # of a technician
    SITE = "site"  # the firm's own cupboard at a customer's site
    SHELF = "shelf"  # the customer's shelf: people there may take from it
    TRANSIT = "transit"  # sent to a site, not yet there
    INSTALLED = "installed"  # in a device
    SCRAP = "scrap"  # used up, thrown away, or taken back empty
    SUPPLIER = "supplier"  # owes what was received
    FOUND = "found"  # owes what turned up in a device without having been delivered
    COUNT = "count"  # owes the differences of counts


#: These may hold less than nothing; they stand for the world outside.
EXTERNAL: Final = frozenset({PlaceKind.SUPPLIER, PlaceKind.FOUND, PlaceKind.COUNT})
SUPPLIER: Final = PlaceKey("supplier:")
SCRAP: Final = PlaceKey("scrap:")
FOUND: Final = PlaceKey("found:")
COUNT: Final = PlaceKey("count:")


def place_of(kind: PlaceKind, name: str = "") -> PlaceKey:
    """Return the key of a place; all but the external ones and the scrap heap need a name."""
    if not name and kind not in EXTERNAL and kind is not PlaceKind.SCRAP:
        raise InvalidValue(f"a {kind} needs a name, for example {kind}:main")
    return PlaceKey(f"{kind}:{name}")


def parse_place(text: str) -> PlaceKey:
    """Return the key that people wrote, checked; `InvalidValue` names the possible kinds."""
    kind, _, name = text.strip().partition(":")
    try:
        return place_of(PlaceKind(kind), name)
    except ValueError:
        known = ", ".join(each.value for each in PlaceKind)
        raise InvalidValue(
            f"{text[:80]!r} is no place; write kind:name with a kind of {known}, for example warehouse:main"
        ) from None


@lru_cache(maxsize=4096)  # asked for each balance of each look at the books
def kind_of_place(place: PlaceKey) -> PlaceKind:
    """Return the kind of a place."""
    return PlaceKind(place.partition(":")[0])


def name_of_place(place: PlaceKey) -> str:
    """Return the name of a place within its kind: a technician, a site, a device."""
    return place.partition(":")[2]


def is_external(place: PlaceKey) -> bool:
    """Return True for places that may owe."""
    return kind_of_place(place) in EXTERNAL


def van_of(technician_id: TechnicianId) -> PlaceKey:
    """Return the van of a technician."""
    return place_of(PlaceKind.VAN, technician_id)


def shelf_at(site_id: SiteId) -> PlaceKey:
    """Return the customer's shelf at a site."""
    return place_of(PlaceKind.SHELF, site_id)


def transit_to(site_id: SiteId) -> PlaceKey:
    """Return what is on its way to a site."""
    return place_of(PlaceKind.TRANSIT, site_id)


def cupboard_at(site_id: SiteId) -> PlaceKey:
    """Return the firm's own cupboard at a site."""
    return place_of(PlaceKind.SITE, site_id)


def inside(device_id: DeviceId) -> PlaceKey:
    """Return the place of what is in a device."""
    return place_of(PlaceKind.INSTALLED, device_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReorderPoint:
    """At or below `at_or_below` pieces free at a place, order up to `up_to`."""

    place: PlaceKey
    at_or_below: int
    up_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StockItem:
    """Something that is kept in stock. `model_ids` are the devices that it fits; empty fits by part number alone."""

    tenant: TenantId
    item_id: ItemId
    name: str
    kind: str  # toner, ink, drum, waste, fuser, feed_rollers, ...
    colour: str | None = None
    part_number: str | None = None
    unit_cost: Money
    model_ids: tuple[ModelId, ...] = ()
    reorder: tuple[ReorderPoint, ...] = ()
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPlace:
    """What is known of a place besides its key; coordinates in degrees (WGS 84) are for the way of stand-by machines."""

    tenant: TenantId
    place: PlaceKey
    name: str
    region: str = "default"
    latitude: float | None = None
    longitude: float | None = None


class MoveReason(StrEnum):
    """Why something changed its place."""

    RECEIPT = "receipt"
    TRANSFER = "transfer"
    SHIPMENT = "shipment"
    DELIVERY = "delivery"  # a shipment arrived, or a technician left it on the shelf
    USE = "use"  # a technician put it into a device
    SWAP = "swap"  # telemetry shows that it was put into a device
    REMOVAL = "removal"  # it came out of a device
    COUNT = "count"
    RETURN = "return"
    SCRAP = "scrap"


@dataclass(frozen=True, slots=True, kw_only=True)
class StockMove:
    """`quantity` pieces from `source` to `target`. `effect` names the cause and is unique: a repeat moves nothing."""

    tenant: TenantId
    move_id: int = 0
    item_id: ItemId
    source: PlaceKey
    target: PlaceKey
    quantity: int
    at: datetime
    reason: MoveReason
    effect: str
    actor: str
    unit_cost: Money
    work_order_id: WorkOrderId | None = None
    serial: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidValue(f"a move takes at least one piece, not {self.quantity}")
        if self.source == self.target:
            raise InvalidValue(f"a move needs two places; both are {self.source}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StockBalance:
    """What a place holds of an item, and how much of it is promised."""

    tenant: TenantId
    item_id: ItemId
    place: PlaceKey
    quantity: int
    reserved: int = 0

    @property
    def free(self) -> int:
        return self.quantity - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Pieces at a place that are promised to a `holder`: a work order (`order:12`) or a supply (`cover:lab-01:1.3`)."""

    tenant: TenantId
    holder: str
    item_id: ItemId
    place: PlaceKey
    quantity: int
    at: datetime


def order_holder(work_order_id: WorkOrderId) -> str:
    """Return the holder of what a work order needs."""
    return f"order:{work_order_id}"


def cover_holder(device_id: DeviceId, cause: str) -> str:
    """Return the holder of what waits on the shelf for one supply of one device."""
    return f"cover:{device_id}:{cause}"
