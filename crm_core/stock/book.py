"""The stock book: what people enter - receipts, moves, shipments, counts - each as one transaction over the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from crm_core.domain.errors import InvalidValue, NotFound
from crm_core.domain.identity import SiteId, TenantId, WorkOrderId, checked_identifier
from crm_core.domain.money import Money
from crm_core.domain.stock import (
    COUNT,
    SUPPLIER,
    ItemId,
    MoveReason,
    PlaceKey,
    PlaceKind,
    StockBalance,
    StockItem,
    StockMove,
    StockPlace,
    is_external,
    kind_of_place,
    name_of_place,
    parse_place,
    shelf_at,
    transit_to,
)
from crm_core.ports import Clock, UnitOfWork, UnitOfWorkFactory
from crm_core.ports.stock import MoveFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class StockRow:
    """What a place holds of an item, with its value at the item's cost."""

    item: StockItem
    balance: StockBalance
    value: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Reorder:
    """An item that ran low at a place: `free` pieces are left, `order` brings it up again."""

    item: StockItem
    place: PlaceKey
    free: int
    order: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What a count found: the difference that was entered, and the holders whose promise it broke."""

    difference: int
    broken: tuple[str, ...] = ()


class StockBook:
    """Entries of people into the ledger. A `reference` names the paper behind an entry: the same one counts once.

    Unknown items raise `NotFound`, impossible quantities and places `InvalidValue`, what is not there `Conflict`.
    """

    def __init__(self, uow_factory: UnitOfWorkFactory, clock: Clock) -> None:
        self._uow_factory = uow_factory
        self._clock = clock

    # --- what is kept ---

    def save_item(self, item: StockItem) -> StockItem:
        """Add or change an item."""
        checked_identifier(item.item_id, "item id")
        if item.unit_cost.amount < 0:
            raise InvalidValue(f"item {item.item_id}: a cost cannot be negative")
        with self._uow_factory() as uow:
            uow.stock.save_item(item)
            uow.commit()
        return item

    def save_place(self, place: StockPlace) -> StockPlace:
        """Name a place and say where it lies."""
        parse_place(place.place)
        with self._uow_factory() as uow:
            uow.stock.save_place(place)
            uow.commit()
        return place

    def list(
        self, tenant: TenantId, *, item_id: ItemId | None = None, place: PlaceKey | None = None
    ) -> Sequence[StockRow]:
        """Return what is where, without the places that owe."""
        with self._uow_factory() as uow:
            return stock_rows(uow, tenant, item_id=item_id, place=place)

    def moves(self, tenant: TenantId, which: MoveFilter) -> Sequence[StockMove]:
        """Return moves, newest first."""
        with self._uow_factory() as uow:
            return uow.stock.moves(tenant, which)

    def reorders(self, tenant: TenantId) -> Sequence[Reorder]:
        """Return what has run low, by place and item."""
        with self._uow_factory() as uow:
            return due_reorders(uow, tenant)

    # --- entries ---

    def receive(
        self,
        tenant: TenantId,
        item_id: ItemId,
        quantity: int,
        place: PlaceKey,
        *,
        actor: str,
        reference: str = "",
        unit_cost: Money | None = None,
    ) -> StockMove | None:
        """Enter a delivery of a supplier; None when this reference was entered before."""
        return self._enter(
            tenant,
            item_id,
            quantity,
            SUPPLIER,
            place,
            MoveReason.RECEIPT,
            actor,
            reference,
            unit_cost=unit_cost,
        )

    def transfer(
        self,
        tenant: TenantId,
        item_id: ItemId,
        quantity: int,
        source: PlaceKey,
        target: PlaceKey,
        *,
        actor: str,
        reference: str = "",
        work_order_id: WorkOrderId | None = None,
    ) -> StockMove | None:
        """Move pieces from one place to another; None when this reference was entered before."""
        for each in (source, target):
            if is_external(each):
                raise InvalidValue(f"{each} is no place to move from or to; receive or count instead")
        reason = MoveReason.SCRAP if kind_of_place(target) is PlaceKind.SCRAP else MoveReason.TRANSFER
        return self._enter(
            tenant, item_id, quantity, source, target, reason, actor, reference, work_order_id=work_order_id
        )

    def ship(
        self,
        tenant: TenantId,
        item_id: ItemId,
        quantity: int,
        source: PlaceKey,
        site_id: SiteId,
        *,
        actor: str,
        reference: str = "",
    ) -> StockMove | None:
        """Send pieces to a site; `deliver` puts them onto the customer's shelf."""
        with self._uow_factory() as uow:
            uow.sites.get(tenant, site_id)
        target = transit_to(site_id)
        return self._enter(tenant, item_id, quantity, source, target, MoveReason.SHIPMENT, actor, reference)

    def deliver(
        self,
        tenant: TenantId,
        item_id: ItemId,
        quantity: int,
        site_id: SiteId,
        *,
        actor: str,
        reference: str = "",
    ) -> StockMove | None:
        """Note that a shipment arrived: the pieces are on the customer's shelf now."""
        source, target = transit_to(site_id), shelf_at(site_id)
        with self._uow_factory() as uow:
            _let_go_promises(uow, tenant, item_id, source)
            uow.commit()
        return self._enter(tenant, item_id, quantity, source, target, MoveReason.DELIVERY, actor, reference)

    def count(
        self, tenant: TenantId, item_id: ItemId, place: PlaceKey, counted: int, *, actor: str, note: str = ""
    ) -> Counted:
        """Enter what somebody counted; the difference is booked, promises that can no longer be kept are released."""
        if counted < 0:
            raise InvalidValue("a count cannot be negative")
        if is_external(place):
            raise InvalidValue(f"{place} holds nothing that can be counted")
        now = self._clock.now()
        with self._uow_factory() as uow:
            item = _item(uow, tenant, item_id)
            broken = _break_promises(uow, tenant, item_id, place, counted)
            difference = counted - uow.stock.balance(tenant, item_id, place).quantity
            if difference:
                uow.stock.post([_difference(item, place, difference, now, actor, note)])
            uow.commit()
        return Counted(difference, broken)

    def _enter(
        self,
        tenant: TenantId,
        item_id: ItemId,
        quantity: int,
        source: PlaceKey,
        target: PlaceKey,
        reason: MoveReason,
        actor: str,
        reference: str,
        *,
        unit_cost: Money | None = None,
        work_order_id: WorkOrderId | None = None,
    ) -> StockMove | None:
        now = self._clock.now()
        key = reference.strip()[:100] or now.isoformat()
        with self._uow_factory() as uow:
            item = _item(uow, tenant, item_id)
            _check_place(uow, tenant, target)
            move = StockMove(
                tenant=tenant,
                item_id=item_id,
                source=source,
                target=target,
                quantity=quantity,
                at=now,
                reason=reason,
                effect=f"{reason}:{key}:{item_id}:{target}"[:200],
                actor=actor,
                unit_cost=unit_cost or item.unit_cost,
                work_order_id=work_order_id,
                note=reference.strip()[:200],
            )
            made = uow.stock.post([move])
            uow.commit()
        return made[0] if made else None


