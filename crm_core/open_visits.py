"""The visits that have not begun and the people who could go: what dispatching asks for each ticket.

Both are read once for a whole run. Visits are found by device and by site, so that a storm of thousands of tickets does
not compare each with every visit.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, SiteId, TechnicianId, WorkOrderId
from crm_core.domain.messages import packed
from crm_core.domain.service import Technician, WorkOrder, WorkOrderKind, WorkOrderState

NOT_STARTED: Final = frozenset({WorkOrderState.PLANNED, WorkOrderState.ASSIGNED})
#: The kind of a visit that does several things, the most demanding first.
DEMANDING: Final = (
    WorkOrderKind.REPAIR,
    WorkOrderKind.INSPECTION,
    WorkOrderKind.MAINTENANCE,
    WorkOrderKind.SUPPLY,
    WorkOrderKind.REPLACEMENT,
    WorkOrderKind.PHONE,
)
VISITS: Final = frozenset(DEMANDING[:4])


@dataclass(slots=True)
class Staff:
    """The technicians with what they have to do already."""

    technicians: Sequence[Technician]
    load: Counter[TechnicianId]

    @classmethod
    def of(cls, technicians: Sequence[Technician], active: Iterable[WorkOrder]) -> "Staff":
        """Return the people with the number of active orders that each has."""
        load = Counter(order.technician_id for order in active if order.technician_id is not None)
        return cls(technicians, load)

    def best_for(self, bundle: DeviceBundle, kind: WorkOrderKind) -> tuple[Technician | None, str]:
        """Return who should go and why: region and skill decide, then the fewest open jobs."""
        region = bundle.site.region if bundle.site is not None else "default"
        vendor = bundle.device.vendor or "?"
        by_phone = kind is WorkOrderKind.PHONE
        able = [
            each
            for each in self.technicians
            if each.active and _has_skill(each, vendor) and (by_phone or _covers(each, region))
        ]
        if not able:
            return None, packed("tickets.assigned.nobody", region=region, skill=vendor)
        chosen = min(able, key=lambda each: (self.load[each.technician_id], each.technician_id))
        jobs = self.load[chosen.technician_id]
        key = "tickets.assigned.phone" if by_phone else "tickets.assigned.visit"
        return chosen, packed(key, region=region, skill=vendor, jobs=jobs, of=len(able))

    def may_serve(self, order: WorkOrder, bundle: DeviceBundle) -> bool:
        """Return True if the order's technician, when there is one, has the skill for the device."""
        for technician in self.technicians:
            if technician.technician_id == order.technician_id:
                return _has_skill(technician, bundle.device.vendor or "?")
        return order.technician_id is None


def _has_skill(technician: Technician, vendor: str) -> bool:
    skills = {skill.lower() for skill in technician.skills}
    return "*" in skills or vendor.lower() in skills


def _covers(technician: Technician, region: str) -> bool:
    return "*" in technician.regions or region in technician.regions


class OpenVisits:
    """The visits that have not begun: what further tickets may join. A visit serves `most` tickets of a site."""

    def __init__(self, orders: Iterable[WorkOrder], staff: Staff, most: int) -> None:
        self.staff = staff
        self._most = most
        self._at_device: dict[DeviceId, dict[WorkOrderId, WorkOrder]] = defaultdict(dict)
        self._at_site: dict[SiteId, dict[WorkOrderId, WorkOrder]] = defaultdict(dict)
        for order in orders:
            if order.kind in VISITS:
                self.note(order)

    def note(self, order: WorkOrder) -> None:
        """Remember a visit as it is now; one that was called off is left out."""
        places = [self._at_device[order.device_id]]
        if order.site_id is not None:
            places.append(self._at_site[order.site_id])
        for visits in places:
            if order.state is WorkOrderState.CANCELLED:
                visits.pop(order.work_order_id, None)
            else:
                visits[order.work_order_id] = order

    def joinable(self, bundle: DeviceBundle, kinds: set[WorkOrderKind]) -> WorkOrder | None:
        """Return the visit to join: at the device any; at the site deliveries of deliveries, and inspections any."""
        device = bundle.device
        for order in self._at_device[device.device_id].values():
            return order
        for order in self._at_site[device.site_id].values() if device.site_id is not None else ():
            deliveries = kinds == {WorkOrderKind.SUPPLY} and order.kind is WorkOrderKind.SUPPLY
            looks = kinds == {WorkOrderKind.INSPECTION}
            has_room = len(order.ticket_ids) < self._most
            if has_room and (deliveries or looks) and self.staff.may_serve(order, bundle):
                return order
        return None

    def inspections_at(self, order: WorkOrder) -> list[WorkOrder]:
        """Return the inspections of other devices at the order's site that wait for nobody else."""
        if order.site_id is None or order.kind is WorkOrderKind.INSPECTION:
            return []
        return [
            each
            for each in self._at_site[order.site_id].values()
            if each.kind is WorkOrderKind.INSPECTION
            and each.ticket_ids  # what somebody ordered is a visit of its own
            and each.technician_id in (None, order.technician_id)
            and each.planned_start is None
        ]
