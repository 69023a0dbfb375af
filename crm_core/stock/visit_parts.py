"""Parts of work orders in the ledger: promised when the order is made, put in or left on the shelf when it is done.

Called with each transaction that wrote work orders, just before it becomes durable: what an order needs is promised
from its technician's van, the site's cupboard or a warehouse; an order that is called off gives it back. At the end of
a visit what went in moves into the device, what was brought along for later onto the customer's shelf. What the books
do not know of was found.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crm_core.domain.identity import DeviceId, ModelId
from crm_core.domain.service import PartNeed, WorkOrder, WorkOrderState
from crm_core.domain.stock import (
    FOUND,
    SCRAP,
    MoveReason,
    PlaceKey,
    PlaceKind,
    Reservation,
    StockItem,
    StockMove,
    cupboard_at,
    inside,
    kind_of_place,
    order_holder,
    shelf_at,
    van_of,
)
from crm_core.ports import Changes, Clock, UnitOfWork
from crm_core.stock.fitting import fitting_items

_OUTCOMES_WITH_PARTS: Final = frozenset({"fixed"})


@dataclass(frozen=True, slots=True)
class _Line:
    """One kind of piece of an order: for which device, and whether it is only brought along."""

    item: StockItem
    device_id: DeviceId
    quantity: int
    spare: bool


class VisitParts:
    """Keeps the ledger in step with work orders (a commit listener)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, uow: UnitOfWork, changes: Changes) -> None:
        """Promise, give back or book the parts of the orders that a transaction wrote."""
        for order in changes.work_orders.values():
            if not order.parts and order.state is not WorkOrderState.DONE:
                continue
            match order.state:
                case WorkOrderState.CANCELLED:
                    give_back(uow, order)
                case WorkOrderState.DONE:
                    self._book(uow, order)
                case WorkOrderState.PLANNED | WorkOrderState.ASSIGNED:
                    promise(uow, order, self._clock.now())
                case _:
                    pass  # who is on the way has loaded the van

    def _book(self, uow: UnitOfWork, order: WorkOrder) -> None:
        promised = list(uow.stock.reservations(order.tenant, holder=order_holder(order.work_order_id)))
        give_back(uow, order)
        at = order.done_at or self._clock.now()
        for line in _used_or_left(uow, order):
            sources = [each.place for each in promised if each.item_id == line.item.item_id]
            uow.stock.post(_moves(uow, order, line, sources, at))


def promise(uow: UnitOfWork, order: WorkOrder, now: datetime) -> list[StockItem]:
    """Promise what the order needs, from the nearest place that has it; return the items that none has free."""
    short = []
    holder = order_holder(order.work_order_id)
    kept = {each.item_id: each for each in uow.stock.reservations(order.tenant, holder=holder)}
    for item, quantity in _needed(uow, order):
        present = kept.get(item.item_id)
        if present is not None and present.quantity == quantity and _still_near(present, order):
            continue
        if present is not None:
            uow.stock.release(present)
        for place in _nearest(uow, order):
            wanted = Reservation(
                tenant=order.tenant,
                holder=holder,
                item_id=item.item_id,
                place=place,
                quantity=quantity,
                at=now,
            )
            if uow.stock.reserve(wanted):
                break
        else:
            short.append(item)
    return short


def give_back(uow: UnitOfWork, order: WorkOrder) -> None:
    """Release everything that is promised to the order."""
    for each in uow.stock.reservations(order.tenant, holder=order_holder(order.work_order_id)):
        uow.stock.release(each)


def _still_near(present: Reservation, order: WorkOrder) -> bool:
    """Return False for what lies in the van of somebody else, after the order changed hands."""
    if kind_of_place(present.place) is not PlaceKind.VAN:
        return True
    return order.technician_id is not None and present.place == van_of(order.technician_id)


def _nearest(uow: UnitOfWork, order: WorkOrder) -> Iterator[PlaceKey]:
    """Yield the places to take parts from: the van, the cupboard at the site, then warehouses of the region first."""
    if order.technician_id is not None:
        yield van_of(order.technician_id)
    if order.site_id is not None:
        yield cupboard_at(order.site_id)
    site = uow.sites.find(order.tenant, order.site_id) if order.site_id is not None else None
    region = site.region if site is not None else ""
    houses = [
        row for row in uow.stock.places(order.tenant) if kind_of_place(row.place) is PlaceKind.WAREHOUSE
    ]
    for house in sorted(houses, key=lambda row: (row.region != region, row.place)):
        yield house.place


