"""What follows from a swap: the ledger shows the cartridge in the device, and complaints about the old one end."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from crm_core.domain.cartridges import Cartridge, CartridgeOrigin
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.policy import TriagePolicy
from crm_core.domain.service import WorkOrder, WorkOrderState
from crm_core.domain.stock import (
    FOUND,
    SCRAP,
    ItemId,
    MoveReason,
    PlaceKey,
    StockMove,
    cover_holder,
    cupboard_at,
    inside,
    shelf_at,
)
from crm_core.ports import UnitOfWork, WorkOrderFilter
from crm_core.ports.stock import MoveFilter

_AT_WORK: Final = frozenset({WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE, WorkOrderState.DONE})


@dataclass(frozen=True, slots=True)
class Swap:
    """One change of cartridge: the one that came out and the one that went in."""

    removed: Cartridge
    inserted: Cartridge


def book_swap(uow: UnitOfWork, swap: Swap, bundle: DeviceBundle, around_visit: timedelta) -> Cartridge:
    """Enter a swap into the ledger once; return the inserted cartridge with the work order that explains it.

    What a technician put in (a swap within `around_visit` of the visit) is booked when it ends; everything else comes from the customer's shelf or the
    firm's cupboard there, and where neither holds one it was found.
    """
    inserted, item_id = swap.inserted, swap.inserted.item_id
    if item_id is None or uow.stock.find_item(inserted.tenant, item_id) is None:
        return inserted
    device = inside(inserted.device_id)
    if uow.stock.balance(inserted.tenant, item_id, device).quantity > 0:
        uow.stock.post([_move(uow, swap, item_id, device, SCRAP, MoveReason.REMOVAL, "out")])
    order = _visit_of(uow, swap, item_id, around_visit)
    if order is not None:
        return replace(inserted, work_order_id=order.work_order_id)
    source = _source(uow, swap, bundle, item_id)
    uow.stock.post([_move(uow, swap, item_id, source, device, MoveReason.SWAP, "in")])
    return inserted


def _visit_of(uow: UnitOfWork, swap: Swap, item_id: ItemId, around: timedelta) -> WorkOrder | None:
    """Return the visit at the device that explains the swap: under way, or ended with this item used."""
    at = swap.removed.removed_at or swap.inserted.found_at
    which = WorkOrderFilter(device_id=swap.inserted.device_id, limit=20)
    for order in uow.work_orders.list(swap.inserted.tenant, which):
        if order.state not in _AT_WORK or order.started_at is None:
            continue
        end = order.done_at or swap.inserted.found_at
        if not order.started_at - around <= at <= end + around:
            continue
        if order.state is not WorkOrderState.DONE:
            return order
        moves = uow.stock.moves(order.tenant, MoveFilter(work_order_id=order.work_order_id, item_id=item_id))
        if any(move.reason is MoveReason.USE for move in moves):
            return order
    return None


def _source(uow: UnitOfWork, swap: Swap, bundle: DeviceBundle, item_id: ItemId) -> PlaceKey:
    """Return where the cartridge came from; a promise of the shelf to this very slot is kept by taking from it."""
    tenant, inserted, site_id = swap.inserted.tenant, swap.inserted, bundle.device.site_id
    if inserted.origin in (CartridgeOrigin.REINSERTED, CartridgeOrigin.USED):
        return SCRAP if uow.stock.balance(tenant, item_id, SCRAP).free > 0 else FOUND
    holder = cover_holder(inserted.device_id, f"supply.{inserted.supply_index}")
    for promise in uow.stock.reservations(tenant, holder=holder):
        uow.stock.release(promise)
    for place in (shelf_at(site_id), cupboard_at(site_id)) if site_id is not None else ():
        balance = uow.stock.balance(tenant, item_id, place)
        if balance.quantity > 0:
            if balance.free == 0:  # somebody took what was meant for another machine: that promise is broken
                uow.stock.release(uow.stock.reservations(tenant, item_id=item_id, place=place)[-1])
            return place
    return FOUND


def _move(
    uow: UnitOfWork,
    swap: Swap,
    item_id: ItemId,
    source: PlaceKey,
    target: PlaceKey,
    reason: MoveReason,
    side: str,
) -> StockMove:
    inserted = swap.inserted
    item = uow.stock.find_item(inserted.tenant, item_id)
    assert item is not None  # asked for before
    return StockMove(
        tenant=inserted.tenant,
        item_id=item_id,
        source=source,
        target=target,
        quantity=1,
        at=swap.removed.removed_at or inserted.found_at,
        reason=reason,
        effect=f"swap:{inserted.device_id}:{inserted.supply_index}:{inserted.number}:{side}",
        actor="drumbeat",
        unit_cost=item.unit_cost,
        serial=inserted.serial if side == "in" else swap.removed.serial,
    )


def clear_complaints(uow: UnitOfWork, swap: Swap, policy: TriagePolicy) -> None:
    """Let what was said about the old cartridge count as gone; triage then resolves its ticket.

    Gauges that give no number never say that they are well again: the swap says it for them.
    """
    at = swap.removed.removed_at or swap.inserted.found_at
    for track in uow.signals.tracks(swap.inserted.tenant, swap.inserted.device_id):
        if track.cause == f"supply.{swap.inserted.supply_index}" and track.last_seen <= at:
            enough = policy.rule_for(track.cause).clear_observations
            uow.signals.save_track(replace(track, clear_since=at, clear_count=enough))
