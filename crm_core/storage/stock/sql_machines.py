"""Cartridges, stand-by machines, loans and down time over the CRM database (`ports.StockRepository`)."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, select

from crm_core.domain.cartridges import Cartridge, CartridgeFilter, CartridgeKey, SwapMark
from crm_core.domain.identity import CustomerId, DeviceId, TenantId, TicketId
from crm_core.domain.loans import DownTime, Loan, LoanState, StandBy
from crm_core.storage.rows import entity_of, row_of
from crm_core.storage.stock.tables import cartridges, down_times, loans, stand_bys, swap_marks
from crm_core.storage.tables import VersionedTable, upsert, upsert_many

Entity = TypeVar("Entity")
_CHUNK = 500  # bound parameters of one statement stay far below SQLite's limit


class _Loans(VersionedTable[Loan]):
    """Loans: at most one is open for a ticket and for a machine."""

    def open(self, loan: Loan) -> Loan | None:
        return self._insert_if_free(row_of(loan))

    def get(self, tenant: TenantId, loan_id: int) -> Loan:
        return self._must_find(tenant, loan_id)

    def save(self, loan: Loan) -> Loan:
        return self._replace(row_of(loan))

    def list(
        self,
        tenant: TenantId,
        states: frozenset[LoanState] | None,
        ticket_id: TicketId | None,
        limit: int,
    ) -> Sequence[Loan]:
        query = self._of_tenant(tenant)
        if states is not None:
            query = query.where(loans.c.state.in_(sorted(states)))
        if ticket_id is not None:
            query = query.where(loans.c.ticket_id == ticket_id)
        return self._many(query.order_by(loans.c.loan_id.desc()).limit(limit))


class SqlMachines:
    """What happens in devices, and the machines that stand in for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._loans = _Loans(connection, loans, Loan, "loan_id")

    # --- cartridges ---

    def save_cartridge(self, cartridge: Cartridge) -> None:
        upsert(self._connection, cartridges, row_of(cartridge))

    def find_cartridge(self, tenant: TenantId, key: CartridgeKey) -> Cartridge | None:
        table = cartridges.c
        query = select(cartridges).where(
            table.tenant == tenant,
            table.device_id == key.device_id,
            table.supply_index == key.supply_index,
            table.number == key.number,
        )
        found = self._read(query, Cartridge)
        return found[0] if found else None

    def cartridges(self, tenant: TenantId, which: CartridgeFilter) -> Sequence[Cartridge]:
        table = cartridges.c
        query = select(cartridges).where(table.tenant == tenant)
        for column, value in (
            (table.device_id, which.device_id),
            (table.customer_id, which.customer_id),
            (table.site_id, which.site_id),
            (table.early, which.early),
        ):
            if value is not None:
                query = query.where(column == value)
        if which.removed is not None:
            query = query.where(
                table.removed_at.is_not(None) if which.removed else table.removed_at.is_(None)
            )
        if which.since is not None:
            query = query.where(table.removed_at >= which.since)
        if which.until is not None:
            query = query.where(table.removed_at < which.until)
        order = (
            table.removed_at.is_not(None),
            table.removed_at.desc(),
            table.device_id,
            table.supply_index,
            table.number,
        )
        return self._read(query.order_by(*order).limit(which.limit), Cartridge)

    def current_cartridges(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, Sequence[Cartridge]]:
        table = cartridges.c
        found: dict[DeviceId, list[Cartridge]] = defaultdict(list)
        for start in range(0, len(device_ids), _CHUNK):
            query = select(cartridges).where(
                table.tenant == tenant,
                table.removed_at.is_(None),
                table.device_id.in_(device_ids[start : start + _CHUNK]),
            )
            for row in self._read(query.order_by(table.device_id, table.supply_index), Cartridge):
                found[row.device_id].append(row)
        return {device_id: found.get(device_id, []) for device_id in device_ids}

    def cartridges_with_serial(self, tenant: TenantId, serial: str) -> Sequence[Cartridge]:
        table = cartridges.c
        query = select(cartridges).where(table.tenant == tenant, table.serial == serial)
        return self._read(query.order_by(table.device_id, table.supply_index, table.number), Cartridge)

    def swap_marks(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        query = select(swap_marks.c.device_id, swap_marks.c.at).where(swap_marks.c.tenant == tenant)
        return {DeviceId(device_id): at for device_id, at in self._connection.execute(query)}

    def save_swap_marks(self, marks: Sequence[SwapMark]) -> None:
        upsert_many(self._connection, swap_marks, [row_of(mark) for mark in marks])

    # --- stand-by machines, loans, down time ---

    def save_stand_by(self, machine: StandBy) -> None:
        upsert(self._connection, stand_bys, row_of(machine))

    def drop_stand_by(self, tenant: TenantId, device_id: DeviceId) -> None:
        table = stand_bys.c
        self._connection.execute(
            stand_bys.delete().where(table.tenant == tenant, table.device_id == device_id)
        )

    def stand_bys(self, tenant: TenantId) -> Sequence[StandBy]:
        table = stand_bys.c
        return self._read(select(stand_bys).where(table.tenant == tenant).order_by(table.device_id), StandBy)

    def open_loan(self, loan: Loan) -> Loan | None:
        return self._loans.open(loan)

    def get_loan(self, tenant: TenantId, loan_id: int) -> Loan:
        return self._loans.get(tenant, loan_id)

    def save_loan(self, loan: Loan) -> Loan:
        return self._loans.save(loan)

    def loans(
        self,
        tenant: TenantId,
        *,
        states: frozenset[LoanState] | None = None,
        ticket_id: TicketId | None = None,
        limit: int = 1000,
    ) -> Sequence[Loan]:
        return self._loans.list(tenant, states, ticket_id, limit)

    def save_down_time(self, down: DownTime) -> None:
        upsert(self._connection, down_times, row_of(down))

    def find_down_time(self, tenant: TenantId, ticket_id: TicketId) -> DownTime | None:
        table = down_times.c
        found = self._read(
            select(down_times).where(table.tenant == tenant, table.ticket_id == ticket_id), DownTime
        )
        return found[0] if found else None

    def down_times(
        self,
        tenant: TenantId,
        since: datetime,
        until: datetime,
        *,
        customer_id: CustomerId | None = None,
        device_id: DeviceId | None = None,
    ) -> Sequence[DownTime]:
        table = down_times.c
        query = select(down_times).where(table.tenant == tenant, table.until >= since, table.until < until)
        if customer_id is not None:
            query = query.where(table.customer_id == customer_id)
        if device_id is not None:
            query = query.where(table.device_id == device_id)
        return self._read(query.order_by(table.until, table.ticket_id), DownTime)

    def _read(self, query: Select[Any], kind: type[Entity]) -> list[Entity]:
        return [entity_of(row, kind) for row in self._connection.execute(query).mappings()]