def stock_rows(
    uow: UnitOfWork, tenant: TenantId, *, item_id: ItemId | None = None, place: PlaceKey | None = None
) -> list[StockRow]:
    """Return what is where with its value, without the places that owe; an item that nobody entered is left out."""
    items = {item.item_id: item for item in uow.stock.items(tenant)}
    return [
        StockRow(item=item, balance=row, value=item.unit_cost.times(row.quantity).rounded())
        for row in uow.stock.balances(tenant, item_id=item_id, place=place)
        if not is_external(row.place) and (item := items.get(row.item_id)) is not None
    ]


def total_value(rows: Sequence[StockRow]) -> Money:
    """Return the value of rows together."""
    total = Money(Decimal(0))
    for row in rows:
        total = total + row.value
    return total


def due_reorders(uow: UnitOfWork, tenant: TenantId) -> list[Reorder]:
    """Return what has run low, by place and item."""
    found = []
    for item in uow.stock.items(tenant):
        for point in item.reorder if item.active else ():
            free = uow.stock.balance(tenant, item.item_id, point.place).free
            if free <= point.at_or_below and point.up_to > free:
                found.append(Reorder(item=item, place=point.place, free=free, order=point.up_to - free))
    return sorted(found, key=lambda each: (each.place, each.item.item_id))


def _item(uow: UnitOfWork, tenant: TenantId, item_id: ItemId) -> StockItem:
    item = uow.stock.find_item(tenant, item_id)
    if item is None:
        raise NotFound(f"there is no item {item_id!r}; `drumbeat stock items` lists the known ones")
    return item


def _check_place(uow: UnitOfWork, tenant: TenantId, place: PlaceKey) -> None:
    """Raise `NotFound` for a van, shelf or device of nobody: what is put there would never be found again."""
    name = name_of_place(place)
    match kind_of_place(place):
        case PlaceKind.VAN:
            uow.technicians.get(tenant, name)
        case PlaceKind.SHELF | PlaceKind.SITE | PlaceKind.TRANSIT:
            uow.sites.get(tenant, name)
        case PlaceKind.INSTALLED:
            uow.devices.get(tenant, name)
        case _:
            pass


def _let_go_promises(uow: UnitOfWork, tenant: TenantId, item_id: ItemId, place: PlaceKey) -> None:
    """Free what is promised in transit before it arrives: the promise is made anew on the shelf by the next signal."""
    for promise in uow.stock.reservations(tenant, item_id=item_id, place=place):
        uow.stock.release(promise)


def _break_promises(
    uow: UnitOfWork, tenant: TenantId, item_id: ItemId, place: PlaceKey, counted: int
) -> tuple[str, ...]:
    """Release the youngest promises until the rest can be kept with `counted` pieces."""
    broken = []
    promises = list(uow.stock.reservations(tenant, item_id=item_id, place=place))
    while promises and sum(each.quantity for each in promises) > counted:
        youngest = promises.pop()
        uow.stock.release(youngest)
        broken.append(youngest.holder)
    return tuple(broken)


def _difference(
    item: StockItem, place: PlaceKey, difference: int, now: datetime, actor: str, note: str
) -> StockMove:
    source, target = (COUNT, place) if difference > 0 else (place, COUNT)
    return StockMove(
        tenant=item.tenant,
        item_id=item.item_id,
        source=source,
        target=target,
        quantity=abs(difference),
        at=now,
        reason=MoveReason.COUNT,
        effect=f"count:{place}:{item.item_id}:{now.isoformat()}"[:200],
        actor=actor,
        unit_cost=item.unit_cost,
        note=note[:200],
    )
