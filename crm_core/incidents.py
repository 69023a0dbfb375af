"""Incidents: one event that explains many devices - a site without power, a watcher gone blind, a bad firmware.

Three rules hold: an incident suppresses the creation of tickets, never monitoring; creation, never resolution; and it
never touches tickets that were there before, except a campaign, which takes over those of its own cause. After its end
a settling time passes; then only devices that are still bad get their ticket.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.business_time import elapsed_business
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId, TenantId
from crm_core.domain.policy import PolicyBook, TriagePolicy
from crm_core.domain.service import Incident, IncidentKind, SignalOrigin
from crm_core.domain.sla import BusinessCalendar
from crm_core.domain.telemetry import DeviceState
from crm_core.ports import UnitOfWork

_FLEET: Final = "fleet"
_AT_LEAST: Final = 2  # one device alone is never an incident, whatever its share of the site
_RECENT: Final = 200


@dataclass(frozen=True, slots=True)
class Storm:
    """Devices that fell silent together, and what they have in common."""

    kind: IncidentKind
    subject: str
    device_ids: tuple[DeviceId, ...]


@dataclass(slots=True)
class Explained:
    """What open or settling incidents explain at present. `counts` gathers the causes that were held back."""

    by_device: Mapping[DeviceId, Incident] = field(default_factory=dict)
    by_model_cause: Mapping[str, Incident] = field(default_factory=dict)
    fleet: Incident | None = None
    held_back: dict[int, set[tuple[DeviceId, str]]] = field(default_factory=lambda: defaultdict(set))

    def why(self, bundle: DeviceBundle, cause: str, origin: SignalOrigin, *, urgent: bool) -> Incident | None:
        """Return the incident that explains a raised cause now, or None when it needs its own ticket."""
        if origin is SignalOrigin.FORECAST:
            return None  # a supply runs out whether or not the power is back
        incident = self.by_model_cause.get(campaign_subject(bundle, cause))
        incident = incident or self.by_device.get(bundle.device.device_id)
        if incident is None and not urgent:
            incident = self.fleet
        if incident is not None:
            self.held_back[incident.incident_id].add((bundle.device.device_id, cause))
        return incident


def campaign_subject(bundle: DeviceBundle, cause: str) -> str:
    """Return the subject of a model's incident: the same cause on the same model."""
    return f"{bundle.device.model_id or bundle.device.model_name or '?'}:{cause}"


def dark_since(
    bundles: Iterable[DeviceBundle],
    states: Sequence[DeviceState],
    now: datetime,
    expected_every: timedelta,
    calendar: BusinessCalendar,
) -> dict[DeviceId, datetime]:
    """Return the devices that missed their last report, with the time of the one before; half an interval is grace.

    Only opening hours count: many people switch many printers off for the weekend, and that is no storm.
    """
    last_seen = {state.device_id: state.last_seen for state in states}
    patience = expected_every * 1.5
    return {
        bundle.device.device_id: seen
        for bundle in bundles
        if (seen := last_seen.get(bundle.device.device_id)) is not None
        and now - seen > patience  # the cheap question first
        and elapsed_business(calendar, seen, now) > patience
    }


def storms(
    bundles: Sequence[DeviceBundle],
    dark: Mapping[DeviceId, datetime],
    policy: TriagePolicy,
    expected_every: timedelta,
) -> list[Storm]:
    """Return the groups of devices that fell silent together. Pure.

    Together means: their last reports lie within one interval and the storm window. Devices that were down before
    stay out of it. What sites explain does not count for the fleet.
    """
    at_site: dict[str, list[DeviceId]] = defaultdict(list)
    for bundle in bundles:
        if bundle.device.site_id is not None:
            at_site[bundle.device.site_id].append(bundle.device.device_id)
    window = policy.storm_window + expected_every
    found: list[Storm] = []
    explained: set[DeviceId] = set()
    for site_id, members in sorted(at_site.items()):
        together = _together([each for each in members if each in dark], dark, window)
        many = len(together) >= policy.storm_devices
        most = len(together) >= max(_AT_LEAST, policy.storm_share * len(members))
        if many or most:
            found.append(Storm(IncidentKind.SITE, site_id, tuple(sorted(together))))
            explained.update(together)
    rest = _together([each for each in dark if each not in explained], dark, 2 * window)
    if len(rest) >= policy.storm_devices and len(rest) > policy.fleet_storm_share * len(bundles):
        found.append(Storm(IncidentKind.FLEET, _FLEET, tuple(sorted(rest))))
    return found


