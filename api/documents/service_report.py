"""The monthly service report of a customer: what was printed, what went wrong, how fast it was put right."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from api.documents.work_order import Paper, Section
from api.meters import pages_by_day
from api.pages.order_view import what_of
from api.pages.supply_view import Words
from api.services import ApiServices
from api.wording import ticket_title
from crm_core.domain.fleet import Customer, DeviceBundle
from crm_core.domain.identity import DeviceId, ticket_number, work_order_number
from crm_core.domain.service import ClockKind, SlaClock, Ticket, TicketState, WorkOrder, WorkOrderState
from crm_core.ports import TicketFilter, UnitOfWork, WorkOrderFilter

_MOST: Final = 10_000
_LINES: Final = 200
_EPOCH: Final = date(1970, 1, 1)
_SILENT: Final = frozenset({TicketState.MERGED, TicketState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month at a place: its days and the instants that bound it."""

    first: date
    after: date
    starts: datetime
    ends: datetime

    @classmethod
    def of(cls, first: date, zone: ZoneInfo) -> "Month":
        """Return the month of a day."""
        first = first.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        starts, ends = (datetime.combine(day, time.min, zone).astimezone(UTC) for day in (first, after))
        return cls(first, after, starts, ends)

    def has(self, instant: datetime | None) -> bool:
        """Return True for an instant within the month."""
        return instant is not None and self.starts <= instant < self.ends


def service_report(
    services: ApiServices, uow: UnitOfWork, customer: Customer, month: Month, words: Words
) -> Paper:
    """Return the paper; what is not known is left out, nothing is estimated."""
    which = TicketFilter(customer_id=customer.customer_id, limit=_MOST)
    tickets = [
        ticket
        for ticket in uow.tickets.list(customer.tenant, which)
        if month.has(ticket.raised_at) and ticket.state not in _SILENT
    ]
    orders = uow.work_orders.list(
        customer.tenant, WorkOrderFilter(customer_id=customer.customer_id, limit=_MOST)
    )
    visits = [row for row in orders if row.state is WorkOrderState.DONE and month.has(row.done_at)]
    bundles = [
        row for row in uow.devices.bundles(customer.tenant) if row.device.customer_id == customer.customer_id
    ]
    pages = {row.device.device_id: _pages(services, row, month) for row in bundles}
    return Paper(
        number=words.formats.month(month.first),
        title=words.t("report.title", customer=customer.name),
        subtitle=words.t("report.subtitle"),
        link=f"{services.settings.public_url.rstrip('/')}/my",
        facts=_facts(words, bundles, pages, tickets, visits),
        sections=[
            Section(heading=words.t("report.devices"), lines=_device_lines(words, bundles, pages)),
            Section(heading=words.t("report.tickets"), lines=_ticket_lines(words, tickets, bundles)),
            Section(heading=words.t("report.visits"), lines=_visit_lines(words, visits, bundles)),
        ],
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def _pages(services: ApiServices, bundle: DeviceBundle, month: Month) -> int | None:
    """Return the pages of a device within the month, None when it told nothing."""
    first, after = (month.first - _EPOCH).days, (month.after - _EPOCH).days
    rows = list(
        services.store.daily_meters(bundle.device.tenant, first - 31, after - 1, bundle.device.device_id)
    )
    by_day = pages_by_day(rows)
    found = [pages for day, pages in by_day.items() if first <= day < after]
    return round(sum(found)) if found else None


def _facts(
    words: Words,
    bundles: list[DeviceBundle],
    pages: dict[DeviceId, int | None],
    tickets: list[Ticket],
    visits: list[WorkOrder],
) -> list[tuple[str, str]]:
    number = words.formats.number
    responses = [clock for ticket in tickets if (clock := ticket.clock(ClockKind.RESPOND)) and clock.met_at]
    restores = [clock for ticket in tickets if (clock := ticket.clock(ClockKind.RESTORE)) and clock.met_at]
    known = [count for count in pages.values() if count is not None]
    silent = len(bundles) - len(known)
    rows = [
        ("devices", number(len(bundles))),
        ("pages", number(sum(known)) + (words.t("report.silent", count=silent) if silent else "")),
        ("tickets_raised", number(len(tickets))),
        ("visits_done", number(len(visits))),
        ("answered", _kept(words, responses)),
        ("restored", _kept(words, restores)),
    ]
    return [(words.t(f"report.{name}"), value) for name, value in rows]


def _kept(words: Words, clocks: list[SlaClock]) -> str:
    """Return how many promises were kept, out of how many, and the mean time."""
    if not clocks:
        return words.t("quality.nothing")
    kept = sum(clock.met_at is not None and clock.met_at <= clock.due_at for clock in clocks)
    spans = [clock.met_at - clock.started_at for clock in clocks if clock.met_at is not None]
    mean = sum(spans, timedelta()) / len(spans)
    number = words.formats.number
    return words.t("report.kept", met=number(kept), total=number(len(clocks)), mean=words.formats.span(mean))


def _device_lines(words: Words, bundles: list[DeviceBundle], pages: dict[DeviceId, int | None]) -> list[str]:
    ordered = sorted(bundles, key=lambda row: -(pages[row.device.device_id] or -1))
    lines = []
    for row in ordered[:_LINES]:
        device, count = row.device, pages[row.device.device_id]
        told = words.t("report.page_count", count=words.formats.number(count)) if count is not None else "–"
        name = device.model_name or device.device_id
        parts = (name, device.serial or "", row.site.name if row.site else "", told)
        lines.append(" · ".join(part for part in parts if part))
    return lines or [words.t("quality.nothing")]


def _ticket_lines(words: Words, tickets: Iterable[Ticket], bundles: list[DeviceBundle]) -> list[str]:
    models = {row.device.device_id: row.device.model_name or row.device.device_id for row in bundles}
    lines = []
    for ticket in sorted(tickets, key=lambda each: each.raised_at)[:_LINES]:
        restore = ticket.clock(ClockKind.RESTORE)
        done = (
            words.t("report.after", span=words.formats.span(restore.met_at - ticket.raised_at))
            if restore is not None and restore.met_at is not None
            else words.t(f"state.{ticket.state.value}")
        )
        title = ticket_title(ticket, words.messages, words.language)
        model = models.get(ticket.device_id, ticket.device_id)  # a device may have gone since
        day, number = words.formats.day(ticket.raised_at), ticket_number(ticket.ticket_id)
        lines.append(f"{day} · {number} · {model} · {title} · {done}")
    return lines or [words.t("report.no_tickets")]


def _visit_lines(words: Words, visits: Iterable[WorkOrder], bundles: list[DeviceBundle]) -> list[str]:
    known = {row.device.device_id: row for row in bundles}
    lines = []
    for order in sorted(visits, key=lambda each: each.done_at or each.created_at)[:_LINES]:
        what = what_of(order, known.get(order.device_id), words)
        lines.append(
            f"{words.formats.day(order.done_at)} · {work_order_number(order.work_order_id)} · {what}"
        )
    return lines or [words.t("report.no_visits")]
