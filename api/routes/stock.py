"""Stock: what is where, entries into the ledger, cartridges that came out, stand-by machines and down time."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request

from api.access import DISPATCHERS, FIELD, MANAGERS, OFFICE_READ, Principal, services_of
from api.direct_route import DirectRoute
from api.paging import Cursor, Limit, decode_number, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.stock import (
    CountInput,
    CountResult,
    DeliveryInput,
    DownTimeBody,
    ItemBody,
    ItemInput,
    LoanBody,
    LoanInput,
    MoveBody,
    MoveResult,
    ReceiptInput,
    ReorderBody,
    ShipmentInput,
    StandByBody,
    StandByInput,
    StockList,
    StockRowBody,
    SwapBody,
    TransferInput,
    WasteBody,
    decimal_of,
)
from api.stock_lists import moves_in_sight, rows_in_sight, sees_place, visible_place
from crm_core.domain.cartridges import CartridgeFilter
from crm_core.domain.identity import CustomerId, DeviceId, ModelId, SiteId
from crm_core.domain.loans import Loan
from crm_core.domain.money import Money
from crm_core.domain.stock import ItemId, PlaceKey, StockItem, shelf_at, transit_to, van_of
from crm_core.ports import UnitOfWork
from crm_core.ports.stock import MoveFilter
from crm_core.stock.book import StockBook, StockRow, due_reorders, total_value
from crm_core.stock.waste import waste_by_customer

router = APIRouter(tags=["stock"], route_class=DirectRoute)

Key64 = Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
PlaceText = Annotated[str | None, Query(max_length=96, pattern=r"^[a-z]+:[A-Za-z0-9._-]{0,64}$")]
Days = Annotated[int, Query(ge=1, le=3660, description="how far back, in days")]
LoanKey = Annotated[int, Path(ge=1, le=2**53)]
Office = Annotated[Principal, Depends(OFFICE_READ)]
Desk = Annotated[Principal, Depends(DISPATCHERS)]
_MANY: Final = 10_000


@router.get("/stock", summary="What is where")
def stock(request: Request, principal: Office, item_id: Key64 = None, place: PlaceText = None) -> StockList:
    """Return what each place in sight holds, with what is reserved, and its value at cost."""
    with services_of(request).read_uow_factory() as uow:
        return _listed(rows_in_sight(principal, uow, item_id, place))


@router.get("/stock/van", summary="The technician's own van")
def van(request: Request, principal: Annotated[Principal, Depends(FIELD)]) -> StockList:
    """Return what lies in the van of whoever asks; people without one see an empty list."""
    if principal.technician_id is None:
        return _listed([])
    with services_of(request).read_uow_factory() as uow:
        return _listed(rows_in_sight(principal, uow, place=van_of(principal.technician_id)))


@router.get("/stock/items", summary="Items")
def items(request: Request, principal: Office) -> Page[ItemBody]:
    """Return all items that are or were kept."""
    with services_of(request).read_uow_factory() as uow:
        return Page(items=[ItemBody.of(item) for item in uow.stock.items(principal.tenant)])


@router.post("/stock/items", summary="Add or change an item", status_code=201)
def save_item(
    request: Request,
    body: ItemInput,
    principal: Annotated[Principal, Depends(MANAGERS)],
    _key: IdempotencyKey = None,
) -> ItemBody:
    """Add an item or change what is known of it; reorder points of an item that exists stay."""
    services, item_id = services_of(request), ItemId(body.item_id)
    with services.read_uow_factory() as uow:
        present = uow.stock.find_item(principal.tenant, item_id)
    item = StockItem(
        tenant=principal.tenant,
        item_id=item_id,
        name=body.name,
        kind=body.kind,
        colour=body.colour,
        part_number=body.part_number,
        unit_cost=Money(decimal_of(body.unit_cost)),
        model_ids=tuple(ModelId(each) for each in body.model_ids),
        reorder=present.reorder if present is not None else (),
        active=body.active,
    )
    return ItemBody.of(services.stock.book.save_item(item))


@router.get("/stock/moves", summary="Entries of the ledger")
def moves(
    request: Request,
    principal: Office,
    cursor: Cursor = None,
    limit: Limit = 50,
    item_id: Key64 = None,
    place: PlaceText = None,
) -> Page[MoveBody]:
    """Return entries with an end in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        which = MoveFilter(
            item_id=ItemId(item_id) if item_id else None,
            place=visible_place(principal, uow, place) if place else None,
            before=decode_number(cursor),
            limit=limit + 1,
        )
        rows = moves_in_sight(principal, uow, which)
    return Page(
        items=[MoveBody.of(row) for row in rows[:limit]],
        next_cursor=encode_cursor(str(rows[limit - 1].move_id)) if len(rows) > limit else None,
    )


