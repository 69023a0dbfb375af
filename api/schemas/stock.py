"""Stock as JSON: what is where, how it moved, cartridges that came out, stand-by machines."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field

from api.schemas.base import Input, Instant, Name, Output, ShortText
from crm_core.domain.cartridges import Cartridge
from crm_core.domain.loans import DownTime, Loan
from crm_core.domain.stock import StockItem, StockMove
from crm_core.stock.book import Reorder, StockRow
from crm_core.stock.waste import CustomerWaste

Place = Annotated[
    str, Field(min_length=3, max_length=96, pattern=r"^[a-z]+:[A-Za-z0-9._-]{0,64}$", description="kind:name")
]
Quantity = Annotated[int, Field(ge=1, le=100_000)]
Reference = Annotated[str, Field(max_length=100, description="the paper behind it; the same one counts once")]


class ReceiptInput(Input):
    """A delivery of a supplier."""

    item_id: Name
    quantity: Quantity
    place: Place
    reference: Reference = ""


class TransferInput(Input):
    """Pieces that change their place."""

    item_id: Name
    quantity: Quantity
    source: Place
    target: Place
    reference: Reference = ""


class ShipmentInput(Input):
    """Pieces sent to a site; `arrived` puts them onto the customer's shelf."""

    item_id: Name
    quantity: Quantity
    source: Place
    site_id: Name
    reference: Reference = ""


class DeliveryInput(Input):
    """A shipment that arrived at a site."""

    item_id: Name
    quantity: Quantity
    site_id: Name
    reference: Reference = ""


class CountInput(Input):
    """What somebody counted at a place."""

    item_id: Name
    place: Place
    counted: Annotated[int, Field(ge=0, le=1_000_000)]
    note: Annotated[str, Field(max_length=200)] = ""


class LoanInput(Input):
    """The life count of the machine at that moment, where it is known."""

    count: Annotated[int | None, Field(ge=0, le=2**53)] = None


class StandByInput(Input):
    """A machine of the stock that may stand in for others."""

    device_id: Name
    place: Place


class StandByBody(Output):
    """A stand-by machine and where it waits."""

    device_id: str
    place: str


class ItemInput(Input):
    """An item; the cost as decimal text."""

    item_id: Name
    name: ShortText
    kind: Annotated[str, Field(pattern=r"^[a-z_]{1,32}$")]
    colour: Annotated[str | None, Field(pattern=r"^[a-z_]{1,32}$")] = None
    part_number: ShortText | None = None
    unit_cost: Annotated[str, Field(pattern=r"^\d{1,9}(\.\d{1,2})?$")]
    model_ids: Annotated[list[Name], Field(default_factory=list, max_length=200)]
    active: bool = True


class StockRowBody(Output):
    """What a place holds of an item; `value` at the item's cost, decimal text."""

    place: str
    item_id: str
    name: str
    kind: str
    colour: str | None
    quantity: int
    reserved: int
    free: int
    unit_cost: str
    value: str
    currency: str

    @classmethod
    def of(cls, row: StockRow) -> "StockRowBody":
        return cls(
            place=row.balance.place,
            item_id=row.item.item_id,
            name=row.item.name,
            kind=row.item.kind,
            colour=row.item.colour,
            quantity=row.balance.quantity,
            reserved=row.balance.reserved,
            free=row.balance.free,
            unit_cost=str(row.item.unit_cost.amount),
            value=str(row.value.amount),
            currency=row.value.currency,
        )


class StockList(Output):
    """All rows in sight and their value together."""

    items: list[StockRowBody]
    value: str
    currency: str


class ItemBody(Output):
    """One item."""

    item_id: str
    name: str
    kind: str
    colour: str | None
    part_number: str | None
    unit_cost: str
    currency: str
    model_ids: list[str]
    active: bool

    @classmethod
    def of(cls, item: StockItem) -> "ItemBody":
        return cls(
            item_id=item.item_id,
            name=item.name,
            kind=item.kind,
            colour=item.colour,
            part_number=item.part_number,
            unit_cost=str(item.unit_cost.amount),
            currency=item.unit_cost.currency,
            model_ids=[str(each) for each in item.model_ids],
            active=item.active,
        )


