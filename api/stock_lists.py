"""Stock as one person sees it: places of their regions, technicians their own van."""

from collections.abc import Sequence

from api.access import Principal
from api.problem import Problem
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import Role
from crm_core.domain.stock import (
    PlaceKey,
    PlaceKind,
    StockMove,
    is_external,
    kind_of_place,
    name_of_place,
    parse_place,
    van_of,
)
from crm_core.ports import UnitOfWork
from crm_core.ports.stock import MoveFilter
from crm_core.stock.book import StockRow, stock_rows


def sees_place(principal: Principal, uow: UnitOfWork, place: PlaceKey) -> bool:
    """Return True if the place lies in the person's regions; a technician sees the own van and nothing else."""
    if principal.role is Role.TECHNICIAN:
        return principal.technician_id is not None and place == van_of(principal.technician_id)
    if not principal.regions or is_external(place) or kind_of_place(place) is PlaceKind.SCRAP:
        return True
    return any(principal.sees_region(region) for region in _regions_of(principal, uow, place))


def _regions_of(principal: Principal, uow: UnitOfWork, place: PlaceKey) -> Sequence[str | None]:
    """Return where a place lies; nothing for a place of nobody."""
    tenant, name = principal.tenant, name_of_place(place)
    match kind_of_place(place):
        case PlaceKind.VAN:
            technician = uow.technicians.find(tenant, name)
            return technician.regions if technician else ()
        case PlaceKind.SHELF | PlaceKind.SITE | PlaceKind.TRANSIT:
            site = uow.sites.find(tenant, name)
        case PlaceKind.INSTALLED:
            device = uow.devices.find(tenant, DeviceId(name))
            site = uow.sites.find(tenant, device.site_id) if device and device.site_id else None
        case _:
            return [row.region for row in uow.stock.places(tenant) if row.place == place]
    return [site.region] if site else ()


def visible_place(principal: Principal, uow: UnitOfWork, text: str) -> PlaceKey:
    """Return the place that a client named, or answer like an absent one."""
    place = parse_place(text)
    if not sees_place(principal, uow, place):
        raise Problem("not_found")
    return place


def rows_in_sight(
    principal: Principal, uow: UnitOfWork, item_id: str | None = None, place: str | None = None
) -> list[StockRow]:
    """Return what lies where in the person's sight."""
    key = visible_place(principal, uow, place) if place else None
    rows = stock_rows(uow, principal.tenant, item_id=item_id or None, place=key)  # type: ignore[arg-type]  # item ids are plain texts here
    seen: dict[PlaceKey, bool] = {}
    for row in rows:
        if row.balance.place not in seen:
            seen[row.balance.place] = sees_place(principal, uow, row.balance.place)
    return [row for row in rows if seen[row.balance.place]]


def moves_in_sight(principal: Principal, uow: UnitOfWork, which: MoveFilter) -> list[StockMove]:
    """Return moves with an end in the person's sight, newest first."""
    found: list[StockMove] = []
    before = which.before
    while len(found) < which.limit:
        page = uow.stock.moves(
            principal.tenant,
            MoveFilter(item_id=which.item_id, place=which.place, before=before, limit=which.limit),
        )
        found += [
            move
            for move in page
            if any(
                not is_external(end) and sees_place(principal, uow, end) for end in (move.source, move.target)
            )
        ]
        if len(page) < which.limit:
            break
        before = page[-1].move_id
    return found[: which.limit]
