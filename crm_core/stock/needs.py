"""What a visit brings: the supply or part of each ticket, and what else at the site runs out soon.

Other colours of the device and supplies of other devices at the site below the second threshold go along and are left
on the customer's shelf; what lies there free already is not brought again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from crm_core.domain.catalogue import Catalogue
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.forecast import SupplyForecast
from crm_core.domain.identity import DeviceId
from crm_core.domain.messages import packed
from crm_core.domain.policy import PolicyBook
from crm_core.domain.service import OPEN_STATES, PartNeed, Ticket
from crm_core.domain.stock import cover_holder, cupboard_at, shelf_at, transit_to
from crm_core.ports import DeviceFilter, TicketFilter, UnitOfWork
from crm_core.stock.fitting import fitting_item

_NEIGHBOURS: Final = 100  # machines of one site that are looked at


@dataclass(frozen=True, slots=True)
class PartNeeds:
    """Works out the parts of visits under one policy."""

    policy: PolicyBook
    catalogue: Catalogue

    def of(
        self, uow: UnitOfWork, tickets: Sequence[Ticket], bundle: DeviceBundle, order_device: DeviceId
    ) -> tuple[PartNeed, ...]:
        """Return what to bring for the tickets of one device; `order_device` is the one that the order names."""
        other = bundle.device.device_id if bundle.device.device_id != order_device else None
        needs = [
            replace(need, device_id=other)
            for ticket in tickets
            if (need := self._need(ticket.detail, ticket.category, bundle)) is not None
        ]
        if any(ticket.category == "consumable" for ticket in tickets):
            needs += self._along(uow, tickets, bundle, order_device)
        return merged((), needs)

    def _need(self, detail: Mapping[str, object], category: str, bundle: DeviceBundle) -> PartNeed | None:
        component = detail.get("component")
        if category == "consumable" and detail.get("supply_index") is not None:
            kind, colour = _text(detail.get("kind")) or "supply", _text(detail.get("colour"))
            number = _text(detail.get("part_number")) or self._part_number(bundle, kind, colour)
            return PartNeed(kind=kind, colour=colour, part_number=number)
        if category == "consumable":
            return PartNeed(kind="toner", note=packed("tickets.part.which"))
        if category in ("part", "failure_risk") and component:
            return PartNeed(kind=str(component))
        if (
            isinstance(component, str) and category != "replacement"
        ):  # a talk about a new machine brings nothing
            return PartNeed(kind=component, note=packed("tickets.part.probable"))
        return None

    def _along(
        self, uow: UnitOfWork, tickets: Sequence[Ticket], bundle: DeviceBundle, order_device: DeviceId
    ) -> Iterator[PartNeed]:
        """Yield what runs out soon at the device and at its neighbours on the site, and is not there already."""
        taken = {f"{ticket.device_id}:{ticket.cause}" for ticket in tickets}
        taken |= _asked_for_otherwise(uow, bundle)
        here = _Lying(uow, bundle)
        for place in _at_site(uow, bundle):
            device_id = place.device.device_id
            for row in uow.forecasts.for_device(place.device.tenant, device_id).supplies:
                key = f"{device_id}:supply.{row.supply_index}"
                if key in taken or not self._is_soon_empty(row) or here.takes(place, row):
                    continue
                assert row.days_to_empty is not None
                kind = row.kind or "supply"
                yield PartNeed(
                    kind=kind,
                    colour=row.colour,
                    part_number=self._part_number(place, kind, row.colour),
                    note=packed("tickets.part.soon", days=round(row.days_to_empty.p50)),
                    device_id=device_id if device_id != order_device else None,
                    spare=True,
                )

    def _is_soon_empty(self, row: SupplyForecast) -> bool:
        soon = self.policy.stock.consolidate_at_days_left
        return row.days_to_empty is not None and (row.replenish or row.days_to_empty.p50 <= soon)

    def _part_number(self, bundle: DeviceBundle, kind: str, colour: str | None) -> str | None:
        model = self.catalogue.find(bundle.device.model_id)
        if model is None:
            return None
        fitting = [
            supply for supply in model.supplies if supply.kind == kind and supply.colour in (colour, None)
        ]
        return fitting[0].part_number if fitting else None


class _Lying:
    """Pieces that lie free at the site, counted down as they are thought of."""

    def __init__(self, uow: UnitOfWork, bundle: DeviceBundle) -> None:
        self._uow = uow
        self._tenant = bundle.device.tenant
        self._items = uow.stock.items(self._tenant)
        self._free: Counter[str] = Counter()
        site_id = bundle.device.site_id
        for key in (shelf_at(site_id), cupboard_at(site_id), transit_to(site_id)) if site_id else ():
            for row in uow.stock.balances(self._tenant, place=key):
                self._free[row.item_id] += row.free

    def takes(self, place: DeviceBundle, row: SupplyForecast) -> bool:
        """Return True if a free or promised piece is there for the supply."""
        holder = cover_holder(place.device.device_id, f"supply.{row.supply_index}")
        if self._uow.stock.reservations(self._tenant, holder=holder):
            return True
        item = fitting_item(self._items, place.device.model_id, row.kind, row.colour)
        if item is None or self._free[item.item_id] < 1:
            return False
        self._free[item.item_id] -= 1
        return True


def _at_site(uow: UnitOfWork, bundle: DeviceBundle) -> list[DeviceBundle]:
    """Return the device and its neighbours on the site, itself first."""
    if bundle.device.site_id is None:
        return [bundle]
    found = uow.devices.search(
        bundle.device.tenant, DeviceFilter(site_id=bundle.device.site_id, limit=_NEIGHBOURS)
    )
    others = [each for each in found if each.device.device_id != bundle.device.device_id]
    return [bundle, *others]


def _asked_for_otherwise(uow: UnitOfWork, bundle: DeviceBundle) -> set[str]:
    """Return the supplies at the site that have an open ticket: these bring their own piece."""
    which = TicketFilter(states=frozenset(OPEN_STATES), site_id=bundle.device.site_id, limit=1000)
    if bundle.device.site_id is None:
        which = replace(which, device_id=bundle.device.device_id)
    return {ticket.dedup_key for ticket in uow.tickets.list(bundle.device.tenant, which)}


def merged(present: Sequence[PartNeed], more: Iterable[PartNeed]) -> tuple[PartNeed, ...]:
    """Return both without naming the same thing for the same device twice; what is needed now is no spare."""
    kept: dict[tuple[str, str | None, str | None, DeviceId | None], PartNeed] = {}
    for need in (*present, *more):
        key = (need.kind, need.colour, need.part_number, need.device_id)
        if key not in kept or (kept[key].spare and not need.spare):
            kept[key] = need
    return tuple(kept.values())


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
