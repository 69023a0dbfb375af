"""The proposal on paper: what the customer asked for, the device that answers it with the reasons, and the money (7, 113)."""

from typing import Final

from api.documents.money_papers import money
from api.documents.work_order import Paper, Section
from api.pages.supply_view import Words
from api.services import ApiServices
from crm_core.domain.credit import Proposal, Remark, RentalRequest
from crm_core.domain.fleet import Customer

_OTHERS: Final = 3
_FIGURES: Final = frozenset({"volume", "dpi", "list_price"})  # reasons that are no features


def proposal_paper(
    services: ApiServices, request: RentalRequest, proposal: Proposal, customer: Customer | None, words: Words
) -> Paper:
    """Return the paper of a proposal; needs stand with their priority, reasons beside the device."""
    say = words.text
    chosen = next((row for row in proposal.ranking if row.model_id == proposal.model_id), None)
    others = [row for row in proposal.ranking if row.model_id != proposal.model_id and not row.refused]
    needs = [
        say(f"money.proposal.priority_{priority}", need=_feature(feature, words))
        for feature, priority in sorted(request.needs.items(), key=lambda row: (-row[1], row[0]))
    ]
    sections = [
        Section(
            heading=say("money.proposal.asked"),
            lines=[
                say("money.proposal.pages", mono=request.pages_mono, colour=request.pages_colour),
                *needs,
            ],
        ),
        Section(
            heading=say("money.proposal.money"),
            amounts=[
                (
                    say("money.proposal.rent", number=proposal.quantity),
                    f"CNY {money(proposal.monthly_rent * proposal.quantity)}",
                ),
                (say("money.field.deposit"), f"CNY {money(proposal.deposit)}"),
            ],
        ),
    ]
    if chosen is not None:
        reasons = [_reason(remark, words) for remark in chosen.remarks]
        sections.insert(1, Section(heading=say("money.proposal.why"), lines=reasons))
    if others:
        names = [f"{row.name} · {row.points}" for row in others[:_OTHERS]]
        sections.append(Section(heading=say("money.proposal.others"), lines=names))
    return Paper(
        number=f"P-{request.request_id:06d}",
        title=say("money.proposal.title"),
        subtitle=chosen.name if chosen else proposal.model_id,
        link=f"{services.settings.public_url}/customers/{request.customer_id}",
        facts=[
            (say("money.field.customer"), customer.name if customer else request.customer_id),
            (say("money.field.devices"), f"{proposal.quantity}"),
            (say("money.field.starts_on"), proposal.starts_on.isoformat()),
            (say("money.field.months"), f"{proposal.months}"),
            (say("billing.page.cycle"), say("billing.contract.months", months=proposal.payment_months)),
        ],
        sections=sections,
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def _feature(name: str, words: Words) -> str:
    """Return a feature in words."""
    return words.text(f"care.feature.{name}")


def _reason(remark: Remark, words: Words) -> str:
    """Return one reason of the ranking in words."""
    apart = remark.feature in _FIGURES
    feature = words.text(f"money.proposal.{remark.feature}") if apart else _feature(remark.feature, words)
    return words.text(f"money.proposal.{remark.kind}", feature=feature, detail=remark.detail)