class MoveBody(Output):
    """One entry of the ledger."""

    move_id: int
    item_id: str
    source: str
    target: str
    quantity: int
    at: Instant
    reason: str
    actor: str
    work_order_id: int | None
    serial: str | None
    note: str

    @classmethod
    def of(cls, move: StockMove) -> "MoveBody":
        return cls.model_validate(move)


class MoveResult(Output):
    """What an entry did; `repeated`: this reference was entered before and moved nothing now."""

    repeated: bool
    move: MoveBody | None

    @classmethod
    def of(cls, move: StockMove | None) -> "MoveResult":
        return cls(repeated=move is None, move=None if move is None else MoveBody.of(move))


class CountResult(Output):
    """The difference that a count entered, and whose promise it broke."""

    difference: int
    broken: list[str]


class ReorderBody(Output):
    """What ran low."""

    item_id: str
    name: str
    place: str
    free: int
    order: int

    @classmethod
    def of(cls, row: Reorder) -> "ReorderBody":
        return cls(
            item_id=row.item.item_id, name=row.item.name, place=row.place, free=row.free, order=row.order
        )


class SwapBody(Output):
    """One cartridge that came out, with how much left; `evidence` is how the swap shows."""

    device_id: str
    supply_index: str
    number: int
    kind: str | None
    colour: str | None
    serial: str | None
    origin: str
    removed_at: Instant
    residual_percent: float | None
    residual_margin: float | None
    early: bool
    taken_back: bool
    loss: str | None
    pages: int
    evidence: str | None
    work_order_id: int | None
    customer_id: str | None
    site_id: str | None

    @classmethod
    def of(cls, row: Cartridge) -> "SwapBody":
        assert row.removed_at is not None
        return cls(
            **{
                name: getattr(row, name)
                for name in cls.model_fields
                if name not in ("loss", "origin", "evidence")
            },
            origin=row.origin.value,
            evidence=row.evidence.value if row.evidence else None,
            loss=None if row.loss is None else str(row.loss.amount),
        )


class WasteBody(Output):
    """Toner that one customer threw away in the stretch; money as decimal text."""

    customer_id: str
    swaps: int
    early: int
    put_back: int
    loss: str
    currency: str
    unpriced: int
    pages: int

    @classmethod
    def of(cls, row: CustomerWaste) -> "WasteBody":
        return cls(
            customer_id=row.customer_id,
            swaps=row.swaps,
            early=row.early,
            put_back=row.put_back,
            loss=str(row.loss.amount),
            currency=row.loss.currency,
            unpriced=row.unpriced,
            pages=row.pages,
        )


class LoanBody(Output):
    """One stand-by machine for one ticket."""

    loan_id: int
    ticket_id: int
    device_id: str
    for_device: str
    customer_id: str | None
    site_id: str | None
    state: Literal["reserved", "out", "back", "cancelled"]
    reserved_at: Instant
    promised_by: Instant
    loyalty: str
    distance_km: float
    out_at: Instant | None
    back_at: Instant | None

    @classmethod
    def of(cls, loan: Loan) -> "LoanBody":
        return cls(
            **{name: getattr(loan, name) for name in cls.model_fields if name not in ("state", "loyalty")},
            state=loan.state.value,
            loyalty=loan.loyalty.value,
        )


class DownTimeBody(Output):
    """How long a device was out of service for one ticket; hours, those of a stand-by machine taken out."""

    ticket_id: int
    device_id: str
    customer_id: str | None
    contract_id: str | None
    since: Instant
    until: Instant
    lent_hours: float
    counted_hours: float

    @classmethod
    def of(cls, down: DownTime) -> "DownTimeBody":
        return cls(
            ticket_id=down.ticket_id,
            device_id=down.device_id,
            customer_id=down.customer_id,
            contract_id=down.contract_id,
            since=down.since,
            until=down.until,
            lent_hours=round(down.lent_seconds / 3600, 2),
            counted_hours=round(down.counted_seconds / 3600, 2),
        )


def decimal_of(text: str) -> Decimal:
    """Return the amount that a checked decimal text states."""
    return Decimal(text)
