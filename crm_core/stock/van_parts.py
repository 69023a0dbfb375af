"""What only a van can bring: parts of visits that no warehouse and no cupboard at the site has free.

What a warehouse has is picked up before the route begins, so it limits nobody. What is nowhere limits nobody either: the
technician finds out what is wrong, and the part is ordered. Only in between does the plan have to look into the vans.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crm_core.domain.day_plan import Place
from crm_core.domain.identity import TechnicianId, TenantId, WorkOrderId
from crm_core.domain.service import WorkOrder
from crm_core.domain.stock import (
    ItemId,
    PlaceKey,
    PlaceKind,
    cupboard_at,
    kind_of_place,
    order_holder,
    van_of,
)
from crm_core.ports import UnitOfWork
from crm_core.stock.visit_parts import needed_now


@dataclass(frozen=True, slots=True)
class VanParts:
    """The scarce parts by order, and what each van holds of them."""

    orders: Mapping[WorkOrderId, Mapping[str, int]]
    vans: Mapping[PlaceKey, Mapping[str, int]]

    @classmethod
    def of(cls, uow: UnitOfWork, tenant: TenantId, orders: Iterable[WorkOrder]) -> "VanParts":
        """Look through the ledger; what is promised to one of these orders counts as free for them."""
        free = _Free(uow, tenant)
        wanted: dict[WorkOrderId, dict[str, int]] = {}
        asking = [order for order in orders if order.parts]
        for order in asking:
            free.give_back(order)
        for order in asking:
            scarce = {
                str(item.item_id): quantity
                for item, quantity in needed_now(uow, order)
                if free.is_only_in_vans(item.item_id, order)
            }
            if scarce:
                wanted[order.work_order_id] = scarce
        return cls(wanted, free.vans())

    def needed(self, order: WorkOrder) -> Mapping[str, int]:
        """Return what an order can only get from a van."""
        return self.orders.get(order.work_order_id, {})

    def carried(self, technician_id: TechnicianId) -> Mapping[str, int]:
        """Return what the technician's van holds."""
        return self.vans.get(van_of(technician_id), {})


class _Free:
    """Free pieces by item and place."""

    def __init__(self, uow: UnitOfWork, tenant: TenantId) -> None:
        self._uow = uow
        self._at: dict[ItemId, Counter[PlaceKey]] = defaultdict(Counter)
        for row in uow.stock.balances(tenant):
            self._at[row.item_id][row.place] += row.free

    def give_back(self, order: WorkOrder) -> None:
        for each in self._uow.stock.reservations(order.tenant, holder=order_holder(order.work_order_id)):
            self._at[each.item_id][each.place] += each.quantity

    def is_only_in_vans(self, item_id: ItemId, order: WorkOrder) -> bool:
        places = {place: kind_of_place(place) for place, free in self._at[item_id].items() if free > 0}
        at_hand = PlaceKind.WAREHOUSE in places.values()
        here = order.site_id is not None and cupboard_at(order.site_id) in places
        return PlaceKind.VAN in places.values() and not at_hand and not here

    def vans(self) -> dict[PlaceKey, dict[str, int]]:
        held: dict[PlaceKey, dict[str, int]] = defaultdict(dict)
        for item_id, places in self._at.items():
            for place, free in places.items():
                if free > 0 and kind_of_place(place) is PlaceKind.VAN:
                    held[place][str(item_id)] = free
        return held


def bases(uow: UnitOfWork, tenant: TenantId) -> dict[str, Place]:
    """Return by region where vans load in the morning: the warehouse whose coordinates are known."""
    return {
        row.region: (row.latitude, row.longitude)
        for row in sorted(uow.stock.places(tenant), key=lambda row: row.place, reverse=True)
        if kind_of_place(row.place) is PlaceKind.WAREHOUSE
        and row.latitude is not None
        and row.longitude is not None
    }
