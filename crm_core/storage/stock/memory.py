"""Stock in memory, with the promises of the database: the ledger. Cartridges and loans stand in `memory_machines`."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

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
from crm_core.storage.memory_service import Journal, Table
from crm_core.storage.stock.memory_machines import MemoryMachines


class MemoryStockRepository(MemoryMachines):
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans (`ports.StockRepository`)."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self._items: Table[StockItem] = Table(journal)
        self._places: Table[StockPlace] = Table(journal)
        self._moves: Table[StockMove] = Table(journal)
        self._effects: Table[int] = Table(journal)
        self._balances: Table[StockBalance] = Table(journal)
        self._reservations: Table[Reservation] = Table(journal)

    def save_item(self, item: StockItem) -> None:
        self._items.put((item.tenant, item.item_id), item)

    def find_item(self, tenant: TenantId, item_id: ItemId) -> StockItem | None:
        return self._items.rows.get((tenant, item_id))

    def items(self, tenant: TenantId) -> Sequence[StockItem]:
        return [row for key, row in sorted(self._items.rows.items()) if key[0] == tenant]

    def save_place(self, place: StockPlace) -> None:
        self._places.put((place.tenant, place.place), place)

    def places(self, tenant: TenantId) -> Sequence[StockPlace]:
        return [row for key, row in sorted(self._places.rows.items()) if key[0] == tenant]

    # --- ledger ---

    def post(self, moves: Sequence[StockMove]) -> Sequence[StockMove]:
        fresh = list(self._fresh(moves))
        changes: dict[tuple[str, str, str], int] = defaultdict(int)
        for move in fresh:
            changes[move.tenant, move.item_id, move.source] -= move.quantity
            changes[move.tenant, move.item_id, move.target] += move.quantity
        after = {key: self._changed(key, change) for key, change in changes.items() if change}
        for key, balance in after.items():
            self._balances.put(key, balance)
        numbered = [replace(move, move_id=self._moves.next_id()) for move in fresh]
        for move in numbered:
            self._moves.put((move.tenant, move.move_id), move)
            self._effects.put((move.tenant, move.effect), move.move_id)
        return numbered

    def _fresh(self, moves: Sequence[StockMove]) -> Iterator[StockMove]:
        seen: set[tuple[str, str]] = set()
        for move in moves:
            key = (move.tenant, move.effect)
            if key not in self._effects.rows and key not in seen:
                seen.add(key)
                yield move

    def _changed(self, key: tuple[str, str, str], change: int) -> StockBalance:
        tenant, item_id, place = TenantId(key[0]), ItemId(key[1]), PlaceKey(key[2])
        before = self.balance(tenant, item_id, place)
        if change < 0 and not is_external(place) and before.quantity + change < before.reserved:
            raise Conflict(not_enough(before, -change))
        return replace(before, quantity=before.quantity + change)

    def moves(self, tenant: TenantId, which: MoveFilter) -> Sequence[StockMove]:
        found = (
            move
            for key, move in sorted(self._moves.rows.items(), reverse=True)
            if key[0] == tenant
            and which.item_id in (None, move.item_id)
            and (which.place is None or which.place in (move.source, move.target))
            and which.work_order_id in (None, move.work_order_id)
            and (which.before is None or move.move_id < which.before)
        )
        return [move for move, _ in zip(found, range(which.limit), strict=False)]

    def balance(self, tenant: TenantId, item_id: ItemId, place: PlaceKey) -> StockBalance:
        found = self._balances.rows.get((tenant, item_id, place))
        return found or StockBalance(tenant=tenant, item_id=item_id, place=place, quantity=0)

    def balances(
        self, tenant: TenantId, *, item_id: ItemId | None = None, place: PlaceKey | None = None
    ) -> Sequence[StockBalance]:
        found = [
            row
            for row in self._balances.rows.values()
            if row.tenant == tenant
            and row.quantity
            and item_id in (None, row.item_id)
            and place in (None, row.place)
        ]
        return sorted(found, key=lambda row: (row.place, row.item_id))

    # --- reservations ---

    def reserve(self, reservation: Reservation) -> bool:
        key = _reservation_key(reservation)
        if key in self._reservations.rows:
            return True
        balance = self.balance(reservation.tenant, reservation.item_id, reservation.place)
        if balance.free < reservation.quantity:
            return False
        self._reservations.put(key, reservation)
        self._put(replace(balance, reserved=balance.reserved + reservation.quantity))
        return True

    def release(self, reservation: Reservation) -> bool:
        key = _reservation_key(reservation)
        present = self._reservations.rows.get(key)
        if present is None:
            return False
        balance = self.balance(present.tenant, present.item_id, present.place)
        self._reservations.drop(key)
        self._put(replace(balance, reserved=balance.reserved - present.quantity))
        return True

    def reservations(
        self,
        tenant: TenantId,
        *,
        holder: str | None = None,
        item_id: ItemId | None = None,
        place: PlaceKey | None = None,
    ) -> Sequence[Reservation]:
        found = [
            row
            for row in self._reservations.rows.values()
            if row.tenant == tenant
            and holder in (None, row.holder)
            and item_id in (None, row.item_id)
            and place in (None, row.place)
        ]
        return sorted(found, key=lambda row: (row.at, row.holder, row.item_id, row.place))

    def _put(self, balance: StockBalance) -> None:
        self._balances.put((balance.tenant, balance.item_id, balance.place), balance)


def _reservation_key(reservation: Reservation) -> tuple[str, str, str, str]:
    return reservation.tenant, reservation.holder, reservation.item_id, reservation.place


def not_enough(balance: StockBalance, wanted: int) -> str:
    """Return what people read when a place would owe."""
    kept = f", {balance.reserved} of them reserved" if balance.reserved else ""
    return (
        f"{balance.place} holds {balance.quantity} of {balance.item_id}{kept}; {wanted} cannot be taken: "
        "count the place, or move from another one"
    )
