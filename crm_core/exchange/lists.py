"""Our lists as rows of plain cells: what exports under our own and under other systems' names are made of."""

from collections.abc import Callable, Mapping
from typing import Final

from crm_core.domain.identity import TenantId, ticket_number, work_order_number
from crm_core.domain.service import ClockKind, SlaClock
from crm_core.exchange.contracts import contract_row
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
    agreements = {each.contract_id: each for each in uow.agreements.contracts.where(tenant)}
    rows: list[Row] = []
    for each in uow.contracts.all(tenant):
        agreement = agreements.get(each.contract_id)
        row: Row = {
            "contract_id": each.contract_id,
            "customer_id": each.customer_id,
            "starts_on": each.starts_on,
            "ends_on": each.ends_on,
            "monthly_rent": str(each.monthly_rent.amount),
            "on_site_hours": each.on_site_hours,
        }
        none: Row = dict.fromkeys(("plan", "lines", "device_value", "state"))
        rows.append(row | (none if agreement is None else contract_row(agreement)))
    return rows


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


def _invoices(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "number": each.invoice_number,
            "kind": each.kind.value,
            "customer_id": each.customer_id,
            "contract_id": each.contract_id,
            "period_from": each.period_from,
            "period_to": each.period_to,
            "issued_on": each.issued_on,
            "due_on": each.due_on,
            "currency": each.currency,
            "total": str(each.total),
            "paid": str(each.paid),
            "outstanding": str(each.outstanding),
            "state": each.state.value,
            "corrects": each.corrects,
        }
        for each in reversed(uow.billing.invoices.where(tenant))
    ]


def _invoice_lines(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "number": invoice.invoice_number,
            "place": place,
            "kind": line.kind.value,
            "month": line.month,
            "line_id": line.line_id,
            "device_id": line.device_id,
            "pages": line.pages,
            "free_pages": line.free_pages,
            "quantity": str(line.quantity),
            "unit_price": None if line.unit_price is None else str(line.unit_price),
            "amount": str(line.amount),
            "rule": line.rule,
        }
        for invoice in reversed(uow.billing.invoices.where(tenant))
        for place, line in enumerate(invoice.lines, 1)
    ]


def _payments(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    return [
        {
            "payment_id": each.payment_id,
            "invoice_number": each.invoice_number,
            "customer_id": each.customer_id,
            "amount": str(each.amount),
            "channel": each.channel.value,
            "external_number": each.external_number,
            "paid_at": each.paid_at,
            "recorded_by": each.recorded_by,
        }
        for each in reversed(uow.billing.payments.where(tenant))
    ]


def _stock(uow: UnitOfWork, tenant: TenantId) -> list[Row]:
    items = {each.item_id: each for each in uow.stock.items(tenant)}
    return [
        {
            "place": each.place,
            "item_id": each.item_id,
            "name": items[each.item_id].name,
            "kind": items[each.item_id].kind,
            "colour": items[each.item_id].colour,
            "part_number": items[each.item_id].part_number,
            "quantity": each.quantity,
            "reserved": each.reserved,
            "unit_cost": str(items[each.item_id].unit_cost.amount),
        }
        for each in uow.stock.balances(tenant)
    ]


#: List -> how its rows are made; the keys of a row are the names of its columns.
LISTS: Final[Mapping[str, Callable[[UnitOfWork, TenantId], list[Row]]]] = {
    "customers": _customers,
    "sites": _sites,
    "contracts": _contracts,
    "devices": _devices,
    "tickets": _tickets,
    "work_orders": _work_orders,
    "invoices": _invoices,
    "invoice_lines": _invoice_lines,
    "payments": _payments,
    "stock": _stock,
}
#: The columns of each list, also when it is empty.
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "customers": ("customer_id", "name", "kind", "tier", "industry", "contact_name", "phone", "email", "language"),
    "sites": ("site_id", "customer_id", "name", "address", "region"),
    "contracts": (
        "contract_id", "customer_id", "starts_on", "ends_on", "monthly_rent", "on_site_hours", "plan", "lines",
        "device_value", "state",
    ),
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
    "invoices": (
        "number", "kind", "customer_id", "contract_id", "period_from", "period_to", "issued_on", "due_on", "currency",
        "total", "paid", "outstanding", "state", "corrects",
    ),
    "invoice_lines": (
        "number", "place", "kind", "month", "line_id", "device_id", "pages", "free_pages", "quantity", "unit_price",
        "amount", "rule",
    ),
    "payments": (
        "payment_id", "invoice_number", "customer_id", "amount", "channel", "external_number", "paid_at", "recorded_by",
    ),
    "stock": (
        "place", "item_id", "name", "kind", "colour", "part_number", "quantity", "reserved", "unit_cost",
    ),
}  # fmt: skip
