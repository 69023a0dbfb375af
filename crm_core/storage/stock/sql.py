"""The ledger of stock over the CRM database (`ports.StockRepository`). Cartridges and loans stand in `sql_machines`.

Balances change by conditional updates in the order of their keys, so that two writers wait for each other instead of
blocking each other, and whoever comes second sees what the first one left.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, or_, select

from crm_core.domain.errors import Conflict
from crm_core.domain.identity import TenantId
from crm_core.domain.stock import (
    ItemId,
    PlaceKey,
    Reservation,
    StockBalance,
    StockItem,
    StockMove,
    StockPlace,
    is_external,
)
from crm_core.ports.stock import MoveFilter
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.stock.memory import not_enough
from crm_core.storage.stock.sql_machines import SqlMachines
from crm_core.storage.stock.tables import (
    stock_balances,
    stock_items,
    stock_moves,
    stock_places,
    stock_reservations,
)
from crm_core.storage.tables import TableRepository, insert_once


class SqlStockRepository(SqlMachines):
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans (`ports.StockRepository`)."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._items: TableRepository[StockItem] = TableRepository(
            connection, stock_items, StockItem, "item_id"
        )
        self._read_items: dict[TenantId, Sequence[StockItem]] = {}  # of this transaction
        self._places: TableRepository[StockPlace] = TableRepository(
            connection, stock_places, StockPlace, "place"
        )

    def save_item(self, item: StockItem) -> None:
        self._read_items.clear()
        self._items.save(item)

    def find_item(self, tenant: TenantId, item_id: ItemId) -> StockItem | None:
        return self._items.find(tenant, item_id)

    def items(self, tenant: TenantId) -> Sequence[StockItem]:
        if tenant not in self._read_items:  # asked for again with each need of a round
            self._read_items[tenant] = self._items.all(tenant)
        return self._read_items[tenant]

    def save_place(self, place: StockPlace) -> None:
        self._places.save(place)

    def places(self, tenant: TenantId) -> Sequence[StockPlace]:
        return self._places.all(tenant)

    # --- ledger ---

    def post(self, moves: Sequence[StockMove]) -> Sequence[StockMove]:
        with self._connection.begin_nested():  # a refusal leaves nothing of this call
            made = [fresh for move in moves if (fresh := self._enter(move)) is not None]
            changes: dict[tuple[str, str, str], int] = defaultdict(int)
            for move in made:
                changes[move.tenant, move.item_id, move.source] -= move.quantity
                changes[move.tenant, move.item_id, move.target] += move.quantity
            for (tenant, item_id, place), change in sorted(changes.items()):
                if change:
                    self._change(TenantId(tenant), ItemId(item_id), PlaceKey(place), change)
        return made

    def _enter(self, move: StockMove) -> StockMove | None:
        """Insert a move whose effect is new; None for a repeat."""
        row = row_of(move)
        del row["move_id"]
        made = insert_once(self._connection, stock_moves, row, ("tenant", "effect"))
        return None if made is None else entity_of(made, StockMove)

    def _change(self, tenant: TenantId, item_id: ItemId, place: PlaceKey, change: int) -> None:
        table = stock_balances.c
        owes = is_external(place)
        row = {
            "tenant": tenant, "item_id": item_id, "place": place, "quantity": 0, "reserved": 0, "may_owe": owes,
        }  # fmt: skip
        insert_once(self._connection, stock_balances, row, ("tenant", "item_id", "place"))
        query = stock_balances.update().where(
            table.tenant == tenant, table.item_id == item_id, table.place == place
        )
        if change < 0 and not owes:
            query = query.where(table.quantity + change >= table.reserved)
        done = self._connection.execute(query.values(quantity=table.quantity + change))
        if done.rowcount != 1:
            raise Conflict(not_enough(self.balance(tenant, item_id, place), -change))

    def moves(self, tenant: TenantId, which: MoveFilter) -> Sequence[StockMove]:
        table = stock_moves.c
        query = select(stock_moves).where(table.tenant == tenant)
        if which.item_id is not None:
            query = query.where(table.item_id == which.item_id)
        if which.place is not None:
            query = query.where(or_(table.source == which.place, table.target == which.place))
        if which.work_order_id is not None:
            query = query.where(table.work_order_id == which.work_order_id)
        if which.before is not None:
            query = query.where(table.move_id < which.before)
        return self._read(query.order_by(table.move_id.desc()).limit(which.limit), StockMove)

    def balance(self, tenant: TenantId, item_id: ItemId, place: PlaceKey) -> StockBalance:
        table = stock_balances.c
        query = select(stock_balances).where(
            table.tenant == tenant, table.item_id == item_id, table.place == place
        )
        found = self._read(query, StockBalance)
        return found[0] if found else StockBalance(tenant=tenant, item_id=item_id, place=place, quantity=0)

    def balances(
        self, tenant: TenantId, *, item_id: ItemId | None = None, place: PlaceKey | None = None
    ) -> Sequence[StockBalance]:
        table = stock_balances.c
        query = select(stock_balances).where(table.tenant == tenant, table.quantity != 0)
        if item_id is not None:
            query = query.where(table.item_id == item_id)
        if place is not None:
            query = query.where(table.place == place)
        return self._read(query.order_by(table.place, table.item_id), StockBalance)

    # --- reservations ---

    def reserve(self, reservation: Reservation) -> bool:
        table = stock_balances.c
        if self._promised(reservation):
            return True
        query = stock_balances.update().where(
            *_balance_of(reservation), table.quantity - table.reserved >= reservation.quantity
        )
        taken = self._connection.execute(query.values(reserved=table.reserved + reservation.quantity))
        if taken.rowcount != 1:
            return False
        self._connection.execute(stock_reservations.insert(), row_of(reservation))
        return True

    def release(self, reservation: Reservation) -> bool:
        table = stock_balances.c
        query = stock_reservations.delete().where(*_key_of(reservation))
        gone = self._connection.execute(query.returning(stock_reservations.c.quantity)).scalar_one_or_none()
        if gone is None:
            return False
        update = stock_balances.update().where(*_balance_of(reservation))
        self._connection.execute(update.values(reserved=table.reserved - gone))
        return True

    def reservations(
        self,
        tenant: TenantId,
        *,
        holder: str | None = None,
        item_id: ItemId | None = None,
        place: PlaceKey | None = None,
    ) -> Sequence[Reservation]:
        table = stock_reservations.c
        query = select(stock_reservations).where(table.tenant == tenant)
        for column, value in ((table.holder, holder), (table.item_id, item_id), (table.place, place)):
            if value is not None:
                query = query.where(column == value)
        return self._read(query.order_by(table.at, table.holder, table.item_id, table.place), Reservation)

    def _promised(self, reservation: Reservation) -> bool:
        found = self._connection.execute(select(stock_reservations.c.quantity).where(*_key_of(reservation)))
        return found.first() is not None


def _key_of(reservation: Reservation) -> tuple[Any, ...]:
    table = stock_reservations.c
    return (
        table.tenant == reservation.tenant,
        table.holder == reservation.holder,
        table.item_id == reservation.item_id,
        table.place == reservation.place,
    )


def _balance_of(reservation: Reservation) -> tuple[Any, ...]:
    table = stock_balances.c
    return (
        table.tenant == reservation.tenant,
        table.item_id == reservation.item_id,
        table.place == reservation.place,
    )
