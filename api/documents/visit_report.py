"""The repair report: what was found and done, parts, time, counters and evidence; its lines are those of the charge (69)."""

from collections.abc import Mapping, Sequence

from api.documents.money_papers import price_section
from api.documents.work_order import Paper, Section
from api.pages.order_view import what_of
from api.pages.supply_view import Words
from api.pages.ticket_view import place_of
from api.services import ApiServices
from api.wording import note_text, ticket_title
from crm_core.domain.fieldwork import Attachment, AttachmentKind, VisitRecord
from crm_core.domain.identity import work_order_number
from crm_core.domain.service import WorkOrder
from crm_core.ports import UnitOfWork


def report_of(
    services: ApiServices,
    uow: UnitOfWork,
    order: WorkOrder,
    visit: VisitRecord,
    files: Sequence[Attachment],
    words: Words,
) -> Paper:
    """Return the paper of a visit; what is not known is left out."""
    bundle = uow.devices.bundle(order.tenant, order.device_id)
    person = uow.technicians.find(order.tenant, order.technician_id) if order.technician_id else None
    tickets = [uow.tickets.get(order.tenant, key) for key in order.ticket_ids]
    formats = words.formats
    rows = [
        ("fact.customer", place_of(bundle)),
        ("fact.model", bundle.device.model_name),
        ("fact.serial", bundle.device.serial),
        ("order.technician", person.name if person else None),
        ("visit.began", formats.stamp(order.started_at) if order.started_at else None),
        ("visit.ended", formats.stamp(order.done_at) if order.done_at else None),
        ("visit.counters", _counters(order)),
        ("visit.labour", words.t("visit.minutes", n=visit.labour_minutes) if visit.labour_minutes else None),
    ]
    return Paper(
        number=work_order_number(order.work_order_id),
        title=words.t("visit.report"),
        subtitle=what_of(order, bundle, words),
        link=f"{services.settings.public_url}/work-orders/{order.work_order_id}",
        facts=[(words.t(key), value) for key, value in rows if value],
        sections=_sections(
            order,
            visit,
            files,
            [ticket_title(t, words.messages, words.language) for t in tickets],
            words,
            {str(person.technician_id): person.name} if person else {},
        ),
        foot=words.t("paper.made", at=formats.stamp(services.clock.now())),
    )


def _counters(order: WorkOrder) -> str | None:
    if order.count_before is None or order.count_after is None:
        return None
    return f"{order.count_before:,} → {order.count_after:,}"


def _cause_words(words: Words, cause: str | None) -> str | None:
    """Return the cause that was found in words: a part, or a family of causes with its part; others stay as written."""
    if cause is None:
        return None
    family, dot, part = cause.partition(".")
    named = words.t(f"cause.{family}") if dot else ""
    if named.startswith("pages."):
        return cause
    return " · ".join(filter(None, (named, words.term("component", part if dot else cause))))


def _sections(
    order: WorkOrder,
    visit: VisitRecord,
    files: Sequence[Attachment],
    titles: Sequence[str],
    words: Words,
    names: Mapping[str, str],
) -> list[Section]:
    outcome = words.t(f"outcome.{order.outcome}") if order.outcome else None
    said = note_text(order.note, words.messages, words.language) if order.note else ""
    found = [outcome, _cause_words(words, order.confirmed_cause), said]
    parts = [
        f"{part.quantity} × {words.term('kind', part.kind)} {part.part_number or ''} {part.serial or ''}".strip()
        for part in visit.parts
    ]
    checks = [
        f"{words.t(f'check.{mark.check}')} · {names.get(mark.by, mark.by)} · {words.formats.stamp(mark.at)}"
        for mark in visit.checks
    ]
    photos = sum(each.kind is AttachmentKind.PHOTO for each in files)
    evidence = [words.t("visit.photos", n=photos)] if photos else []
    if visit.signed_by:
        evidence.append(words.t("visit.signed", name=visit.signed_by))
    evidence += [
        words.t("visit.hash", sha=each.sha256[:16]) for each in files if each.kind is AttachmentKind.SIGNATURE
    ]
    sections = [
        (words.t("order.why"), titles),
        (words.t("visit.found"), [each for each in found if each]),
        (words.t("visit.parts"), parts),
        (words.t("visit.checks"), checks),
        (words.t("visit.evidence"), evidence),
    ]
    shown = [Section(heading=heading, lines=lines) for heading, lines in sections if lines]
    if visit.price is not None:
        shown.append(price_section(visit.price, words.t("visit.cost"), words))
    return shown
