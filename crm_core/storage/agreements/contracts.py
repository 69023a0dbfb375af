"""Rental agreements in tables and in memory (`ports.agreements.Agreements`): no device in two places at a time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select

from crm_core.domain.contracts import HOLDING_STATES, Agreement, DeviceStay
from crm_core.domain.errors import Conflict, NotFound
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.storage import schema
from crm_core.storage.agreements.tables import agreement_devices, agreements
from crm_core.storage.memory_service import Journal
from crm_core.storage.records import MemoryRecords, SqlRecords


class SqlAgreements(SqlRecords[Agreement]):
    """Agreements over the database; the devices are locked while their stays are compared."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, agreements, Agreement, "agreement_id")

    def add(self, entity: Agreement) -> Agreement:
        made = super().add(entity)
        self._link(made)
        return made

    def save(self, entity: Agreement) -> Agreement:
        saved = super().save(entity)
        self._link(saved)
        return saved

    def of_contract(self, tenant: TenantId, contract_id: str) -> Agreement | None:
        return self._one(self._of_tenant(tenant).where(agreements.c.contract_id == contract_id))

    def of_device(self, tenant: TenantId, device_id: DeviceId) -> Sequence[Agreement]:
        link = agreement_devices.c
        named = select(link.agreement_id).where(link.tenant == tenant, link.device_id == device_id)
        return self._many(
            self._of_tenant(tenant).where(agreements.c.agreement_id.in_(named)).order_by(self._key)
        )

    def _link(self, agreement: Agreement) -> None:
        devices = sorted({stay.device_id for stay in agreement.stays})
        if devices:
            rows = schema.devices.c
            locked = select(rows.device_id).where(
                rows.tenant == agreement.tenant, rows.device_id.in_(devices)
            )
            found = self._connection.execute(locked.order_by(rows.device_id).with_for_update()).all()
            if len(found) < len(devices):
                raise NotFound(f"contract {agreement.contract_id} names a device that is not registered")
        for device in devices:
            check_stays(agreement, device, self.of_device(agreement.tenant, device))
        link = agreement_devices
        self._connection.execute(link.delete().where(link.c.agreement_id == agreement.agreement_id))
        row: dict[str, Any] = {"tenant": agreement.tenant, "agreement_id": agreement.agreement_id}
        row["holding"] = agreement.state in HOLDING_STATES
        for device in devices:
            self._connection.execute(link.insert(), row | {"device_id": device})


class MemoryAgreements(MemoryRecords[Agreement]):
    """Agreements in memory."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal, "agreement_id", lambda each: (each.contract_id,))

    def add(self, entity: Agreement) -> Agreement:
        self._check(entity)
        return super().add(entity)

    def save(self, entity: Agreement) -> Agreement:
        self._check(entity)
        return super().save(entity)

    def of_contract(self, tenant: TenantId, contract_id: str) -> Agreement | None:
        return next(iter(self.where(tenant, contract_id=contract_id)), None)

    def of_device(self, tenant: TenantId, device_id: DeviceId) -> Sequence[Agreement]:
        rows = (each for each in self.where(tenant) if any(s.device_id == device_id for s in each.stays))
        return sorted(rows, key=lambda each: each.agreement_id)

    def _check(self, agreement: Agreement) -> None:
        for device in {stay.device_id for stay in agreement.stays}:
            check_stays(agreement, device, self.of_device(agreement.tenant, device))


def check_stays(agreement: Agreement, device: DeviceId, others: Sequence[Agreement]) -> None:
    """Raise `Conflict` when a device would serve two lines at a time, in this agreement or another running one."""
    own = [stay for stay in agreement.stays if stay.device_id == device]
    foreign = [
        (other.contract_id, stay)
        for other in others
        if other.contract_id != agreement.contract_id and other.state in HOLDING_STATES
        for stay in other.stays
        if stay.device_id == device
    ]
    if agreement.state not in HOLDING_STATES:
        foreign = []
    for place, stay in enumerate(own):
        if any(stay.overlaps(other) for other in own[place + 1 :]):
            raise Conflict(
                f"device {device} would serve two lines of contract {agreement.contract_id} at a time"
            )
        clash = _clash(stay, foreign)
        if clash is not None:
            raise Conflict(f"device {device} serves contract {clash} at that time; end its stay there first")


def _clash(stay: DeviceStay, foreign: Sequence[tuple[str, DeviceStay]]) -> str | None:
    return next((contract for contract, other in foreign if stay.overlaps(other)), None)
