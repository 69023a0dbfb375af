"""Fleet health over the API: the figures of the manager's page."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request

from api.access import OFFICE_READ, Principal, overviews_of, services_of
from api.direct_route import DirectRoute
from api.language import language_of
from api.schemas.base import Instant, Output
from api.schemas.fleet import RunningOutRow, running_out_row
from crm_core.fleet_health import DeviceHealth

router = APIRouter(tags=["fleet"], route_class=DirectRoute)


class CauseCount(Output):
    """A family of causes (supply, jam, fault, silence, ...) and how many devices of the band have it."""

    family: str
    devices: int


class BandBody(Output):
    """How many devices are in a health band (down, attention, watch, good), and why."""

    band: str
    devices: int
    causes: list[CauseCount]


class DeviceHealthBody(Output):
    """One device in brief; `score` is higher for worse."""

    device_id: str
    model: str | None
    customer_name: str | None
    site_name: str | None
    region: str | None
    band: str
    silent: bool
    causes: list[str]
    score: float
    last_seen: Instant | None
    open_tickets: int
    used_share: float | None
    p_fail_14d: float | None

    @classmethod
    def of(cls, row: DeviceHealth) -> "DeviceHealthBody":
        bundle = row.bundle
        return cls(
            device_id=bundle.device.device_id,
            model=bundle.device.model_name,
            customer_name=bundle.customer.name if bundle.customer else None,
            site_name=bundle.site.name if bundle.site else None,
            region=bundle.site.region if bundle.site else None,
            band=row.band.value,
            silent=row.silent,
            causes=list(row.causes),
            score=round(row.score, 2),
            last_seen=row.last_seen,
            open_tickets=row.open_tickets,
            used_share=row.used_share,
            p_fail_14d=row.p_fail_14d,
        )


class RiskBody(Output):
    """A promise that is due within four hours or missed already."""

    ticket_id: int
    device_id: str
    level: str
    clock: str
    due_at: Instant
    overdue: bool


class FleetBody(Output):
    """Fleet health as of one instant, limited to the regions in sight."""

    as_of: Instant
    devices: int
    bands: list[BandBody]
    silent: list[DeviceHealthBody]
    silent_total: int
    sla_at_risk: list[RiskBody]
    sla_at_risk_total: int
    running_out: list[RunningOutRow]
    running_out_total: int
    worst: list[DeviceHealthBody]
    open_tickets: dict[str, int]
    work_orders: dict[str, int]
    work_orders_due_today: int
    work_orders_done_today: int
    replacements_due: int


@router.get("/fleet/health", summary="Fleet health")
def fleet_health(request: Request, principal: Annotated[Principal, Depends(OFFICE_READ)]) -> FleetBody:
    """Return bands with causes, silent devices, promises at risk, what runs out in 14 days and the worst devices.

    The lists hold at most 200 rows each; the counts and totals are of everything in sight.
    """
    services, language = services_of(request), language_of(request)
    overview = overviews_of(request).overview(principal.tenant, principal.regions)
    return FleetBody(
        as_of=overview.as_of,
        devices=overview.devices,
        bands=[
            BandBody(
                band=row.band.value,
                devices=row.devices,
                causes=[CauseCount(family=family, devices=count) for family, count in row.causes],
            )
            for row in overview.bands
        ],
        silent=[DeviceHealthBody.of(row) for row in overview.silent],
        silent_total=overview.silent_total,
        sla_at_risk=[
            RiskBody(
                ticket_id=row.ticket.ticket_id,
                device_id=row.ticket.device_id,
                level=row.ticket.level.value,
                clock=row.clock.kind.value,
                due_at=row.clock.due_at,
                overdue=row.overdue,
            )
            for row in overview.at_risk
        ],
        sla_at_risk_total=overview.at_risk_total,
        running_out=[
            running_out_row(row.forecast, row.bundle, services.messages, language)
            for row in overview.running_out
        ],
        running_out_total=overview.running_out_total,
        worst=[DeviceHealthBody.of(row) for row in overview.worst],
        open_tickets={level.value: count for level, count in overview.open_tickets.items()},
        work_orders={state.value: count for state, count in overview.work_orders.items()},
        work_orders_due_today=overview.work_orders_due_today,
        work_orders_done_today=overview.work_orders_done_today,
        replacements_due=overview.replacements_due,
    )
