"""Technicians and plans of regular care as one person sees them: those of the own regions."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from api.access import Principal
from api.problem import Problem
from api.services import ApiServices
from crm_core.day_planning import PlanChange, PlanReport
from crm_core.domain.fieldwork import MaintenancePlan
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import TechnicianId
from crm_core.domain.roster import Absence
from crm_core.domain.service import Role, Technician
from crm_core.fieldwork.plans import used_share
from crm_core.fieldwork.roster import absences_of
from crm_core.ports import UnitOfWork


@dataclass(frozen=True, slots=True)
class Colleague:
    """A technician with the absences to come."""

    technician: Technician
    absences: list[Absence]


@dataclass(frozen=True, slots=True)
class CareInSight:
    """A plan of regular care, its device, and how much of it is used (1 = due)."""

    plan: MaintenancePlan
    bundle: DeviceBundle
    used: Decimal


def team_in_sight(services: ApiServices, principal: Principal, uow: UnitOfWork) -> list[Colleague]:
    """Return the technicians of the regions in sight by name, with absences that are not over."""
    absences = absences_of(uow, principal.tenant, services.clock.now(), asked=True)
    found = [each for each in uow.technicians.all(principal.tenant) if _is_in_sight(principal, each)]
    return [
        Colleague(person, sorted(_own(absences, person), key=lambda each: each.starts))
        for person in sorted(found, key=lambda each: (not each.active, each.name))
    ]


def own_or_visible(principal: Principal, uow: UnitOfWork, technician_id: str) -> Technician:
    """Return the technician: for a technician only oneself, for others everybody of the regions in sight."""
    if principal.role is Role.TECHNICIAN and technician_id != principal.technician_id:
        raise Problem("not_found")
    return visible_technician(principal, uow, technician_id)


def visible_technician(principal: Principal, uow: UnitOfWork, technician_id: str) -> Technician:
    """Return the technician, or 404 also for one of another region."""
    found = uow.technicians.find(principal.tenant, TechnicianId(technician_id))
    if found is None or not _is_in_sight(principal, found):
        raise Problem("not_found")
    return found


def changes_in_sight(principal: Principal, uow: UnitOfWork, report: PlanReport) -> list[PlanChange]:
    """Return the promises that a plan moved: those of the regions in sight, for a technician the own ones."""
    if principal.role is Role.TECHNICIAN:
        own = principal.technician_id
        return [each for each in report.changes if own in (each.technician_before, each.technician)]
    regions = {
        each.device.device_id: each.site.region if each.site else None
        for each in uow.devices.bundles(principal.tenant)
    }
    return [each for each in report.changes if principal.sees_region(regions.get(each.device_id))]


def care_in_sight(
    services: ApiServices, principal: Principal, uow: UnitOfWork, device_id: str | None = None
) -> list[CareInSight]:
    """Return the plans of regular care in sight, those that are due first."""
    now = services.clock.now()
    counts = {state.device_id: state.life_count for state in services.store.states(principal.tenant)}
    bundles = {each.device.device_id: each for each in uow.devices.bundles(principal.tenant)}
    seen = [
        CareInSight(plan, bundle, used_share(plan, counts.get(plan.device_id), now))
        for plan in uow.fieldwork.plans.where(principal.tenant, device_id=device_id)
        if (bundle := bundles.get(plan.device_id)) is not None
        and principal.sees_region(bundle.site.region if bundle.site else None)
    ]
    return sorted(seen, key=lambda each: (not each.plan.active, -each.used))


def _own(absences: Sequence[Absence], person: Technician) -> list[Absence]:
    return [each for each in absences if each.technician_id == person.technician_id]


def _is_in_sight(principal: Principal, person: Technician) -> bool:
    return not principal.regions or bool(set(person.regions) & {*principal.regions, "*"})
