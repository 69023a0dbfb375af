"""Campaigns: when the same new fault appears on many devices of one model, one ticket replaces their visits.

A bad firmware breaks a whole model within hours. Sending a technician to each device helps nobody: the first step is
remote. Tickets that were raised before the campaign existed are merged into it and their visits cancelled; later ones
are held back by the model's incident until the campaign ticket is closed. The firmware itself is not asked for: a burst
of one fault over a share of a model is the sign (story 8 of the reference).
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import TenantId, TicketId, ticket_number
from crm_core.domain.policy import PolicyBook, TriagePolicy
from crm_core.domain.service import (
    OPEN_STATES,
    Incident,
    IncidentKind,
    Ticket,
    TicketEvent,
    TicketLevel,
    TicketState,
    WorkOrderState,
)
from crm_core.incidents import campaign_subject, close_incident
from crm_core.ports import DeviceFilter, TicketFilter, UnitOfWork
from crm_core.sla import clocks_for
from crm_core.ticket_states import MACHINE, Move, moved
from crm_core.visits import take_off_visit

PREFIX: Final = "campaign."
_ALL: Final = 100_000
_STARTED: Final = frozenset({WorkOrderState.EN_ROUTE, WorkOrderState.ON_SITE})


def perhaps_start(
    uow: UnitOfWork, ticket: Ticket, bundle: DeviceBundle, now: datetime, policy: PolicyBook
) -> Ticket | None:
    """Start a campaign if the ticket just opened is one too many of its kind; return the campaign's ticket."""
    if not ticket.cause.startswith("fault.") or bundle.device.model_id is None:
        return None
    alike = _alike(uow, ticket, bundle.device.model_id, now, policy.triage)
    if not alike:
        return None
    incident = Incident(
        tenant=ticket.tenant,
        incident_id=0,
        kind=IncidentKind.MODEL,
        subject=campaign_subject(bundle, ticket.cause),
        opened_at=now,
        device_ids=tuple(sorted(each.device_id for each in alike)),
    )
    opened = uow.incidents.open_unless_covered(incident)
    if opened is None:
        return None
    campaign = _open(uow, ticket, bundle, len(alike), now, policy)
    uow.incidents.save(replace(opened, note=ticket_number(campaign.ticket_id)))
    for each in alike:
        _merge(uow, each, campaign, now, policy)
    return campaign


def _alike(
    uow: UnitOfWork, ticket: Ticket, model_id: str, now: datetime, policy: TriagePolicy
) -> list[Ticket]:
    """Return the open tickets of the same new fault on the model; none while they are too few for a campaign.

    Counts come first: a flood must not read the fleet and all its tickets for each new ticket.
    """
    tenant, since = ticket.tenant, now - policy.campaign_window
    recent = uow.tickets.raised_between(tenant, since, now + timedelta(microseconds=1), cause=ticket.cause)
    if recent < policy.campaign_devices:
        return []
    of_model = uow.devices.number_of_model(tenant, model_id)
    enough = max(policy.campaign_devices, int(policy.campaign_share * of_model) + 1)
    if recent < enough:
        return []
    which = TicketFilter(states=frozenset(OPEN_STATES), cause=ticket.cause, raised_since=since, limit=_ALL)
    open_ones = uow.tickets.list(tenant, which)
    names = frozenset(str(each.device_id) for each in open_ones)
    found = uow.devices.search(tenant, DeviceFilter(model_id=model_id, device_ids=names))
    members = {each.device.device_id for each in found}
    alike = [each for each in open_ones if each.device_id in members]
    return alike if len(alike) >= enough else []


def close_finished(uow: UnitOfWork, tenant: TenantId, now: datetime, policy: PolicyBook) -> int:
    """End the incidents of campaigns whose ticket is closed; then still-bad devices get their own tickets."""
    closed = 0
    for incident in uow.incidents.open_ones(tenant):
        if incident.kind is not IncidentKind.MODEL:
            continue
        ticket_id = TicketId(int(incident.note.removeprefix("T-")))  # as `perhaps_start` noted it
        if not uow.tickets.get(tenant, ticket_id).is_open:
            close_incident(uow, incident, now, policy.triage)
            closed += 1
    return closed


def _open(
    uow: UnitOfWork, first: Ticket, bundle: DeviceBundle, devices: int, now: datetime, policy: PolicyBook
) -> Ticket:
    """Open the campaign's ticket at the device that made it clear: a remote step first, so level 1."""
    campaign = replace(
        first,
        ticket_id=TicketId(0),
        cause=f"{PREFIX}{first.cause}",
        category="campaign",
        level=TicketLevel.L1,
        state=TicketState.NEW,
        title_key="tickets.title.campaign",
        detail={
            "model": bundle.device.model_id,
            "devices": devices,
            "cause": first.cause,
            "name": first.detail.get("name"),
        },
        raised_at=now,
        changed_at=now,
        clocks=clocks_for(
            policy.sla,
            policy.version,
            level=TicketLevel.L1,
            customer=bundle.customer,
            contract=bundle.contract,
            start=now,
        ),
        events=(
            TicketEvent(at=now, actor=MACHINE, event="raise", from_state=None, to_state=TicketState.NEW),
        ),
    )
    opened = uow.tickets.open_unless_covered(campaign)
    assert opened is not None  # the model's incident is unique, and so is its ticket
    return opened


def _merge(uow: UnitOfWork, ticket: Ticket, campaign: Ticket, now: datetime, policy: PolicyBook) -> None:
    """Merge a ticket into the campaign, unless somebody is at the device already."""
    order = uow.work_orders.active_for_ticket(ticket.tenant, ticket.ticket_id)
    if order is not None and order.state in _STARTED:
        return
    note = f"campaign {ticket_number(campaign.ticket_id)}"
    merged = moved(ticket, Move.MERGE, at=now, actor=MACHINE, sla=policy.sla, note=note)
    take_off_visit(uow, uow.tickets.save(merged), note)
