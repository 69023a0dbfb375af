"""Which item of the stock fits a slot or a need, and what it costs."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from crm_core.domain.cartridges import Cartridge
from crm_core.domain.catalogue import Catalogue
from crm_core.domain.identity import ModelId
from crm_core.domain.money import Money
from crm_core.domain.stock import StockItem


def fitting_items(
    items: Iterable[StockItem],
    model_id: ModelId | None,
    kind: str | None,
    colour: str | None,
    part_number: str | None = None,
) -> list[StockItem]:
    """Return the active items that fit: by part number, else by model, kind and colour."""
    active = [item for item in items if item.active]
    by_number = [item for item in active if part_number is not None and item.part_number == part_number]
    if by_number:
        return by_number
    return [
        item
        for item in active
        if model_id is not None
        and model_id in item.model_ids
        and item.kind == kind
        and item.colour in (colour, None)
    ]


def fitting_item(
    items: Iterable[StockItem],
    model_id: ModelId | None,
    kind: str | None,
    colour: str | None,
    part_number: str | None = None,
) -> StockItem | None:
    """Return the first item that fits, or None."""
    found = fitting_items(items, model_id, kind, colour, part_number)
    return found[0] if found else None


def known_price(
    items: Sequence[StockItem], catalogue: Catalogue, model_id: ModelId | None, cartridge: Cartridge
) -> Money | None:
    """Return what a cartridge costs: the item's cost, else the catalogue's price; None where neither is known."""
    for item in items:
        if item.item_id == cartridge.item_id:
            return item.unit_cost
    model = catalogue.find(model_id)
    for supply in model.supplies if model is not None else ():
        if (supply.kind, supply.colour) == (cartridge.kind, cartridge.colour) and supply.price is not None:
            return Money(Decimal(supply.price))
    return None
