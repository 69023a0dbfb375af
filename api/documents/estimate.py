"""The estimate before a repair: what it will probably cost, how the price comes about, and what is asked of the customer."""

from decimal import Decimal

from api.documents.money_papers import money, price_section
from api.documents.work_order import Paper, Section
from api.pages.supply_view import Words
from api.pages.ticket_view import place_of
from api.services import ApiServices
from api.wording import ticket_title
from crm_core.domain.fieldwork import Estimate, EstimateState
from crm_core.domain.identity import DeviceId, TicketId, ticket_number
from crm_core.ports import UnitOfWork


def estimate_paper(services: ApiServices, uow: UnitOfWork, estimate: Estimate, words: Words) -> Paper:
    """Return the paper of an estimate (requirements 62, 75): total, likely range with its basis, lines with formulas."""
    bundle = uow.devices.bundle(estimate.tenant, DeviceId(estimate.device_id))
    ticket = uow.tickets.get(estimate.tenant, TicketId(estimate.ticket_id))
    number = ticket_number(ticket.ticket_id)
    facts = [
        (words.t("fact.customer"), place_of(bundle)),
        (words.t("fact.model"), bundle.device.model_name),
        (words.t("fact.serial"), bundle.device.serial),
        (_t(words, "ticket"), f"{number} · {ticket_title(ticket, words.messages, words.language)}"),
        (_t(words, "work"), words.text(f"billing.item.{estimate.item}")),
        (_t(words, "offered"), words.formats.stamp(estimate.offered_at)),
        (words.text("billing.page.policy"), estimate.price.policy_version),
    ]
    return Paper(
        number=f"E-{estimate.estimate_id:06d}",
        title=_t(words, "title"),
        subtitle=_t(words, f"state_{estimate.state.value}"),
        link=f"{services.settings.public_url.rstrip('/')}/e/{estimate.estimate_id}",
        facts=[(label, value) for label, value in facts if value],
        sections=[
            price_section(estimate.price, _t(words, "price"), words),
            Section(heading=_t(words, "good_to_know"), lines=notes_of(estimate, words)),
        ],
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def notes_of(estimate: Estimate, words: Words) -> list[str]:
    """Return the range with what it rests on, and what happened or is asked next."""
    low, high = _yuan(estimate.low), _yuan(estimate.high)
    basis = "range_repairs" if estimate.basis else "range_list"
    notes = [_t(words, basis, low=low, high=high, repairs=words.formats.number(estimate.basis))]
    if estimate.state is EstimateState.OFFERED:
        notes.append(_t(words, "consent"))
    if estimate.decided_at is not None:
        notes.append(
            _t(words, "decided", by=estimate.decided_by, at=words.formats.stamp(estimate.decided_at))
        )
    if estimate.payment_method is not None:
        method = words.text(f"billing.channel.{estimate.payment_method}")
        notes.append(_t(words, "payment", method=method))
    return notes


def _yuan(amount: Decimal) -> str:
    return f"CNY {money(amount)}"


def _t(words: Words, key: str, **arguments: object) -> str:
    return words.text(f"billing.estimate.{key}", **arguments)
