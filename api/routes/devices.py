"""Devices: lists, the newest reading, history, series and forecasts."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.access import (
    DISPATCHERS,
    OWNED,
    STAFF_READ,
    Principal,
    check_sees_device,
    services_of,
    visible_bundle,
)
from api.device_moves import count_at_move, site_in_sight
from api.direct_route import DirectRoute
from api.fleet_lists import devices_in_sight, running_out_in_sight, states_of
from api.language import language_of
from api.meters import pages_by_day
from api.paging import Cursor, Limit, decode_cursor, encode_cursor
from api.problem import Problem
from api.routes.tickets import IdempotencyKey
from api.schemas.base import Page
from api.schemas.fleet import (
    DeviceDetail,
    DeviceForecastsBody,
    DeviceRow,
    ReminderBody,
    RunningOutRow,
    SeriesBody,
    meters_day,
    number_of,
    running_out_row,
    supply_series,
)
from api.schemas.moves import MovedDevice, MoveDeviceInput
from crm_core.device_state import device_state
from crm_core.domain.identity import DeviceId
from crm_core.domain.telemetry import DeviceReading
from crm_core.domain.wire import encode_reading
from crm_core.ports import DeviceFilter
from crm_core.relations.device_reminders import device_reminders

router = APIRouter(tags=["devices"], route_class=DirectRoute)

DeviceKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="the device's id")]
MAX_SERIES_DAYS: Final = 400
_FIRST_YEAR, _LAST_YEAR = 1970, 2200  # what stores can hold and arithmetic cannot leave
_READING_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "one reading as in docs/reading.schema.json",
    "required": ["schema", "polled_at", "identity", "supplies", "trays", "alerts", "status", "counters"],
}


@router.get("/devices", summary="Devices")
def list_devices(
    request: Request,
    principal: Annotated[Principal, Depends(OWNED)],
    cursor: Cursor = None,
    limit: Limit = 50,
    customer_id: Annotated[str | None, Query(max_length=64)] = None,
    site_id: Annotated[str | None, Query(max_length=64)] = None,
    region: Annotated[str | None, Query(max_length=64)] = None,
    q: Annotated[
        str | None, Query(max_length=64, description="part of id, serial, model or customer")
    ] = None,
) -> Page[DeviceRow]:
    """Return the devices in sight, ordered by id."""
    services = services_of(request)
    which = DeviceFilter(
        customer_id=customer_id,
        site_id=site_id,
        regions=(region,) if region else (),
        q=q or "",
        after=decode_cursor(cursor) or "",
        limit=limit + 1,
    )
    with services.read_uow_factory() as uow:
        rows = devices_in_sight(principal, uow, which)
    shown = rows[:limit]
    states = states_of(services.store, principal.tenant, shown)
    return Page(
        items=[DeviceRow.of(bundle, states.get(bundle.device.device_id)) for bundle in shown],
        next_cursor=encode_cursor(shown[-1].device.device_id) if len(rows) > limit else None,
    )


@router.get("/devices/{device_id}", summary="One device")
def one_device(
    request: Request, principal: Annotated[Principal, Depends(OWNED)], device_id: DeviceKey
) -> DeviceDetail:
    """Return a device with its place, people and newest state."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
    reading = services.store.newest(principal.tenant, bundle.device.device_id)
    return DeviceDetail.full(bundle, device_state(reading) if reading else None)


@router.get(
    "/devices/{device_id}/reading",
    summary="The newest reading",
    response_class=Response,
    responses={
        200: {"content": {"application/json": {"schema": _READING_SCHEMA}}, "description": "the reading"}
    },
)
def newest_reading(
    request: Request, principal: Annotated[Principal, Depends(OWNED)], device_id: DeviceKey
) -> Response:
    """Return what the device said last; 404 when it has never answered."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_device(principal, uow, device_id)
    reading = services.store.newest(principal.tenant, DeviceId(device_id))
    if reading is None:
        raise Problem("not_found")
    return Response(encode_reading(reading), media_type="application/json")


@router.get(
    "/devices/{device_id}/readings",
    summary="Readings of a span of time",
    response_class=Response,
    responses={
        200: {
            "description": "readings, oldest first",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["items", "next_cursor"],
                        "properties": {
                            "items": {"type": "array", "items": _READING_SCHEMA},
                            "next_cursor": {"type": ["string", "null"]},
                        },
                    }
                }
            },
        }
    },
)
def readings(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF_READ)],
    device_id: DeviceKey,
    since: Annotated[datetime | None, Query(description="RFC 3339; default 24 hours before `until`")] = None,
    until: Annotated[datetime | None, Query(description="RFC 3339; default now")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Return readings with since <= polled_at < until, oldest first."""
    services = services_of(request)
    end = _aware(until, "until") or services.clock.now()
    begin = _aware(since, "since") or end - timedelta(hours=24)
    position = decode_cursor(cursor)
    if position is not None:
        begin = max(begin, _instant(position))
    with services.read_uow_factory() as uow:
        check_sees_device(principal, uow, device_id)
    rows = services.store.readings(principal.tenant, DeviceId(device_id), begin, end, limit + 1)
    return Response(_readings_page(rows, limit), media_type="application/json")


