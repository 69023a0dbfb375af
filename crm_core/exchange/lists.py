"""Our lists as rows of plain cells: what exports under our own and under other systems' names are made of."""

from collections.abc import Callable, Mapping
from typing import Final

from crm_core.domain.identity import TenantId, ticket_number, work_order_number
from crm_core.domain.service import ClockKind, SlaClock
from crm_core.exchange.sheets import Cell
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

MOST: Final = 100_000
Row = dict[str, Cell]


def _customers(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "customer_id": each.customer_id,
            "name": each.name,
            "kind": each.kind.value,
            "tier": each.tier.value,
            "industry": each.industry,
            "contact_name": each.contact_name,
            "phone": each.phone,
            "email": each.email,
            "language": each.language,
        }
        for each in uow.customers.all(tenant)
    ]


def _sites(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "site_id": each.site_id,
            "customer_id": each.customer_id,
            "name": each.name,
            "address": each.address,
            "region": each.region,
        }
        for each in uow.sites.all(tenant)
    ]


def _contracts(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "contract_id": each.contract_id,
            "customer_id": each.customer_id,
            "starts_on": each.starts_on,
            "ends_on": each.ends_on,
            "monthly_rent": str(each.monthly_rent.amount),
            "on_site_hours": each.on_site_hours,
        }
        for each in uow.contracts.all(tenant)
    ]


def _devices(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "device_id": each.device_id,
            "serial": each.serial,
            "customer_id": each.customer_id,
            "site_id": each.site_id,
            "contract_id": each.contract_id,
            "vendor": each.vendor,
            "model_name": each.model_name,
            "asset_tag": each.asset_tag,
            "host": each.snmp.host if each.snmp else None,
            "transport": each.transport.value,
            "owner_state": each.owner_state.value,
            "installed_on": each.installed_on,
        }
        for each in uow.devices.all(tenant)
    ]


def _tickets(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    rows: list[Row] = []
    for each in uow.tickets.list(tenant, TicketFilter(limit=MOST)):
        respond, restore = each.clock(ClockKind.RESPOND), each.clock(ClockKind.RESTORE)
        rows.append(
            {
                "number": ticket_number(each.ticket_id),
                "device_id": each.device_id,
                "site_id": each.site_id,
                "customer_id": each.customer_id,
                "cause": each.cause,
                "category": each.category,
                "level": each.level.value,
                "state": each.state.value,
                "raised_at": each.raised_at,
                "changed_at": each.changed_at,
                "respond_due_at": _due(respond),
                "restore_due_at": _due(restore),
                "policy_version": each.policy_version,
            }
        )
    return rows


def _due(clock: SlaClock | None) -> Cell:
    return None if clock is None else clock.due_at


def _work_orders(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "number": work_order_number(each.work_order_id),
            "kind": each.kind.value,
            "state": each.state.value,
            "device_id": each.device_id,
            "site_id": each.site_id,
            "customer_id": each.customer_id,
            "tickets": " ".join(ticket_number(ticket) for ticket in each.ticket_ids),
            "technician_id": each.technician_id,
            "created_at": each.created_at,
            "due_at": each.due_at,
            "planned_start": each.planned_start,
            "started_at": each.started_at,
            "done_at": each.done_at,
            "outcome": each.outcome,
            "count_before": each.count_before,
            "count_after": each.count_after,
        }
        for each in uow.work_orders.list(tenant, WorkOrderFilter(limit=MOST))
    ]


#: List -> how its rows are made; the keys of a row are the names of its columns.
LISTS: Final[Mapping[str, Callable[[UnitOfWork, TenantId], list[Row]]]] = {
    "customers": _customers,
    "sites": _sites,
    "contracts": _contracts,
    "devices": _devices,
    "tickets": _tickets,
    "work_orders": _work_orders,
}
#: The columns of each list, also when it is empty.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "customers": ("customer_id", "name", "kind", "tier", "industry", "contact_name", "phone", "email", "language"),
    "sites": ("site_id", "customer_id", "name", "address", "region"),
    "contracts": ("contract_id", "customer_id", "starts_on", "ends_on", "monthly_rent", "on_site_hours"),
    "devices": (
        "device_id", "serial", "customer_id", "site_id", "contract_id", "vendor", "model_name", "asset_tag", "host",
        "transport", "owner_state", "installed_on",
    ),
    "tickets": (
        "number", "device_id", "site_id", "customer_id", "cause", "category", "level", "state", "raised_at", "changed_at",
        "respond_due_at", "restore_due_at", "policy_version",
    ),
    "work_orders": (
        "number", "kind", "state", "device_id", "site_id", "customer_id", "tickets", "technician_id", "created_at", "due_at",
        "planned_start", "started_at", "done_at", "outcome", "count_before", "count_after",
    ),
}  # fmt: skip