@router.get("/stock/reorders", summary="What ran low")
def reorders(request: Request, principal: Office) -> Page[ReorderBody]:
    """Return items at or below their reorder point, with how many to order."""
    with services_of(request).read_uow_factory() as uow:
        rows = [row for row in due_reorders(uow, principal.tenant) if sees_place(principal, uow, row.place)]
    return Page(items=[ReorderBody.of(row) for row in rows])


# --- entries -------------------------------------------------------------------------------------------------------


@router.post("/stock/receipts", summary="Receive from a supplier", status_code=201)
def receive(request: Request, body: ReceiptInput, principal: Desk, _key: IdempotencyKey = None) -> MoveResult:
    """Enter a delivery of a supplier into a place."""
    book, place = _book(request), _seen(request, principal, body.place)
    move = book.receive(
        principal.tenant, ItemId(body.item_id), body.quantity, place, actor=principal.name,
        reference=body.reference,
    )  # fmt: skip
    return MoveResult.of(move)


@router.post("/stock/transfers", summary="Move between places", status_code=201)
def transfer(
    request: Request, body: TransferInput, principal: Desk, _key: IdempotencyKey = None
) -> MoveResult:
    """Move pieces from one place to another; 409 when the first one does not hold enough."""
    source, target = _seen(request, principal, body.source), _seen(request, principal, body.target)
    move = _book(request).transfer(
        principal.tenant, ItemId(body.item_id), body.quantity, source, target, actor=principal.name,
        reference=body.reference,
    )  # fmt: skip
    return MoveResult.of(move)


@router.post("/stock/shipments", summary="Send to a site", status_code=201)
def ship(request: Request, body: ShipmentInput, principal: Desk, _key: IdempotencyKey = None) -> MoveResult:
    """Send pieces to a site; while they are on their way they cover what runs out there."""
    site_id = SiteId(body.site_id)
    source = _seen(request, principal, body.source)
    _seen(request, principal, transit_to(site_id))
    move = _book(request).ship(
        principal.tenant, ItemId(body.item_id), body.quantity, source, site_id, actor=principal.name,
        reference=body.reference,
    )  # fmt: skip
    return MoveResult.of(move)


@router.post("/stock/deliveries", summary="A shipment arrived", status_code=201)
def deliver(
    request: Request, body: DeliveryInput, principal: Desk, _key: IdempotencyKey = None
) -> MoveResult:
    """Put what was on its way to a site onto the customer's shelf."""
    site_id = SiteId(body.site_id)
    _seen(request, principal, shelf_at(site_id))
    move = _book(request).deliver(
        principal.tenant, ItemId(body.item_id), body.quantity, site_id, actor=principal.name,
        reference=body.reference,
    )  # fmt: skip
    return MoveResult.of(move)


@router.post("/stock/counts", summary="Enter a count", status_code=201)
def count(request: Request, body: CountInput, principal: Desk, _key: IdempotencyKey = None) -> CountResult:
    """Enter what somebody counted; the difference is booked."""
    place = _seen(request, principal, body.place)
    found = _book(request).count(
        principal.tenant, ItemId(body.item_id), place, body.counted, actor=principal.name, note=body.note
    )
    return CountResult(difference=found.difference, broken=list(found.broken))


# --- cartridges ----------------------------------------------------------------------------------------------------