def needed_now(uow: UnitOfWork, order: WorkOrder) -> list[tuple[StockItem, int]]:
    """Return the items without which a visit makes no sense, with how many of each; spares are none of these."""
    return _summed(line for line in _lines(uow, order, order.parts) if not line.spare)


def _needed(uow: UnitOfWork, order: WorkOrder) -> list[tuple[StockItem, int]]:
    """Return the items of an order with how many of each."""
    return _summed(_lines(uow, order, order.parts))


def _summed(lines: Iterable[_Line]) -> list[tuple[StockItem, int]]:
    wanted: dict[str, tuple[StockItem, int]] = {}
    for line in lines:
        _, before = wanted.get(line.item.item_id, (line.item, 0))
        wanted[line.item.item_id] = (line.item, before + line.quantity)
    return list(wanted.values())


def _lines(uow: UnitOfWork, order: WorkOrder, parts: Iterable[PartNeed]) -> Iterator[_Line]:
    items = uow.stock.items(order.tenant) if order.parts else ()
    for need in parts:
        device_id = need.device_id or order.device_id
        found = fitting_items(items, _model(uow, order, device_id), need.kind, need.colour, need.part_number)
        if found:
            yield _Line(found[0], device_id, need.quantity, need.spare)


def _model(uow: UnitOfWork, order: WorkOrder, device_id: DeviceId) -> ModelId | None:
    device = uow.devices.find(order.tenant, device_id)
    return device.model_id if device is not None else None


def _used_or_left(uow: UnitOfWork, order: WorkOrder) -> list[_Line]:
    """Return what a finished visit put in or left: what its record says, else what the order was for, if it was solved."""
    lines = list(_lines(uow, order, order.parts))
    record = uow.fieldwork.visit_of(order.tenant, order.work_order_id)
    solved = order.outcome in _OUTCOMES_WITH_PARTS
    spares = [line for line in lines if line.spare and solved]
    if record is None or not record.parts:
        return [line for line in lines if solved]
    items = uow.stock.items(order.tenant)
    model = _model(uow, order, order.device_id)
    used = [
        _Line(found[0], order.device_id, part.quantity, spare=False)
        for part in record.parts
        if (found := fitting_items(items, model, part.kind, part.colour, part.part_number))
    ]
    return used + spares


def _moves(
    uow: UnitOfWork, order: WorkOrder, line: _Line, sources: Sequence[PlaceKey], at: datetime
) -> list[StockMove]:
    """Return the entries of one line: the old piece out of the device, the new one in - or onto the shelf."""
    device, item = inside(line.device_id), line.item
    key = f"order:{order.work_order_id}:{item.item_id}:{line.device_id}:{int(line.spare)}"
    source = _source(uow, order, line, sources)
    if line.spare:
        if order.site_id is None or source == FOUND:
            return []  # nothing was brought
        return [_entry(order, line, source, shelf_at(order.site_id), MoveReason.DELIVERY, f"{key}:left", at)]
    entries = [_entry(order, line, source, device, MoveReason.USE, f"{key}:in", at)]
    inside_now = uow.stock.balance(order.tenant, item.item_id, device).quantity
    if inside_now >= line.quantity:
        entries.insert(0, _entry(order, line, device, SCRAP, MoveReason.REMOVAL, f"{key}:out", at))
    return entries


def _source(uow: UnitOfWork, order: WorkOrder, line: _Line, sources: Sequence[PlaceKey]) -> PlaceKey:
    """Return where a piece comes from: where it was promised, else where it lies nearest, else it was found."""
    for place in (*sources, *_nearest(uow, order)):
        if uow.stock.balance(order.tenant, line.item.item_id, place).free >= line.quantity:
            return place
    return FOUND


def _entry(
    order: WorkOrder,
    line: _Line,
    source: PlaceKey,
    target: PlaceKey,
    reason: MoveReason,
    effect: str,
    at: datetime,
) -> StockMove:
    return StockMove(
        tenant=order.tenant,
        item_id=line.item.item_id,
        source=source,
        target=target,
        quantity=line.quantity,
        at=at,
        reason=reason,
        effect=effect[:200],
        actor=order.technician_id or "drumbeat",
        unit_cost=line.item.unit_cost,
        work_order_id=order.work_order_id,
    )
