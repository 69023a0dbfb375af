"""Incidents as people see them: what happened to whom, since when, what was held back, and which devices are in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from api.access import Principal
from api.pages.supply_view import Words
from api.services import ApiServices
from api.wording import ticket_title
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId
from crm_core.domain.service import OPEN_STATES, Incident, IncidentKind, Ticket
from crm_core.ports import TicketFilter, UnitOfWork

_SHOWN: Final = 60
_TONES: Final = {"running": "critical", "settling": "warning", "over": "good"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentRow:
    """One incident in the list."""

    incident: Incident
    what: str
    where: str
    devices: int
    stage: str
    tone: str


def in_sight(principal: Principal, incident: Incident, bundles: Mapping[DeviceId, DeviceBundle]) -> bool:
    """Return True if any of the incident's devices stands in the principal's regions."""
    if not principal.regions:
        return True
    found = (bundles.get(device_id) for device_id in incident.device_ids)
    return any(each and each.site and principal.sees_region(each.site.region) for each in found)


def list_context(
    services: ApiServices, uow: UnitOfWork, principal: Principal, words: Words
) -> dict[str, Any]:
    """Return the incidents in sight, those that run first."""
    bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(principal.tenant)}
    seen = [
        each for each in uow.incidents.all(principal.tenant, _SHOWN) if in_sight(principal, each, bundles)
    ]
    rows = [_row(services, each, bundles, words) for each in seen]
    rows.sort(key=lambda row: (row.stage == "over", -row.incident.opened_at.timestamp()))
    return {"rows": rows, "running": sum(row.stage != "over" for row in rows)}


def incident_context(
    services: ApiServices, uow: UnitOfWork, incident: Incident, words: Words
) -> dict[str, Any]:
    """Return one incident with its devices and their open tickets."""
    bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(incident.tenant)}
    tickets: dict[DeviceId, list[Ticket]] = {}
    for ticket in uow.tickets.list(incident.tenant, TicketFilter(states=OPEN_STATES, limit=10_000)):
        if ticket.device_id in incident.device_ids:
            tickets.setdefault(ticket.device_id, []).append(ticket)
    return {
        "row": _row(services, incident, bundles, words),
        "devices": [
            {
                "device_id": device_id,
                "model": _model_of(bundles.get(device_id), words),
                "place": _place_of(bundles.get(device_id)),
                "tickets": [
                    (ticket.ticket_id, ticket_title(ticket, words.messages, words.language))
                    for ticket in tickets.get(device_id, ())
                ],
            }
            for device_id in incident.device_ids[:500]
        ],
    }


def _row(
    services: ApiServices, incident: Incident, bundles: Mapping[DeviceId, DeviceBundle], words: Words
) -> IncidentRow:
    now = services.clock.now()
    stage = "running" if incident.closed_at is None else "over"
    if stage == "over" and incident.settled_at is not None and incident.settled_at > now:
        stage = "settling"
    first = next((bundles[each] for each in incident.device_ids if each in bundles), None)
    return IncidentRow(
        incident=incident,
        what=words.t(f"incidents.kind.{incident.kind.value}"),
        where=_where(incident, first, words),
        devices=len(incident.device_ids),
        stage=stage,
        tone=_TONES[stage],
    )


def _where(incident: Incident, first: DeviceBundle | None, words: Words) -> str:
    """Return the site, the model, or the fleet in words."""
    if incident.kind is IncidentKind.SITE:
        return _place_of(first) or incident.subject
    if incident.kind is IncidentKind.MODEL:
        return _model_of(first, words)
    return words.t("incidents.whole_fleet")


def _model_of(bundle: DeviceBundle | None, words: Words) -> str:
    return bundle.device.model_name or words.t("device.unnamed") if bundle else words.t("device.unnamed")


def _place_of(bundle: DeviceBundle | None) -> str:
    if bundle is None or bundle.site is None:
        return ""
    customer = bundle.customer.name if bundle.customer else ""
    return " · ".join(part for part in (customer, bundle.site.name) if part)
