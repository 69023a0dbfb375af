"""Small builders of stock for tests: the policy's figures, items, moves; name what matters, the rest is harmless."""

from datetime import timedelta
from decimal import Decimal

from crm_core.domain.identity import ModelId
from crm_core.domain.money import Money
from crm_core.domain.stock import SUPPLIER, ItemId, MoveReason, PlaceKey, StockItem, StockMove
from crm_core.domain.stock_policy import RentCreditPolicy, ShelfHint, StockPolicy, SwapPolicy
from tests.builders import T0, TENANT

WAREHOUSE = PlaceKey("warehouse:main")


def a_stock_policy(**changes: object) -> StockPolicy:
    """Return the rental firm's figures: early above 10 %, loans within 60 km, 3 free days."""
    fields: dict[str, object] = {
        "swaps": SwapPolicy(
            sure_rise=15,
            small_jump=3,
            match_within=5,
            new_from=90,
            early_above=10,
            quiet_looks=3,
            quiet_pages=20,
            around_visit=timedelta(hours=6),
            remembered=timedelta(days=180),
        ),
        "consolidate_at_days_left": 14,
        "tickets_per_visit": 6,
        "shelf_hint": ShelfHint.WHEN_EMPTY,
        "loan_distance_km": 60,
        "loan_decide_after": timedelta(minutes=10),
        "rent_credit": RentCreditPolicy(
            free_days=Decimal(3), months_a_year=Decimal(12), days_a_year=Decimal(365)
        ),
        **changes,
    }
    return StockPolicy(**fields)


def an_item(item_id: str = "TN-black", colour: str | None = "black", **changes: object) -> StockItem:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "item_id": ItemId(item_id),
        "name": item_id,
        "kind": "toner",
        "colour": colour,
        "part_number": item_id,
        "unit_cost": Money(Decimal("300.00")),
        "model_ids": (ModelId("acme-c1"),),
        **changes,
    }
    return StockItem(**fields)


def a_move(
    quantity: int = 1,
    source: PlaceKey = SUPPLIER,
    target: PlaceKey = WAREHOUSE,
    *,
    effect: str = "receipt:1",
    item_id: str = "TN-black",
    **changes: object,
) -> StockMove:
    fields: dict[str, object] = {
        "tenant": TENANT,
        "item_id": ItemId(item_id),
        "source": source,
        "target": target,
        "quantity": quantity,
        "at": T0,
        "reason": MoveReason.RECEIPT,
        "effect": effect,
        "actor": "li",
        "unit_cost": Money(Decimal("300.00")),
        **changes,
    }
    return StockMove(**fields)
