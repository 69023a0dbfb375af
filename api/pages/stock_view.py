"""The tables of the stock pages in words: what is where, how it moved, early swaps, stand-by machines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from api.access import Principal
from api.pages.supply_view import Words, supply_name
from api.stock_lists import moves_in_sight, rows_in_sight, sees_place
from crm_core.domain.cartridges import Cartridge, CartridgeFilter
from crm_core.domain.identity import ticket_number
from crm_core.domain.loans import Loan
from crm_core.domain.money import Money
from crm_core.domain.stock import (
    ItemId,
    PlaceKey,
    PlaceKind,
    StockItem,
    kind_of_place,
    name_of_place,
    shelf_at,
    van_of,
)
from crm_core.ports import UnitOfWork
from crm_core.ports.stock import MoveFilter
from crm_core.stock.book import StockRow, due_reorders, total_value
from crm_core.stock.waste import total_loss, waste_by_customer

WASTE_DAYS: Final = 90
_MOVES: Final = 60
_COUNTED_BACK: Final = 5000  # entries of one item at one place: some years
_SWAPS: Final = 200


@dataclass(frozen=True, slots=True)
class Column:
    """The head of one column; numbers stand to the right."""

    label: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell, perhaps with a link and a smaller line below."""

    text: str
    href: str = ""
    sub: str = ""


@dataclass(frozen=True, slots=True)
class ViewTable:
    """One table; `empty` stands there when it has no rows."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class _Speech:
    """Shorthands of one page's language."""

    words: Words

    def t(self, key: str, **arguments: object) -> str:
        return self.words.messages.text(self.words.language, f"pages.stock.{key}", **arguments)

    def heads(self, *keys: str) -> list[Column]:
        """Return column heads; a key that ends with # is a number's."""
        return [Column(self.t(f"head.{key.rstrip('#')}"), key.endswith("#")) for key in keys]

    def number(self, value: float | None, digits: int = 0) -> str:
        return "–" if value is None else self.words.formats.number(value, digits)

    def money(self, value: Money | None) -> str:
        return "–" if value is None else f"{value.amount:,.2f}"

    def place(self, uow: UnitOfWork, principal: Principal, place: PlaceKey) -> str:
        """Return a place in words: its kind and, where there is a record, its name."""
        kind, name = kind_of_place(place), name_of_place(place)
        named = next((row.name for row in uow.stock.places(principal.tenant) if row.place == place), name)
        return f"{self.t(f'place.{kind}')} {named}".strip()


def speech_of(words: Words) -> _Speech:
    """Return the words of stock in one language."""
    return _Speech(words)


@dataclass(frozen=True, slots=True)
class Filter:
    """One choice above a table."""

    label: str
    href: str
    current: bool
    count: str


def stock_context(
    uow: UnitOfWork, principal: Principal, words: Words, kind: PlaceKind | None
) -> dict[str, Any]:
    """Return what the places of a kind hold (the first kind that holds anything unless told), and what ran low."""
    say, rows = _Speech(words), rows_in_sight(principal, uow)
    held = Counter(kind_of_place(row.balance.place) for row in rows)
    kinds = [each for each in PlaceKind if held[each]]
    chosen = kind or next(iter(kinds), PlaceKind.WAREHOUSE)
    shown = [row for row in rows if kind_of_place(row.balance.place) is chosen]
    low = [row for row in due_reorders(uow, principal.tenant) if sees_place(principal, uow, row.place)]
    orders = [
        [
            _item_cell(row.item, words),
            Cell(say.place(uow, principal, row.place)),
            Cell(say.number(row.free)),
            Cell(say.number(row.order)),
        ]
        for row in low
    ]
    tables = [_stock_table(uow, principal, say, shown)]
    if orders:
        head = say.heads("item", "place", "free#", "order#")
        tables.insert(0, ViewTable(head, orders, say.t("nothing"), say.t("low")))
    return {
        "key": "stock",
        "about": say.t("worth", value=say.money(total_value(shown))),
        "filters": [
            Filter(say.t(f"place.{each}"), f"/stock?kind={each}", each is chosen, say.number(held[each]))
            for each in kinds
        ],
        "tables": tables,
    }