def _readings_page(rows: Any, limit: int) -> bytes:
    """Return one page of readings; the cursor is the instant of the first reading of the next page."""
    shown: list[DeviceReading] = list(rows[:limit])
    following = encode_cursor(rows[limit].polled_at.isoformat()) if len(rows) > limit else None
    items = [msgspec.Raw(encode_reading(row)) for row in shown]
    return msgspec.json.encode({"items": items, "next_cursor": following})


@router.get("/devices/{device_id}/series", summary="Pages a day and supply levels")
def series(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF_READ)],
    device_id: DeviceKey,
    first_day: Annotated[date | None, Query(description="default 90 days before the last")] = None,
    last_day: Annotated[date | None, Query(description="default today (UTC)")] = None,
) -> SeriesBody:
    """Return daily roll-ups, both ends included; at most 400 days."""
    services = services_of(request)
    last = last_day or services.clock.now().date()
    if not _FIRST_YEAR < last.year <= _LAST_YEAR:
        raise Problem("invalid_input", f"last_day must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    first = first_day or last - timedelta(days=90)
    if not 0 <= (last - first).days <= MAX_SERIES_DAYS:
        raise Problem("invalid_input", f"first_day may lie 0 to {MAX_SERIES_DAYS} days before last_day")
    with services.read_uow_factory() as uow:
        check_sees_device(principal, uow, device_id)
    key, begin, end = DeviceId(device_id), number_of(first), number_of(last)
    meters = list(services.store.daily_meters(principal.tenant, begin, end, key))
    pages = pages_by_day(meters)
    supplies = list(services.store.daily_supplies(principal.tenant, begin, end, key))
    return SeriesBody(
        device_id=device_id,
        first_day=first,
        last_day=last,
        meters=[meters_day(row, pages.get(row.day)) for row in meters],
        supplies=supply_series(supplies),
    )


@router.post("/devices/{device_id}/move", summary="Move a device to another site")
def move_device(
    request: Request,
    principal: Annotated[Principal, Depends(DISPATCHERS)],
    device_id: DeviceKey,
    body: MoveDeviceInput,
    _key: IdempotencyKey = None,
) -> MovedDevice:
    """Move a device; with another customer its stay on a contract line ends with the counter.

    `contract_id` and `line_id` let it serve a free line of the new place in the same step; `dry_run` checks everything and
    writes nothing. 409 when it stands there already, is lent, or the line has a device.
    """
    services = services_of(request)
    with services.read_uow_factory() as uow:
        device = visible_bundle(principal, uow, device_id).device
        site = site_in_sight(principal, uow, body.site_id)
    count = count_at_move(services, device, body.count)
    moved = services.registry.move(
        principal.tenant,
        device.device_id,
        site.site_id,
        count=count,
        line=body.line(),
        actor=principal.name,
        dry_run=body.dry_run,
    )
    return MovedDevice.of(moved, count, body)


@router.get("/devices/{device_id}/forecasts", summary="Forecasts with reasons")
def forecasts(
    request: Request, principal: Annotated[Principal, Depends(STAFF_READ)], device_id: DeviceKey
) -> DeviceForecastsBody:
    """Return the newest forecasts of a device: interval, basis, age of the data, model and reasons."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        check_sees_device(principal, uow, device_id)
        found = uow.forecasts.for_device(principal.tenant, DeviceId(device_id))
    language = language_of(request)
    return DeviceForecastsBody.of(device_id, found, services.messages, language)


@router.get("/devices/{device_id}/reminders", summary="What is coming up")
def reminders(
    request: Request, principal: Annotated[Principal, Depends(STAFF_READ)], device_id: DeviceKey
) -> list[ReminderBody]:
    """Return what is coming up for a device by date: supplies, wear, care, contract, open tasks."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
        found = device_reminders(uow, bundle, services.policy, services.clock.now())
    return [ReminderBody.of(row) for row in found]


@router.get("/forecasts/running-out", summary="What runs out soon")
def running_out(
    request: Request,
    principal: Annotated[Principal, Depends(STAFF_READ)],
    within_days: Annotated[float, Query(gt=0, le=365, allow_inf_nan=False)] = 14.0,
    limit: Limit = 100,
) -> Page[RunningOutRow]:
    """Return the supplies in sight whose median day of running out lies within `within_days`, soonest first."""
    services = services_of(request)
    with services.read_uow_factory() as uow:
        found = running_out_in_sight(principal, uow, within_days, limit)
    language = language_of(request)
    return Page(items=[running_out_row(row, bundle, services.messages, language) for row, bundle in found])


def _aware(instant: datetime | None, name: str) -> datetime | None:
    """Return the instant in UTC if it says its offset and lies in this age, or raise `invalid_input`."""
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise Problem("invalid_input", f"{name} needs an offset, for example 2026-01-01T00:00:00Z")
    if not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise Problem("invalid_input", f"{name} must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return instant.astimezone(UTC)


def _instant(position: str) -> datetime:
    """Return the instant inside a cursor."""
    try:
        instant = datetime.fromisoformat(position)
    except ValueError:
        raise Problem("invalid_input") from None
    if instant.tzinfo is None or not _FIRST_YEAR <= instant.year <= _LAST_YEAR:
        raise Problem("invalid_input")
    return instant
