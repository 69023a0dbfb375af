"""The parts that a technician can note at a visit: what lies in the van, with how many the order foresaw and were noted."""

from dataclasses import dataclass
from typing import Final

from api.pages.supply_view import Words, supply_name
from api.services import ApiServices
from crm_core.domain.fieldwork import VisitRecord
from crm_core.domain.service import WorkOrder
from crm_core.domain.stock import StockItem, van_of
from crm_core.ports import UnitOfWork
from crm_core.stock.book import stock_rows

_SHOWN: Final = 30
#: Kinds that printing uses up; all others are parts (requirements 13, 32).
_USED_UP: Final = frozenset({"toner", "ink"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VanPart:
    """One item of the van: `held` pieces there, `foreseen` by the order, `noted` at the visit so far."""

    item: StockItem
    name: str
    held: int
    foreseen: int
    noted: int | None
    consumable: bool


def van_parts(uow: UnitOfWork, order: WorkOrder, record: VisitRecord, words: Words) -> list[VanPart]:
    """Return what the order's technician carries, what the order foresaw first; nothing without a technician."""
    if order.technician_id is None:
        return []
    rows = stock_rows(uow, order.tenant, place=van_of(order.technician_id))
    found = [_part(row.item, row.balance.quantity, order, record, words) for row in rows]
    return sorted(found, key=lambda each: (-each.foreseen, each.name))[:_SHOWN]


def _part(item: StockItem, held: int, order: WorkOrder, record: VisitRecord, words: Words) -> VanPart:
    key = (item.kind, item.colour)
    foreseen = sum(
        need.quantity
        for need in order.parts
        if not need.spare
        and (need.part_number == item.part_number if need.part_number else (need.kind, need.colour) == key)
    )
    noted = [
        part.quantity
        for part in record.parts
        if (part.kind, part.colour, part.part_number) == (*key, item.part_number)
    ]
    named = item.name not in (item.item_id, item.part_number)
    return VanPart(
        item=item,
        name=item.name if named else supply_name(words, item.kind, item.colour, item.name),
        held=held,
        foreseen=foreseen,
        noted=sum(noted) if noted else None,
        consumable=item.kind in _USED_UP,
    )


def causes_of_repairs(services: ApiServices) -> list[str]:
    """Return the causes that a repair may have, those first that people have to choose consciously."""
    chargeable = sorted(services.policy.billing.repairs.chargeable_causes)
    return list(dict.fromkeys(("unknown", *chargeable, "wear", "defect", "consumable")))
