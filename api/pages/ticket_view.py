"""The board of tickets and the page of one ticket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from api.access import Principal
from api.pages.foresight_view import ticket_forecast
from api.pages.marks import marks_of
from api.pages.receivers import receiver_names
from api.pages.supply_view import Words
from api.pages.used_parts import causes_of_repairs
from api.schemas.notices import NoticeBody
from api.schemas.service import next_clock
from api.service_lists import list_tickets
from api.services import ApiServices
from api.wording import clock_reasons, guide_steps
from crm_core.billing.charges import price_list
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import DeviceId
from crm_core.domain.notices import ReceiverKind
from crm_core.domain.service import OPEN_STATES, Role, SlaClock, Ticket, TicketLevel, TicketState
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter
from crm_core.ticket_opening import held_until
from crm_core.ticket_states import Move, possible_moves

_LANES: Final[tuple[tuple[str, frozenset[TicketState]], ...]] = (
    ("new", frozenset({TicketState.NEW, TicketState.HELD})),
    ("planned", frozenset({TicketState.TRIAGED, TicketState.SCHEDULED})),
    ("doing", frozenset({TicketState.IN_PROGRESS, TicketState.ESCALATED})),
    ("waiting", frozenset({
        TicketState.WAITING_CUSTOMER, TicketState.WAITING_PARTS, TicketState.WAITING_ACCESS, TicketState.RESOLVED_UNVERIFIED,
    })),
)  # fmt: skip
LANE_ROWS: Final = 25
_MOST: Final = 2000
_MESSAGES: Final = 50
#: What the form of the page offers where the ticket's state allows it; taking up and cancelling have their own.
BY_HAND: Final = frozenset(
    {
        Move.PROPOSE,
        Move.FIX_BY_PHONE,
        Move.CALL_BACK,
        Move.WAIT_CUSTOMER,
        Move.WAIT_PARTS,
        Move.WAIT_ACCESS,
        Move.RESUME,
        Move.CANNOT_FIX,
    }
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One ticket on the board."""

    ticket: Ticket
    clock: SlaClock | None
    place: str
    model: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One column of the board: its most urgent tickets, and how many there are."""

    key: str
    rows: tuple[Tile, ...]
    count: int


def board_context(
    uow: UnitOfWork, principal: Principal, words: Words, level: TicketLevel | None
) -> dict[str, Any]:
    """Return the board: open tickets by where they stand, the next promise first."""
    everything = list_tickets(principal, uow, TicketFilter(states=OPEN_STATES, limit=_MOST))
    shown = [ticket for ticket in everything if level in (None, ticket.level)]
    bundles = {bundle.device.device_id: bundle for bundle in uow.devices.bundles(principal.tenant)}
    counts = {each: sum(ticket.level is each for ticket in everything) for each in TicketLevel}
    filters = [("all", "/tickets", level is None, len(everything))]
    filters += [
        (each.value, f"/tickets?level={each.value}", level is each, counts[each]) for each in TicketLevel
    ]
    return {
        "total": len(everything),
        "filters": filters,
        "marks": marks_of(uow, principal),
        "lanes": [_lane(key, states, shown, bundles, words) for key, states in _LANES],
    }


def _lane(
    key: str,
    states: frozenset[TicketState],
    tickets: Sequence[Ticket],
    bundles: Mapping[DeviceId, DeviceBundle],
    words: Words,
) -> Lane:
    """Return one column."""
    mine = sorted((ticket for ticket in tickets if ticket.state in states), key=_urgency)
    return Lane(key, tuple(_tile(ticket, bundles, words) for ticket in mine[:LANE_ROWS]), len(mine))


def _urgency(ticket: Ticket) -> tuple[bool, float]:
    """Return the sort key: the next promise, tickets without one last."""
    clock = next_clock(ticket)
    return clock is None, clock.due_at.timestamp() if clock else -ticket.raised_at.timestamp()


def _tile(ticket: Ticket, bundles: Mapping[DeviceId, DeviceBundle], words: Words) -> Tile:
    """Return one ticket with its place."""
    bundle = bundles.get(ticket.device_id)
    place = place_of(bundle)
    model = bundle.device.model_name if bundle and bundle.device.model_name else words.t("device.unnamed")
    return Tile(ticket, next_clock(ticket), place, model)


def place_of(bundle: DeviceBundle | None) -> str:
    """Return customer and site in a line."""
    if bundle is None:
        return "–"
    parts = (bundle.customer.name if bundle.customer else None, bundle.site.name if bundle.site else None)
    return " · ".join(part for part in parts if part) or "–"


def ticket_context(
    services: ApiServices, uow: UnitOfWork, principal: Principal, ticket: Ticket, words: Words
) -> dict[str, Any]:
    """Return everything that the page of one ticket shows."""
    bundle = uow.devices.bundle(ticket.tenant, ticket.device_id)
    which = WorkOrderFilter(device_id=ticket.device_id, limit=200)
    orders = [
        order
        for order in uow.work_orders.list(ticket.tenant, which)
        if ticket.ticket_id in order.ticket_ids
        and (principal.role is not Role.TECHNICIAN or order.technician_id == principal.technician_id)
    ]
    technicians = {person.technician_id: person.name for person in uow.technicians.all(ticket.tenant)}
    return {
        "ticket": ticket,
        "clock_whys": {
            clock.kind.value: clock_reasons(clock, ticket, services.policy, words.messages, words.language)
            for clock in ticket.clocks
        },
        "place": _place_facts(bundle, words),
        "orders": orders,
        "names": technicians,
        "guide": guide_steps(orders[0], words.messages, words.language) if orders else [],
        "may_change": principal.role is not Role.TECHNICIAN,
        "moves": [move for move in possible_moves(ticket.state) if move in BY_HAND],
        **_telling(services, uow, ticket, words),
        "held_until": held_until(ticket),
        "estimates": uow.fieldwork.estimates.where(ticket.tenant, ticket_id=ticket.ticket_id),
        "items": [each.item for each in price_list(services.policy.billing)]
        if ticket.is_open and ticket.customer_id
        else [],
        "causes": causes_of_repairs(services),
        "forecast": ticket_forecast(uow, ticket, words),
    }


def _telling(services: ApiServices, uow: UnitOfWork, ticket: Ticket, words: Words) -> dict[str, Any]:
    """Return the messages about a ticket, and who was told of promises at risk."""
    found = uow.notices.list(ticket.tenant, subject=f"ticket:{ticket.ticket_id}", limit=_MESSAGES)
    shares = services.policy.sla.escalation
    rows = [
        NoticeBody.of(replace(each, language=words.language), words.messages, services.settings.time_zone)
        for each in found
        if each.receiver_kind is not ReceiverKind.PROGRAM
    ]
    return {
        "messages": rows,
        "receivers": receiver_names(uow, ticket.tenant, rows),
        "escalations": uow.notices.escalations(ticket.tenant, ticket.ticket_id),
        "shares": {step: round(100 * share) for step, share in shares.items()},
    }


def _place_facts(bundle: DeviceBundle, words: Words) -> list[tuple[str, str]]:
    """Return where the device is and whom to call; what is not known is left out."""
    customer, site = bundle.customer, bundle.site
    rows = [
        ("model", bundle.device.model_name),
        ("serial", bundle.device.serial),
        ("customer", customer.name if customer else None),
        ("tier", words.term("tier", customer.tier.value) if customer else None),
        ("site", site.name if site else None),
        ("address", site.address if site else None),
        ("contact", customer.contact_name if customer else None),
        ("phone", customer.phone if customer else None),
    ]
    return [(label, value) for label, value in rows if value]
