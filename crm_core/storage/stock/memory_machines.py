"""Cartridges, stand-by machines, loans and down time in memory, with the promises of the database."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from crm_core.domain.cartridges import Cartridge, CartridgeFilter, CartridgeKey, SwapMark
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import CustomerId, DeviceId, TenantId, TicketId
from crm_core.domain.loans import OPEN_LOANS, DownTime, Loan, LoanState, StandBy
from crm_core.storage.memory_service import Journal, Table

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class MemoryMachines:
    """What happens in devices, and the machines that stand in for them."""

    def __init__(self, journal: Journal) -> None:
        self._cartridges: Table[Cartridge] = Table(journal)
        self._cartridges.index(
            "current", lambda each: (each.tenant, each.device_id) if each.removed_at is None else None
        )
        self._cartridges.index("serial", lambda each: (each.tenant, each.serial) if each.serial else None)
        self._marks: Table[datetime] = Table(journal)
        self._stand_bys: Table[StandBy] = Table(journal)
        self._loans: Table[Loan] = Table(journal)
        self._down: Table[DownTime] = Table(journal)

    # --- cartridges ---

    def save_cartridge(self, cartridge: Cartridge) -> None:
        if cartridge.removed_at is None:
            for other in self._cartridges.by("current", (cartridge.tenant, cartridge.device_id)):
                if other.supply_index == cartridge.supply_index and other.number != cartridge.number:
                    raise Conflict(
                        f"slot {cartridge.supply_index} of {cartridge.device_id} holds cartridge {other.number}"
                    )
        self._cartridges.put((cartridge.tenant, *_slot(cartridge.key)), cartridge)

    def find_cartridge(self, tenant: TenantId, key: CartridgeKey) -> Cartridge | None:
        return self._cartridges.rows.get((tenant, *_slot(key)))

    def cartridges(self, tenant: TenantId, which: CartridgeFilter) -> Sequence[Cartridge]:
        found = [
            row
            for key, row in self._cartridges.rows.items()
            if key[0] == tenant
            and which.device_id in (None, row.device_id)
            and which.customer_id in (None, row.customer_id)
            and which.site_id in (None, row.site_id)
            and which.removed in (None, row.removed_at is not None)
            and which.early in (None, row.early)
            and (which.since is None or (row.removed_at or _NEVER) >= which.since)
            and (which.until is None or (row.removed_at or _NEVER) < which.until)
        ]
        found.sort(key=lambda row: _slot(row.key))
        found.sort(key=lambda row: (row.removed_at is None, row.removed_at or _NEVER), reverse=True)
        return found[: which.limit]

    def current_cartridges(
        self, tenant: TenantId, device_ids: Sequence[DeviceId]
    ) -> Mapping[DeviceId, Sequence[Cartridge]]:
        return {
            device_id: sorted(
                self._cartridges.by("current", (tenant, device_id)), key=lambda row: row.supply_index
            )
            for device_id in device_ids
        }

    def cartridges_with_serial(self, tenant: TenantId, serial: str) -> Sequence[Cartridge]:
        return sorted(self._cartridges.by("serial", (tenant, serial)), key=lambda row: _slot(row.key))

    def swap_marks(self, tenant: TenantId) -> Mapping[DeviceId, datetime]:
        return {DeviceId(key[1]): at for key, at in self._marks.rows.items() if key[0] == tenant}

    def save_swap_marks(self, marks: Sequence[SwapMark]) -> None:
        for mark in marks:
            self._marks.put((mark.tenant, mark.device_id), mark.at)

    # --- stand-by machines, loans, down time ---

    def save_stand_by(self, machine: StandBy) -> None:
        self._stand_bys.put((machine.tenant, machine.device_id), machine)

    def drop_stand_by(self, tenant: TenantId, device_id: DeviceId) -> None:
        self._stand_bys.drop((tenant, device_id))

    def stand_bys(self, tenant: TenantId) -> Sequence[StandBy]:
        return [row for key, row in sorted(self._stand_bys.rows.items()) if key[0] == tenant]

    def open_loan(self, loan: Loan) -> Loan | None:
        taken = any(
            loan.ticket_id == other.ticket_id or loan.device_id == other.device_id
            for other in self.loans(loan.tenant, states=OPEN_LOANS)
        )
        if taken:
            return None
        made = replace(loan, loan_id=self._loans.next_id(), version=1)
        self._loans.put((made.tenant, made.loan_id), made)
        return made

    def get_loan(self, tenant: TenantId, loan_id: int) -> Loan:
        found = self._loans.rows.get((tenant, loan_id))
        if found is None:
            raise NotFound(f"loans: there is no {loan_id!r}; list them to see the known ones")
        return found

    def save_loan(self, loan: Loan) -> Loan:
        present = self.get_loan(loan.tenant, loan.loan_id)
        if present.version != loan.version:
            raise Conflict(f"loans {loan.loan_id} was changed meanwhile; read it again and repeat the change")
        saved = replace(loan, version=loan.version + 1)
        self._loans.put((loan.tenant, loan.loan_id), saved)
        return saved

    def loans(
        self,
        tenant: TenantId,
        *,
        states: frozenset[LoanState] | None = None,
        ticket_id: TicketId | None = None,
        limit: int = 1000,
    ) -> Sequence[Loan]:
        found = [
            row
            for key, row in sorted(self._loans.rows.items(), reverse=True)
            if key[0] == tenant
            and (states is None or row.state in states)
            and ticket_id in (None, row.ticket_id)
        ]
        return found[:limit]

    def save_down_time(self, down: DownTime) -> None:
        self._down.put((down.tenant, down.ticket_id), down)

    def find_down_time(self, tenant: TenantId, ticket_id: TicketId) -> DownTime | None:
        return self._down.rows.get((tenant, ticket_id))

    def down_times(
        self,
        tenant: TenantId,
        since: datetime,
        until: datetime,
        *,
        customer_id: CustomerId | None = None,
        device_id: DeviceId | None = None,
    ) -> Sequence[DownTime]:
        found = [
            row
            for key, row in self._down.rows.items()
            if key[0] == tenant
            and since <= row.until < until
            and customer_id in (None, row.customer_id)
            and device_id in (None, row.device_id)
        ]
        return sorted(found, key=lambda row: (row.until, row.ticket_id))


def _slot(key: CartridgeKey) -> tuple[str, str, int]:
    return key.device_id, key.supply_index, key.number