def _together(
    members: Iterable[DeviceId], dark: Mapping[DeviceId, datetime], window: timedelta
) -> list[DeviceId]:
    """Return those whose last report lies within `window` before the newest one of them all."""
    falls = {member: dark[member] for member in members}
    newest = max(falls.values(), default=None)
    return [] if newest is None else [member for member, fell in falls.items() if newest - fell <= window]


def update_incidents(
    uow: UnitOfWork,
    tenant: TenantId,
    bundles: Sequence[DeviceBundle],
    states: Sequence[DeviceState],
    now: datetime,
    book: PolicyBook,
    expected_every: timedelta,
) -> int:
    """Open incidents for new storms, let running ones grow, close those whose devices are back; return how many opened."""
    policy = book.triage
    dark = dark_since(bundles, states, now, expected_every, book.sla.calendar)
    opened = 0
    for storm in storms(bundles, dark, policy, expected_every):
        present = uow.incidents.find_open(tenant, storm.kind, storm.subject)
        if present is None:
            fresh = Incident(
                tenant=tenant,
                incident_id=0,
                kind=storm.kind,
                subject=storm.subject,
                opened_at=now,
                device_ids=storm.device_ids,
            )
            opened += uow.incidents.open_unless_covered(fresh) is not None
        elif set(storm.device_ids) - set(present.device_ids):
            members = tuple(sorted({*present.device_ids, *storm.device_ids}))
            uow.incidents.save(replace(present, device_ids=members))
    for incident in uow.incidents.open_ones(tenant):
        if incident.kind is not IncidentKind.MODEL and _is_over(incident, dark, policy):
            close_incident(uow, incident, now, policy)
    return opened


def _is_over(incident: Incident, dark: Mapping[DeviceId, datetime], policy: TriagePolicy) -> bool:
    """Return True when so few members are still dark that they are each their own trouble."""
    still = sum(device_id in dark for device_id in incident.device_ids)
    few = still < policy.storm_devices
    return few and still < max(_AT_LEAST, policy.storm_share * len(incident.device_ids))


def close_incident(uow: UnitOfWork, incident: Incident, now: datetime, policy: TriagePolicy) -> Incident:
    """End an incident; its devices settle before they may raise tickets of their own."""
    return uow.incidents.save(replace(incident, closed_at=now, settled_at=now + policy.storm_settle))


def explained_now(uow: UnitOfWork, tenant: TenantId, now: datetime) -> Explained:
    """Return what incidents explain at `now`: those that are open, and those that settle."""
    live = [
        incident
        for incident in uow.incidents.all(tenant, _RECENT)
        if incident.closed_at is None or (incident.settled_at is not None and now < incident.settled_at)
    ]
    return Explained(
        by_device={
            device_id: incident
            for incident in live
            if incident.kind is IncidentKind.SITE
            for device_id in incident.device_ids
        },
        by_model_cause={
            incident.subject: incident for incident in live if incident.kind is IncidentKind.MODEL
        },
        fleet=next((incident for incident in live if incident.kind is IncidentKind.FLEET), None),
    )


def note_held_back(uow: UnitOfWork, tenant: TenantId, explained: Explained) -> None:
    """Keep with each incident how many causes it held back, so that nobody wonders where they are.

    A site's are counted while they last, all at one time; a model's devices are gathered one after the other.
    """
    if not explained.held_back:
        return
    for incident in uow.incidents.all(tenant, _RECENT):
        causes = explained.held_back.get(incident.incident_id, set())
        if incident.kind is IncidentKind.MODEL:
            fresh = {device_id for device_id, _ in causes} - set(incident.device_ids)
            members = tuple(sorted({*incident.device_ids, *fresh}))
            after = replace(incident, device_ids=members, suppressed=incident.suppressed + len(fresh))
        else:
            after = replace(incident, suppressed=max(incident.suppressed, len(causes)))
        if after != incident:
            uow.incidents.save(after)
