"""Which devices a filter has, as conditions of a query and as a test of one in memory; and where devices stood when."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, or_, select

from crm_core.domain.fleet import Device, DeviceBundle, Transport
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.ports import DeviceFilter, FleetRow
from crm_core.storage import schema


def narrowed(query: Select[Any], which: DeviceFilter) -> Select[Any]:
    """Return the query (over devices joined with sites and customers) with the filter's conditions."""
    device, site = schema.devices.c, schema.sites.c
    for column, value in (
        (device.customer_id, which.customer_id),
        (device.site_id, which.site_id),
        (device.model_id, which.model_id),
    ):
        if value is not None:
            query = query.where(column == value)
    if which.regions:
        query = query.where(or_(site.region.in_(which.regions), device.device_id.in_(sorted(which.also))))
    if which.device_ids is not None:
        query = query.where(device.device_id.in_(sorted(which.device_ids)))
    if which.owner_states is not None:
        query = query.where(device.owner_state.in_(sorted(which.owner_states)))
    if which.q:
        query = query.where(or_(*(_holds(column, which.q) for column in _searched())))
    return query


def fleet_columns(registered_by: datetime) -> tuple[Any, ...]:
    """Return the columns of `ports.FleetRow`."""
    device = schema.devices.c
    reports = or_(device.transport != Transport.SNMP.value, device.snmp.is_not(None))
    overdue = case((and_(device.registered_at <= registered_by, reports), 1), else_=0)
    return device.device_id, device.customer_id, overdue


def fleet_row(device: Device, registered_by: datetime) -> FleetRow:
    """Return the same of a device in memory."""
    registered = device.registered_at is not None and device.registered_at <= registered_by
    return FleetRow(device.device_id, device.customer_id, registered and device.can_be_heard)


def _searched() -> tuple[Any, ...]:
    device = schema.devices.c
    return (
        device.device_id, device.serial, device.model_name, device.asset_tag, schema.customers.c.name, schema.sites.c.name,
    )  # fmt: skip


def _holds(column: Any, q: str) -> Any:
    """Return the condition; SQLite lowers only ASCII, PostgreSQL all, so a text with other capitals is tried both ways."""
    spellings = {q.lower(), "".join(each.lower() if each.isascii() else each for each in q)}
    return or_(*(func.lower(column).contains(each, autoescape=True) for each in sorted(spellings)))


def fits(bundle: DeviceBundle, which: DeviceFilter) -> bool:
    """Return True if the device is one of the filter's."""
    device, region = bundle.device, bundle.site.region if bundle.site else None
    return (
        which.customer_id in (None, device.customer_id)
        and which.site_id in (None, device.site_id)
        and which.model_id in (None, device.model_id)
        and (not which.regions or region in which.regions or device.device_id in which.also)
        and (which.device_ids is None or device.device_id in which.device_ids)
        and (which.owner_states is None or device.owner_state in which.owner_states)
        and (not which.q or which.q.lower() in _text_of(bundle))
    )


def fitting(bundles: Iterable[DeviceBundle], which: DeviceFilter) -> list[DeviceBundle]:
    """Return the devices of the filter."""
    return [each for each in bundles if fits(each, which)]


def _text_of(bundle: DeviceBundle) -> str:
    """Return what a search looks at, in lower case."""
    device = bundle.device
    parts = (
        device.device_id,
        device.serial,
        device.model_name,
        device.asset_tag,
        bundle.customer.name if bundle.customer else None,
        bundle.site.name if bundle.site else None,
    )
    return "\n".join(part for part in parts if part).lower()


def periods_of(tenant: TenantId, device_id: DeviceId) -> Select[Any]:
    """Return the query of a device's stays, the oldest first."""
    table = schema.installed_periods
    return (
        select(table)
        .where(table.c.tenant == tenant, table.c.device_id == device_id)
        .order_by(table.c.from_instant)
    )


def standing_at(tenant: TenantId, at: datetime) -> Select[Any]:
    """Return the query of how many devices stood at customers at an instant."""
    table = schema.installed_periods.c
    stood = and_(table.from_instant <= at, or_(table.to_instant.is_(None), table.to_instant > at))
    return select(func.count()).select_from(schema.installed_periods).where(table.tenant == tenant, stood)