def van_context(uow: UnitOfWork, principal: Principal, words: Words) -> dict[str, Any]:
    """Return what lies in the technician's van: there is one place, so it is not named in each line."""
    say = _Speech(words)
    rows = (
        rows_in_sight(principal, uow, place=van_of(principal.technician_id))
        if principal.technician_id is not None
        else []
    )
    table = _stock_table(uow, principal, say, rows, linked=False)
    own = replace(table, columns=table.columns[1:4], rows=[row[1:4] for row in table.rows])
    return {"key": "van", "about": "", "tables": [own]}


def _item_cell(item: StockItem, words: Words) -> Cell:
    """Return what a thing is in words and its number below; a name that is only the number again says nothing."""
    if item.name not in (item.item_id, item.part_number):
        return Cell(item.name, sub=item.item_id)
    return Cell(supply_name(words, item.kind, item.colour, item.name), sub=item.part_number or item.item_id)


def _stock_table(
    uow: UnitOfWork, principal: Principal, say: _Speech, rows: Sequence[StockRow], *, linked: bool = True
) -> ViewTable:
    places = {place: say.place(uow, principal, place) for place in {row.balance.place for row in rows}}
    cells = [
        [
            Cell(places[row.balance.place]),
            _item_cell(row.item, say.words),
            Cell(
                say.number(row.balance.quantity),
                f"/stock/moves?item={row.item.item_id}&place={row.balance.place}" if linked else "",
            ),
            Cell(say.number(row.balance.reserved)),
            Cell(say.money(row.value)),
        ]
        for row in rows
    ]
    return ViewTable(say.heads("place", "item", "quantity#", "reserved#", "value#"), cells, say.t("nothing"))


def moves_context(
    uow: UnitOfWork,
    principal: Principal,
    words: Words,
    before: int | None,
    item: ItemId | None = None,
    place: PlaceKey | None = None,
) -> dict[str, Any]:
    """Return the newest entries of the ledger in sight; of one item at one place with the balance after each."""
    say = _Speech(words)
    which = MoveFilter(item_id=item, place=place, before=before, limit=_MOVES + 1)
    found = moves_in_sight(principal, uow, which)
    names = {row.item_id: row.name for row in uow.stock.items(principal.tenant)}
    after = _balances_after(uow, principal, item, place) if item and place else {}
    rows = [
        [
            Cell(words.formats.moment(move.at)),
            Cell(names.get(move.item_id, move.item_id)),
            Cell(say.number(move.quantity)),
            Cell(say.place(uow, principal, move.source)),
            Cell(say.place(uow, principal, move.target)),
            *([Cell(say.number(after.get(move.move_id)))] if after else []),
            Cell(say.t(f"reason.{move.reason}"), sub=move.note),
            Cell(move.actor),
        ]
        for move in found[:_MOVES]
    ]
    balance = ["balance#"] if after else []
    head = say.heads("at", "item", "quantity#", "from", "to", *balance, "reason", "actor")
    chosen = {"item": item, "place": place, "before": found[_MOVES - 1].move_id if len(found) > _MOVES else 0}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return {
        "key": "stock_moves",
        "about": f"{names.get(item, item)} · {say.place(uow, principal, place)}" if item and place else "",
        "tables": [ViewTable(head, rows, say.t("nothing"))],
        "next_href": f"/stock/moves?{query}" if chosen["before"] else "",
    }


def _balances_after(uow: UnitOfWork, principal: Principal, item: ItemId, place: PlaceKey) -> dict[int, int]:
    """Return what a place held of an item after each of the newest entries, counted back from what it holds now."""
    left = uow.stock.balance(principal.tenant, item, place).quantity
    after: dict[int, int] = {}
    for move in uow.stock.moves(principal.tenant, MoveFilter(item_id=item, place=place, limit=_COUNTED_BACK)):
        after[move.move_id] = left
        left -= move.quantity if move.target == place else -move.quantity
    return after


