"""Cartridges in the slots of devices: which one is in, since when, how it ran, and with how much left it came out."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crm_core.domain.identity import CustomerId, DeviceId, SiteId, TenantId, WorkOrderId
from crm_core.domain.money import Money
from crm_core.domain.stock import ItemId


class SwapEvidence(StrEnum):
    """What shows that a cartridge was changed."""

    SERIAL = "serial"  # the device names another one
    LEVEL = "level"  # the level rose as no gauge rises by itself
    PATTERN = "pattern"  # a small jump, to the very level with which an earlier one came out
    COMPLAINT = "complaint"  # the gauge gives no number, but its complaint is gone and printing went on


class CartridgeOrigin(StrEnum):
    """Where a cartridge came from."""

    PRESENT = "present"  # it was in when the device was first read
    NEW = "new"
    REINSERTED = "reinserted"  # it had been taken out before
    USED = "used"  # part-used, and nobody knows from where


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingJump:
    """A jump of a level that the next look must confirm: single glitches are no swap."""

    at: datetime
    percent: float
    before: float
    sure: bool  # False: too small to count without a matching earlier cartridge
    pages: int  # printed with the old one when the jump was seen


@dataclass(frozen=True, slots=True, kw_only=True)
class CartridgeKey:
    """One cartridge in one slot: the `number`th that was seen there."""

    device_id: DeviceId
    supply_index: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cartridge:
    """The `number`th cartridge of a slot; exactly one of a slot has no `removed_at`.

    Percents are of the full cartridge; `residual_margin` says how far the residual may be off. `pages` counts all pages
    of the device while it was in. `loss` is what was left when it was taken out early, in money; None: no price known.
    """

    tenant: TenantId
    device_id: DeviceId
    supply_index: str
    number: int
    kind: str | None
    colour: str | None
    origin: CartridgeOrigin
    found_at: datetime
    installed_at: datetime | None = None
    serial: str | None = None
    item_id: ItemId | None = None
    first_percent: float | None = None
    last_percent: float | None = None
    last_at: datetime
    last_count: int | None = None
    pages: int = 0
    smallest_step: float | None = None  # of its gauge, in points
    low_since: datetime | None = None  # the device complains, or did when it last spoke about it
    quiet_since: datetime | None = None
    quiet_looks: int = 0
    quiet_pages: int = 0
    pending: PendingJump | None = None
    came_from: CartridgeKey | None = None
    wrong_slot: bool = False
    work_order_id: WorkOrderId | None = None  # which put it in
    removed_at: datetime | None = None
    residual_percent: float | None = None
    residual_margin: float | None = None
    evidence: SwapEvidence | None = None
    early: bool = False
    loss: Money | None = None
    taken_back: bool = False  # it was put in again later
    customer_id: CustomerId | None = None
    site_id: SiteId | None = None

    @property
    def key(self) -> CartridgeKey:
        return CartridgeKey(device_id=self.device_id, supply_index=self.supply_index, number=self.number)


@dataclass(frozen=True, slots=True)
class SwapMark:
    """How far the readings of a device were looked through for swaps."""

    tenant: TenantId
    device_id: DeviceId
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CartridgeFilter:
    """Which cartridges, newest removal first. `removed` None means both; `before` is a cursor on (removed_at)."""

    device_id: DeviceId | None = None
    customer_id: CustomerId | None = None
    site_id: SiteId | None = None
    removed: bool | None = None
    early: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 1000
