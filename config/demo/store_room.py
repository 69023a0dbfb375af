"""The stock of the demonstration: cartridges and wearing parts in two warehouses and the vans, and a stand-by machine.

What things cost is invented: so much a page of their yield, rounded to whole yuan.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from config.demo.world import World
from config.wiring.analysing import Desk
from config.wiring.core import Core
from crm_core.domain.catalogue import DeviceModel
from crm_core.domain.fleet import Device, OwnerState
from crm_core.domain.identity import DeviceId, ModelId
from crm_core.domain.loans import LoanState
from crm_core.domain.money import Money
from crm_core.domain.service import OPEN_STATES, TicketState
from crm_core.domain.stock import (
    SUPPLIER,
    ItemId,
    MoveReason,
    PlaceKey,
    ReorderPoint,
    StockItem,
    StockMove,
    StockPlace,
    shelf_at,
    van_of,
)
from crm_core.ports import UnitOfWork

PUDONG: Final = PlaceKey("warehouse:pudong")
SUZHOU: Final = PlaceKey("warehouse:suzhou")
STAND_BY: Final = DeviceId("standby-01")
STAND_BY_MODEL: Final = ModelId("canon-ir-adv-c3525i")
_PLACES: Final = (
    (PUDONG, "浦东仓库", "浦东", 31.2211, 121.5441),
    (SUZHOU, "苏州仓库", "苏州", 31.2989, 120.5853),
)
_IN_WAREHOUSE, _IN_VAN, _ON_SHELF = 120, 4, 1
_A_PAGE: Final = Decimal("0.015")
_PART: Final = Money(Decimal("680.00"))
_STAND_BY_COUNT, _STAND_BY_PAGES_A_DAY = (
    48_200,
    160,
)  # the machine has no address: people read its counter off


def fill_store_room(core: Core, uow: UnitOfWork, world: World, at: datetime) -> None:
    """Enter what the firm has in stock on its first day."""
    for place, name, region, latitude, longitude in _PLACES:
        uow.stock.save_place(
            StockPlace(
                tenant=core.tenant,
                place=place,
                name=name,
                region=region,
                latitude=latitude,
                longitude=longitude,
            )
        )
    models = {device.model_id for device in world.devices if device.model_id is not None}
    for item in _items(core, sorted(models)):
        uow.stock.save_item(item)
        uow.stock.post(
            [_receipt(item, PUDONG, _IN_WAREHOUSE, at), _receipt(item, SUZHOU, _IN_WAREHOUSE // 4, at)]
        )
        if item.kind == "toner":
            vans = [_receipt(item, van_of(each.technician_id), _IN_VAN, at) for each in world.technicians]
            uow.stock.post(vans)
    largest = world.sites[0].site_id
    for item in list(uow.stock.items(core.tenant))[:2]:
        uow.stock.post([_receipt(item, shelf_at(largest), _ON_SHELF, at)])
    uow.devices.save(
        Device(
            tenant=core.tenant,
            device_id=STAND_BY,
            model_id=STAND_BY_MODEL,
            vendor="Canon",
            model_name="Canon iR-ADV C3525i",
            asset_tag="DB-S001",
            owner_state=OwnerState.STOCK,
            registered_at=at,
        )
    )


def _items(core: Core, models: list[ModelId]) -> Iterator[StockItem]:
    """Yield an item for each part number of these models; one that fits several models names them all."""
    fits: dict[str, list[ModelId]] = {}
    known: dict[str, StockItem] = {}
    for model_id in models:
        model = core.catalogue.find(model_id)
        for item in _of_model(core, model) if model is not None else ():
            fits.setdefault(item.item_id, []).append(model_id)
            known.setdefault(item.item_id, item)
    for item_id, item in known.items():
        yield StockItem(
            tenant=item.tenant, item_id=item.item_id, name=item.name, kind=item.kind, colour=item.colour,
            part_number=item.part_number, unit_cost=item.unit_cost, model_ids=tuple(fits[item_id]), reorder=item.reorder,
        )  # fmt: skip


def _of_model(core: Core, model: DeviceModel) -> Iterator[StockItem]:
    for supply in model.supplies:
        if supply.kind == "waste":
            continue
        number = supply.part_number or f"{model.model_id}-{supply.kind}-{supply.colour or 'all'}"
        pages = Decimal(supply.yield_pages or 10_000)
        yield _item(core, number, supply.kind, supply.colour, Money((pages * _A_PAGE).quantize(Decimal(1))))
    for part in model.parts:
        yield _item(core, f"{model.model_id}-{part.component}", part.component, None, _PART)


def _item(core: Core, number: str, kind: str, colour: str | None, cost: Money) -> StockItem:
    item_id = "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in number)[:64]
    low = ReorderPoint(place=PUDONG, at_or_below=20, up_to=_IN_WAREHOUSE)
    return StockItem(
        tenant=core.tenant, item_id=ItemId(item_id), name=number, kind=kind, colour=colour, part_number=number,
        unit_cost=cost, reorder=(low,) if kind == "toner" else (),
    )  # fmt: skip


def _receipt(item: StockItem, place: PlaceKey, quantity: int, at: datetime) -> StockMove:
    return StockMove(
        tenant=item.tenant, item_id=item.item_id, source=SUPPLIER, target=place, quantity=quantity, at=at,
        reason=MoveReason.RECEIPT, effect=f"demo:{item.item_id}:{place}"[:200], actor="demo", unit_cost=item.unit_cost,
    )  # fmt: skip


def handle_loans(core: Core, desk: Desk) -> None:
    """Bring promised machines and take them back when the customer's own works again, as people would."""
    with core.uow_factory() as uow:
        reserved = uow.stock.loans(core.tenant, states=frozenset({LoanState.RESERVED}))
        out = uow.stock.loans(core.tenant, states=frozenset({LoanState.OUT}))
        needed = OPEN_STATES - {TicketState.RESOLVED_UNVERIFIED}
        over = [loan for loan in out if uow.tickets.get(core.tenant, loan.ticket_id).state not in needed]
        counted = [row.end_count or 0 for row in uow.devices.periods(core.tenant, STAND_BY)]
    count = max(counted, default=0) or _STAND_BY_COUNT
    for loan in reserved:
        desk.stock.loans.bring(core.tenant, loan.loan_id, actor="dispatcher", count=count)
    for loan in over:
        days = (core.clock.now() - (loan.out_at or core.clock.now())) / timedelta(days=1)
        printed = round(days * _STAND_BY_PAGES_A_DAY)
        desk.stock.loans.take_back(core.tenant, loan.loan_id, actor="dispatcher", count=count + printed)