def swaps_context(
    now: datetime, uow: UnitOfWork, principal: Principal, words: Words, customer_id: str
) -> dict[str, Any]:
    """Return toner thrown away by customer, and the early swaps behind it."""
    say, since = _Speech(words), now - timedelta(days=WASTE_DAYS)
    names = {row.customer_id: row.name for row in uow.customers.all(principal.tenant)}
    which = CartridgeFilter(removed=True, early=True, since=since, limit=10_000)
    early = [
        row
        for row in uow.stock.cartridges(principal.tenant, which)
        if row.site_id is None or sees_place(principal, uow, shelf_at(row.site_id))
    ]
    seen = {row.customer_id for row in early}
    waste = [row for row in waste_by_customer(uow, principal.tenant, since, now) if row.customer_id in seen]
    shown = [row for row in early if not customer_id or row.customer_id == customer_id][:_SWAPS]
    by_customer = [
        [
            Cell(names.get(row.customer_id, row.customer_id), f"/stock/swaps?customer={row.customer_id}"),
            Cell(say.number(row.swaps)),
            Cell(say.number(row.early)),
            Cell(say.number(row.put_back)),
            Cell(say.money(row.loss), sub=say.t("unpriced", count=row.unpriced) if row.unpriced else ""),
        ]
        for row in waste
    ]
    head = say.heads("customer", "swaps#", "early#", "put_back#", "loss#")
    detail = say.heads("at", "device", "cartridge", "residual#", "pages#", "loss#", "seen")
    return {
        "key": "swaps",
        "about": say.t("waste", value=say.money(total_loss(waste)), days=WASTE_DAYS),
        "tables": [
            ViewTable(head, by_customer, say.t("no_waste")),
            ViewTable(
                detail, [_swap_row(row, say, words) for row in shown], say.t("no_waste"), say.t("early")
            ),
        ],
    }


def _swap_row(row: Cartridge, say: _Speech, words: Words) -> list[Cell]:
    what = " ".join(
        words.term(*each) for each in (("colour", row.colour or ""), ("kind", row.kind or "")) if each[1]
    )
    notes = [say.t("taken_back")] if row.taken_back else []
    notes += [say.t("wrong_slot")] if row.wrong_slot else []
    return [
        Cell(words.formats.moment(row.removed_at)),
        Cell(row.device_id, f"/devices/{row.device_id}"),
        Cell(what, sub=row.serial or ""),
        Cell(f"{say.number(row.residual_percent)} %", sub=f"± {say.number(row.residual_margin)}"),
        Cell(say.number(row.pages)),
        Cell(say.money(row.loss), sub=", ".join(notes)),
        Cell(say.t(f"evidence.{row.evidence}") if row.evidence else "–"),
    ]


def loans_context(uow: UnitOfWork, principal: Principal, words: Words) -> dict[str, Any]:
    """Return stand-by machines that wait, and loans."""
    say = _Speech(words)
    names = {row.customer_id: row.name for row in uow.customers.all(principal.tenant)}
    loans = [
        loan
        for loan in uow.stock.loans(principal.tenant, limit=_SWAPS)
        if loan.site_id is None or sees_place(principal, uow, shelf_at(loan.site_id))
    ]
    machines = [
        [Cell(row.device_id, f"/devices/{row.device_id}"), Cell(say.place(uow, principal, row.place))]
        for row in uow.stock.stand_bys(principal.tenant)
        if sees_place(principal, uow, row.place)
    ]
    rows = [
        _loan_row(loan, names.get(loan.customer_id, "–") if loan.customer_id else "–", say, words)
        for loan in loans
    ]
    head = say.heads("machine", "for", "customer", "state", "reserved", "out", "back", "distance#")
    return {
        "key": "loans",
        "about": "",
        "tables": [
            ViewTable(head, rows, say.t("nothing")),
            ViewTable(say.heads("machine", "place"), machines, say.t("nothing"), say.t("machines")),
        ],
    }


def _loan_row(loan: Loan, customer: str, say: _Speech, words: Words) -> list[Cell]:
    return [
        Cell(loan.device_id, f"/devices/{loan.device_id}"),
        Cell(ticket_number(loan.ticket_id), f"/tickets/{loan.ticket_id}", sub=loan.for_device),
        Cell(customer, sub=say.t(f"loyalty.{loan.loyalty}")),
        Cell(say.t(f"loan.{loan.state}")),
        Cell(words.formats.moment(loan.reserved_at)),
        Cell(words.formats.moment(loan.out_at) if loan.out_at else "–"),
        Cell(words.formats.moment(loan.back_at) if loan.back_at else "–"),
        Cell(say.number(loan.distance_km, 1)),
    ]
