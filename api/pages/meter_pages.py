"""Meters that people read off, as pages: a customer's list, the form of one device, and the doubtful ones for specialists."""

from datetime import datetime, time
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from api.access import MONEY, REPORTERS, Principal, services_of, visible_bundle
from api.fleet_lists import visible_bundles
from api.meter_sight import may_decide, source_for, statements_in_sight, visible_statement
from api.pages.common import Customer, Key, failure_of, renderer_of
from api.pages.forms import Form, checked, count_of, day_of, version_of
from api.pages.money_common import customer_names
from api.schemas.meters import PHOTO_CHARACTERS, photo_bytes
from crm_core.billing.statements import Heard, Stated
from crm_core.domain.errors import Conflict, InvalidValue
from crm_core.domain.meter_statements import StatementState

router = APIRouter(include_in_schema=False)

DeviceKey = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Reporter = Annotated[Principal, Depends(REPORTERS)]
MoneyRole = Annotated[Principal, Depends(MONEY)]
#: A form may carry a photo in base64, whose signs take up to three characters each.
MOST_FORM_BYTES: Final = PHOTO_CHARACTERS + 100_000
_EVENING: Final = time(18)  # a count of an earlier day is that of its end
_MOST: Final = 200


@router.get("/my/meters")
def my_meters(request: Request, principal: Customer) -> Response:
    """List the customer's devices that no network reads, with their last counts."""
    services = services_of(request)
    desk = services.money.statements
    with services.read_uow_factory() as uow:
        looks = [(each, desk.look(uow, each.device)) for each in visible_bundles(principal, uow)[:_MOST]]
    rows = [(each, look) for each, look in looks if look.offline]
    return renderer_of(request).page(
        request, "my_meters.html", principal=principal, rows=rows, total=len(looks)
    )


@router.get("/meters")
def doubtful(request: Request, principal: MoneyRole) -> Response:
    """List what was stated, the doubtful ones first."""
    return _desk(request, principal)


@router.post("/meters/decisions/{statement_id}")
def decide(request: Request, principal: MoneyRole, form: Form, statement_id: Key) -> Response:
    """Accept or refuse a statement."""
    fields = checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        visible_statement(principal, uow, statement_id)
    try:
        services.money.statements.decide(
            principal.tenant,
            statement_id,
            accept=fields.get("decision") == "accept",
            by=principal.name,
            note=fields.get("note", ""),
            expected_version=version_of(fields),
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _desk(request, principal, failure, status)
    return RedirectResponse("/meters", 303)


@router.get("/meters/{device_id}")
def meter(request: Request, principal: Reporter, device_id: DeviceKey) -> Response:
    """Show the form for one device, with what was stated before."""
    return _meter(request, principal, device_id)


@router.post("/meters/{device_id}")
def state_meter(request: Request, principal: Reporter, form: Form, device_id: DeviceKey) -> Response:
    """Take what was stated, or ask again with the reason."""
    fields = checked(form, principal)
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
    try:
        colour = fields.get("colour", "").strip()
        stated = Stated(
            device_id=bundle.device.device_id,
            total=count_of(fields.get("total", ""), "total"),
            colour=count_of(colour, "colour") if colour else None,
            read_at=_read_at(request, fields.get("read_on", "")),
            photo=photo_bytes(fields.get("photo", "")),
            confirmed=fields.get("confirmed") == "yes",
        )
        heard = services.money.statements.state(
            principal.tenant,
            stated,
            source=source_for(principal),
            by=principal.name,
            may_decide=may_decide(principal),
        )
    except (Conflict, InvalidValue) as error:
        failure, status = failure_of(request, principal, error)
        return _meter(request, principal, device_id, fields=fields, failure=failure, status=status)
    if heard.statement is None:
        return _meter(request, principal, device_id, fields=fields, heard=heard)
    return RedirectResponse(f"/meters/{device_id}#stated", 303)


def _read_at(request: Request, day: str) -> datetime:
    """Return now for today or no day, else the evening of the day in the firm's time zone."""
    now, zone = services_of(request).clock.now(), renderer_of(request).zone
    if not day.strip() or day_of(day) == now.astimezone(zone).date():
        return now
    return datetime.combine(day_of(day), _EVENING, zone)


def _meter(
    request: Request,
    principal: Principal,
    device_id: str,
    *,
    fields: dict[str, str] | None = None,
    heard: Heard | None = None,
    failure: str | None = None,
    status: int = 200,
) -> Response:
    services = services_of(request)
    with services.read_uow_factory() as uow:
        bundle = visible_bundle(principal, uow, device_id)
        look = services.money.statements.look(uow, bundle.device)
    renderer = renderer_of(request)
    return renderer.page(
        request,
        "meter.html",
        principal=principal,
        status=status,
        bundle=bundle,
        look=look,
        fields=fields or {},
        heard=heard,
        failure=failure,
        today=services.clock.now().astimezone(renderer.zone).date(),
        asks_colour=look.last is not None and bool(look.last.colour),
    )


def _desk(request: Request, principal: Principal, failure: str | None = None, status: int = 200) -> Response:
    with services_of(request).read_uow_factory() as uow:
        rows = statements_in_sight(principal, uow)
        names = customer_names(uow, principal, rows[:_MOST])
    waiting = [row for row in rows if row.state is StatementState.WAITING]
    others = [row for row in rows if row.state is not StatementState.WAITING]
    return renderer_of(request).page(
        request,
        "meters.html",
        principal=principal,
        status=status,
        waiting=waiting[:_MOST],
        others=others[: _MOST // 4],
        names=names,
        failure=failure,
    )
