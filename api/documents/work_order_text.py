"""Puts one work order into the words of its paper."""

from api.documents.work_order import Paper, Section
from api.pages.device_view import troubles_of
from api.pages.order_view import part_name, what_of
from api.pages.supply_view import Words
from api.pages.ticket_view import place_of
from api.services import ApiServices
from api.wording import evidence_text, guide_steps, ticket_title
from crm_core.domain.fleet import DeviceBundle
from crm_core.domain.identity import work_order_number
from crm_core.domain.service import Ticket, WorkOrder
from crm_core.domain.telemetry import DeviceReading
from crm_core.ports import UnitOfWork


def paper_of(
    services: ApiServices,
    uow: UnitOfWork,
    order: WorkOrder,
    reading: DeviceReading | None,
    words: Words,
    link: str,
) -> Paper:
    """Return the paper of a work order with a QR code for `link`; what is not known is left out."""
    bundle = uow.devices.bundle(order.tenant, order.device_id)
    tickets = [uow.tickets.get(order.tenant, key) for key in order.ticket_ids]
    person = uow.technicians.find(order.tenant, order.technician_id) if order.technician_id else None
    formats = words.formats
    return Paper(
        number=work_order_number(order.work_order_id),
        title=what_of(order, bundle, words),
        subtitle=f"{words.t('clock.due', at=formats.stamp(order.due_at))} · {person.name if person else words.t('order.nobody')}",
        link=link,
        facts=_facts(bundle, words),
        sections=_sections(order, tickets, reading, words),
        foot=words.t("paper.made", at=formats.stamp(services.clock.now())),
    )


def _facts(bundle: DeviceBundle, words: Words) -> list[tuple[str, str]]:
    """Return where to go and whom to call."""
    site, customer, device = bundle.site, bundle.customer, bundle.device
    rows = [
        ("customer", place_of(bundle)),
        ("address", site.address if site else None),
        ("access", site.access_notes if site else None),
        ("contact", customer.contact_name if customer else None),
        ("phone", customer.phone if customer else None),
        ("model", device.model_name),
        ("serial", device.serial),
        ("asset_tag", device.asset_tag),
    ]
    return [(words.t(f"fact.{label}"), value) for label, value in rows if value]


def _sections(
    order: WorkOrder, tickets: list[Ticket], reading: DeviceReading | None, words: Words
) -> list[Section]:
    """Return why, what to bring, what the machine says, the steps, and room to write."""
    why = []
    for ticket in tickets:
        observed = [evidence_text(row, words.messages, words.language) for row in ticket.evidence[-1:]]
        why.append(" · ".join([ticket_title(ticket, words.messages, words.language), *observed]))
    bring = []
    for part in order.parts:
        note = words.messages.unpacked(words.language, part.note)
        texts = (f"{part.quantity} × {part_name(words, part)}", part.part_number, note)
        bring.append(" · ".join(text for text in texts if text))
    says = [trouble.text for trouble in troubles_of(words, reading)]
    sections = [Section(heading=words.t("order.why"), lines=why)]
    if bring:
        sections.append(Section(heading=words.t("order.bring"), lines=bring))
    if says:
        sections.append(Section(heading=words.t("order.device_now"), lines=says))
    steps = guide_steps(order, words.messages, words.language)
    sections.append(Section(heading=words.t("order.guide"), lines=steps, numbered=True))
    sections.append(Section(heading=words.t("paper.done"), blank_lines=4))
    return sections
