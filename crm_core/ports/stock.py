"""The port of stock: the double-entry ledger of stock, cartridges in devices, stand-by machines and their loans."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crm_core.domain.cartridges import Cartridge, CartridgeFilter, CartridgeKey, SwapMark
from crm_core.domain.identity import CustomerId, DeviceId, TenantId, TicketId
from crm_core.domain.loans import DownTime, Loan, LoanState, StandBy
from crm_core.domain.stock import (
    ItemId,
    PlaceKey,
    Reservation,
    StockBalance,
    StockItem,
    StockMove,
    StockPlace,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveFilter:
    """Which moves; None means any. `place` is either end; `before` is a cursor on the id (newest first)."""

    item_id: ItemId | None = None
    place: PlaceKey | None = None
    work_order_id: int | None = None
    before: int | None = None
    limit: int = 100


class StockRepository(Protocol):
    """The double-entry ledger of stock, cartridges in devices, stand-by machines and their loans, within one transaction."""

    # --- items and places ---

    def save_item(self, item: StockItem) -> None: ...

    def find_item(self, tenant: TenantId, item_id: ItemId) -> StockItem | None: ...

    def items(self, tenant: TenantId) -> Sequence[StockItem]: ...

    def save_place(self, place: StockPlace) -> None: ...

    def places(self, tenant: TenantId) -> Sequence[StockPlace]: ...

    # --- ledger ---

    def post(self, moves: Sequence[StockMove]) -> Sequence[StockMove]:
        """Enter the moves whose effect is new, together or not at all; return these with their ids.

        Raise `Conflict` when a place that may not owe would hold less than what is reserved there; nothing of the
        call is then kept.
        """
        ...

    def moves(self, tenant: TenantId, which: MoveFilter) -> Sequence[StockMove]:
        """Return moves, newest first."""
        ...

    def balance(self, tenant: TenantId, item_id: ItemId, place: PlaceKey) -> StockBalance:
        """Return what a place holds of an item; nothing when no move ever touched it."""
        ...

    def balances(
        self, tenant: TenantId, *, item_id: ItemId | None = None, place: PlaceKey | None = None
    ) -> Sequence[StockBalance]:
        """Return the balances that are not empty, by place and item."""
        ...

    # --- reservations ---

    def reserve(self, reservation: Reservation) -> bool:
        """Promise free pieces to a holder; True also when they are promised to it already. False: not enough free."""
        ...

    def release(self, reservation: Reservation) -> bool:
        """Take a promise back (by holder, item and place); False when there is none."""
        ...

    def reservations(
        self,
        tenant: TenantId,
        *,
        holder: str | None = None,
        item_id: ItemId | None = None,
        place: PlaceKey | None = None,
    ) -> Sequence[Reservation]:
        """Return promises, the oldest first."""
        ...

    # --- cartridges ---

    def save_cartridge(self, cartridge: Cartridge) -> None:
        """Add or replace by (device, slot, number); `Conflict` when the slot would hold two."""
        ...

    def find_cartridge(self, tenant: TenantId, key: CartridgeKey) -> Cartridge | None: ...

    def cartridges(self, tenant: TenantId, which: CartridgeFilter) -> Sequence[Cartridge]:
        """Return cartridges: those that are in first, then the last removed first."""
        ...

    def current_cartridges(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, Sequence[Cartridge]]: ...

    def cartridges_with_serial(self, tenant: TenantId, serial: str) -> Sequence[Cartridge]: ...

    def swap_marks(self, tenant: TenantId) -> Mapping[DeviceId, datetime]: ...

    def save_swap_marks(self, marks: Sequence[SwapMark]) -> None: ...

    # --- stand-by machines, loans, down time ---

    def save_stand_by(self, machine: StandBy) -> None: ...

    def drop_stand_by(self, tenant: TenantId, device_id: DeviceId) -> None: ...

    def stand_bys(self, tenant: TenantId) -> Sequence[StandBy]: ...

    def open_loan(self, loan: Loan) -> Loan | None:
        """Insert the loan (its id is ignored); None when the ticket or the machine has an open one."""
        ...

    def get_loan(self, tenant: TenantId, loan_id: int) -> Loan: ...

    def save_loan(self, loan: Loan) -> Loan:
        """Replace the loan under optimistic locking, like tickets."""
        ...

    def loans(
        self,
        tenant: TenantId,
        *,
        states: frozenset[LoanState] | None = None,
        ticket_id: TicketId | None = None,
        limit: int = 1000,
    ) -> Sequence[Loan]:
        """Return loans, newest first."""
        ...

    def save_down_time(self, down: DownTime) -> None:
        """Add or replace by ticket."""
        ...

    def find_down_time(self, tenant: TenantId, ticket_id: TicketId) -> DownTime | None: ...

    def down_times(
        self,
        tenant: TenantId,
        since: datetime,
        until: datetime,
        *,
        customer_id: CustomerId | None = None,
        device_id: DeviceId | None = None,
    ) -> Sequence[DownTime]:
        """Return those that ended in since <= until < `until`, by end."""
        ...