@router.get("/stock/swaps", summary="Cartridges that came out")
def swaps(
    request: Request,
    principal: Office,
    customer_id: Key64 = None,
    device_id: Key64 = None,
    early: bool | None = None,
    days: Days = 90,
    limit: Limit = 50,
) -> Page[SwapBody]:
    """Return swaps of the last days, newest first; `early` true gives only those with toner left."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        which = CartridgeFilter(
            customer_id=CustomerId(customer_id) if customer_id else None,
            device_id=DeviceId(device_id) if device_id else None,
            removed=True,
            early=early,
            since=services.clock.now() - timedelta(days=days),
            limit=_MANY,
        )
        rows = [
            row
            for row in uow.stock.cartridges(principal.tenant, which)
            if row.site_id is None or sees_place(principal, uow, shelf_at(row.site_id))
        ]
    return Page(items=[SwapBody.of(row) for row in rows[:limit]])


@router.get("/stock/waste", summary="Toner thrown away, by customer")
def waste(request: Request, principal: Office, days: Days = 90) -> Page[WasteBody]:
    """Return the customers with early swaps of the last days and what they cost, the dearest first."""
    services = services_of(request)
    now = services.clock.now()
    with services.read_uow_factory() as uow:
        rows = waste_by_customer(uow, principal.tenant, now - timedelta(days=days), now)
        rows = [row for row in rows if _sees_customer(principal, uow, row.customer_id)]
    return Page(items=[WasteBody.of(row) for row in rows])


# --- stand-by machines ---------------------------------------------------------------------------------------------


@router.get("/stock/loans", summary="Stand-by machines")
def loans(request: Request, principal: Office, limit: Limit = 50) -> Page[LoanBody]:
    """Return the loans in sight, newest first."""
    with services_of(request).read_uow_factory() as uow:
        rows = [
            row for row in uow.stock.loans(principal.tenant, limit=_MANY) if _sees_loan(principal, uow, row)
        ]
    return Page(items=[LoanBody.of(row) for row in rows[:limit]])


@router.post("/stock/stand-bys", summary="Keep a stand-by machine", status_code=201)
def keep_stand_by(
    request: Request, body: StandByInput, principal: Desk, _key: IdempotencyKey = None
) -> StandByBody:
    """Make a device of the stock a stand-by machine that waits at a place with coordinates."""
    place = _seen(request, principal, body.place)
    machine = services_of(request).stock.loans.keep(principal.tenant, DeviceId(body.device_id), place)
    return StandByBody(device_id=machine.device_id, place=machine.place)


@router.post("/stock/loans/{loan_id}/bring", summary="The stand-by machine works")
def bring(
    request: Request, body: LoanInput, principal: Desk, loan_id: LoanKey, _key: IdempotencyKey = None
) -> LoanBody:
    """Note that the machine works at the customer's: the restore promise is met."""
    _visible_loan(request, principal, loan_id)
    desk = services_of(request).stock.loans
    return LoanBody.of(desk.bring(principal.tenant, loan_id, actor=principal.name, count=body.count))


@router.post("/stock/loans/{loan_id}/take-back", summary="The stand-by machine is back")
def take_back(
    request: Request, body: LoanInput, principal: Desk, loan_id: LoanKey, _key: IdempotencyKey = None
) -> LoanBody:
    """Note that the machine is back in its warehouse."""
    _visible_loan(request, principal, loan_id)
    desk = services_of(request).stock.loans
    return LoanBody.of(desk.take_back(principal.tenant, loan_id, actor=principal.name, count=body.count))


@router.post("/stock/loans/{loan_id}/cancel", summary="Withdraw a promised machine")
def cancel_loan(request: Request, principal: Desk, loan_id: LoanKey, _key: IdempotencyKey = None) -> LoanBody:
    """Withdraw a promise; the machine is promised to whoever waits."""
    _visible_loan(request, principal, loan_id)
    desk = services_of(request).stock.loans
    return LoanBody.of(desk.cancel(principal.tenant, loan_id, actor=principal.name))


@router.get("/stock/down-times", summary="Down time of devices")
def down_times(request: Request, principal: Office, days: Days = 90, limit: Limit = 50) -> Page[DownTimeBody]:
    """Return down times that ended in the last days, the latest first; rent credits are made from them."""
    services = services_of(request)
    now = services.clock.now()
    with services.read_uow_factory() as uow:
        rows = [
            row
            for row in uow.stock.down_times(
                principal.tenant, now - timedelta(days=days), now + timedelta(seconds=1)
            )
            if row.customer_id is None or _sees_customer(principal, uow, row.customer_id)
        ]
    return Page(items=[DownTimeBody.of(row) for row in reversed(rows[-limit:])])


def _listed(rows: list[StockRow]) -> StockList:
    total = total_value(rows)
    return StockList(
        items=[StockRowBody.of(row) for row in rows], value=str(total.amount), currency=total.currency
    )


def _book(request: Request) -> StockBook:
    return services_of(request).stock.book


def _seen(request: Request, principal: Principal, text: str) -> PlaceKey:
    with services_of(request).read_uow_factory() as uow:
        return visible_place(principal, uow, text)


def _sees_customer(principal: Principal, uow: UnitOfWork, customer_id: CustomerId) -> bool:
    """Return True if the person sees one of the customer's sites."""
    if not principal.regions:
        return True
    sites = [site for site in uow.sites.all(principal.tenant) if site.customer_id == customer_id]
    return any(principal.sees_region(site.region) for site in sites)


def _sees_loan(principal: Principal, uow: UnitOfWork, loan: Loan) -> bool:
    return loan.site_id is None or sees_place(principal, uow, shelf_at(loan.site_id))


def _visible_loan(request: Request, principal: Principal, loan_id: int) -> None:
    """Answer like an absent loan when it is out of sight."""
    with services_of(request).read_uow_factory() as uow:
        if not _sees_loan(principal, uow, uow.stock.get_loan(principal.tenant, loan_id)):
            raise Problem("not_found")
