"""Stock in the API's world: in each tenant an item, a warehouse, a van and a loan; swaps at the first customer."""

from datetime import timedelta
from decimal import Decimal

from crm_core.domain.cartridges import Cartridge, CartridgeOrigin, SwapEvidence
from crm_core.domain.identity import DEFAULT_TENANT, DeviceId, TechnicianId, TicketId
from crm_core.domain.loans import Loan, LoanState, LoyaltyLevel
from crm_core.domain.money import Money
from crm_core.domain.stock import (
    SUPPLIER,
    ItemId,
    MoveReason,
    PlaceKey,
    StockItem,
    StockMove,
    StockPlace,
    van_of,
)
from crm_core.ports import UnitOfWorkFactory
from tests.integration.api.telemetry import NOW, OTHER_TENANT

WAREHOUSE = PlaceKey("warehouse:main")
TONER = ItemId("CRG-1")
STOCK_OBJECTS = {"loan_id": {"own": "1", "foreign": "2", "absent": "99999"}}
STOCK_BODIES = {
    "ReceiptInput": {"item_id": TONER, "quantity": 1, "place": WAREHOUSE},
    "TransferInput": {"item_id": TONER, "quantity": 1, "source": WAREHOUSE, "target": "van:li"},
    "ShipmentInput": {"item_id": TONER, "quantity": 1, "source": WAREHOUSE, "site_id": "hq"},
    "DeliveryInput": {"item_id": TONER, "quantity": 1, "site_id": "hq"},
    "CountInput": {"item_id": TONER, "place": WAREHOUSE, "counted": 7},
    "LoanInput": {}, "StandByInput": {"device_id": "c3525-01", "place": WAREHOUSE},
    "ItemInput": {"item_id": "CRG-2", "name": "Toner", "kind": "toner", "unit_cost": "99.00"},
}  # fmt: skip


def seed_stock(uow_factory: UnitOfWorkFactory) -> None:
    """Write stock into both tenants."""
    with uow_factory() as uow:
        for tenant in (DEFAULT_TENANT, OTHER_TENANT):
            cost = Money(Decimal("300.00"))
            uow.stock.save_item(
                StockItem(
                    tenant=tenant, item_id=TONER, name="Toner 1", kind="toner", colour="black", unit_cost=cost
                )
            )
            uow.stock.save_place(StockPlace(tenant=tenant, place=WAREHOUSE, name="Main", region="east"))
            for number, (place, quantity) in enumerate(
                ((WAREHOUSE, 20), (van_of(TechnicianId("li")), 3), (van_of(TechnicianId("zhao")), 2))
            ):
                uow.stock.post(
                    [
                        StockMove(
                            tenant=tenant, item_id=TONER, source=SUPPLIER, target=place, quantity=quantity, at=NOW,
                            reason=MoveReason.RECEIPT, effect=f"seed:{number}", actor="seed", unit_cost=cost,
                        )
                    ]
                )  # fmt: skip
            uow.stock.open_loan(
                Loan(
                    tenant=tenant, ticket_id=TicketId(1 if tenant == DEFAULT_TENANT else 4), device_id=DeviceId("c3525-01"),
                    for_device=DeviceId("c3525-01"), customer_id=None, site_id=None, state=LoanState.RESERVED,
                    reserved_at=NOW, promised_by=NOW + timedelta(days=2), loyalty=LoyaltyLevel.GOLD, distance_km=3.0,
                    reason="stock.loan.why",
                )
            )  # fmt: skip
        uow.stock.save_cartridge(
            Cartridge(
                tenant=DEFAULT_TENANT, device_id=DeviceId("c3525-01"), supply_index="1.1", number=1, kind="toner",
                colour="black", origin=CartridgeOrigin.NEW, found_at=NOW - timedelta(days=40), last_at=NOW,
                removed_at=NOW - timedelta(days=3), residual_percent=31.0, residual_margin=1.0, early=True,
                evidence=SwapEvidence.LEVEL, loss=Money(Decimal("93.00")), pages=1800, customer_id="cust-1", site_id="hq",
            )
        )  # fmt: skip
        uow.commit()
