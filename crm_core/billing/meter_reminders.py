"""Customers with devices that no network reads are asked for the meters, once, some days before the month ends."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from crm_core.billing.meters import month_start
from crm_core.billing.pages_price import month_after
from crm_core.domain.fleet import Device
from crm_core.domain.identity import CustomerId, TenantId
from crm_core.domain.meter_statements import StatementState
from crm_core.domain.policy import PolicyBook
from crm_core.ports import Clock, TelemetryStore, UnitOfWork, UnitOfWorkFactory
from crm_core.relations.periods import local_day


class AsksForMeters(Protocol):
    """Asks a customer within the transaction; unique by customer and month, so that a repeat changes nothing."""

    def __call__(
        self,
        uow: UnitOfWork,
        tenant: TenantId,
        customer_id: CustomerId,
        devices: Sequence[Device],
        last: date,
    ) -> bool: ...


class MeterReminders:
    """Asks for the meters of silent devices under a contract of which nothing usable was stated yet."""

    def __init__(
        self,
        uow_factory: UnitOfWorkFactory,
        store: TelemetryStore,
        clock: Clock,
        policy: PolicyBook,
        asks: AsksForMeters,
    ) -> None:
        self._uow_factory = uow_factory
        self._store = store
        self._clock = clock
        self._policy = policy
        self._asks = asks
        self._zone = policy.sla.calendar.time_zone

    def run(self, tenant: TenantId) -> int:
        """Ask where the month ends within the policy's days; return how many customers were asked."""
        now, days = self._clock.now(), self._policy.billing.statements.remind_days_before
        today = local_day(now, self._zone)
        last = month_after(today) - timedelta(days=1)
        if not days or (last - today).days > days:
            return 0
        asked = 0
        with self._uow_factory() as uow:
            for customer_id, devices in self._silent(uow, tenant, now, days).items():
                asked += self._asks(uow, tenant, customer_id, devices, last)
            uow.commit()
        return asked

    def _silent(
        self, uow: UnitOfWork, tenant: TenantId, now: datetime, days: int
    ) -> dict[CustomerId, list[Device]]:
        """Return the devices to ask for, by customer."""
        devices = [row for row in uow.devices.all(tenant) if row.contract_id and row.customer_id]
        newest = self._store.newest_many(tenant, [row.device_id for row in devices])
        end = month_start(month_after(local_day(now, self._zone)), ZoneInfo(self._zone))
        since = end - timedelta(days=days + 1)
        stated = {
            row.device_id
            for row in uow.billing.statements.where(tenant)
            if row.state is not StatementState.REFUSED and row.read_at >= since
        }
        found: dict[CustomerId, list[Device]] = defaultdict(list)
        for device in devices:
            reading = newest.get(device.device_id)
            silent = reading is None or now - reading.polled_at > self._policy.billing.meters.silent_after
            if silent and device.customer_id and device.device_id not in stated:
                found[device.customer_id].append(device)
        return found
