"""Invoices, receipts, contract summaries and the price list on paper, in the reader's language."""

from datetime import date
from decimal import Decimal

from api.documents.work_order import Paper, Section
from api.pages.supply_view import Words
from api.services import ApiServices
from crm_core.billing.charges import PriceListRow
from crm_core.domain.billing import DeviceUsage, Invoice, MeterPoint, Payment, Quality
from crm_core.domain.charges import RepairPrice
from crm_core.domain.contracts import Agreement
from crm_core.domain.fleet import Customer
from crm_core.domain.meter_statements import source_of


def money(amount: Decimal) -> str:
    """Return an amount as people write it: 1,234.50."""
    return f"{amount:,.2f}"


def invoice_paper(services: ApiServices, invoice: Invoice, customer: Customer | None, words: Words) -> Paper:
    """Return an invoice with every line, what is open, and the readings behind its pages."""
    messages, language = services.messages, words.language
    lines = [(messages.unpacked(language, line.text), money(line.amount)) for line in invoice.lines]
    totals = [(_t(words, "total"), f"{invoice.currency} {money(invoice.total)}")]
    if invoice.paid or invoice.credited:
        totals.append((_t(words, "outstanding"), f"{invoice.currency} {money(invoice.outstanding)}"))
    parts = [(part.due_on.isoformat(), money(part.amount)) for part in invoice.instalments]
    sections = [Section(heading=_t(words, "lines"), amounts=lines, totals=totals)]
    if parts:
        sections.append(Section(heading=_t(words, "instalments"), amounts=parts))
    if invoice.usage:
        sections.append(
            Section(
                heading=_t(words, "evidence"),
                lines=[line for used in invoice.usage for line in usage_lines(used, words)],
            )
        )
    facts = [
        (_t(words, "customer"), customer.name if customer else invoice.customer_id),
        (_t(words, "contract"), invoice.contract_id or ""),
        (_t(words, "period"), f"{invoice.period_from} – {invoice.period_to}"),
        (_t(words, "issued"), invoice.issued_on.isoformat()),
        (_t(words, "due"), invoice.due_on.isoformat()),
        (_t(words, "state"), messages.text(language, f"billing.state.{invoice.state.value}")),
    ]
    return Paper(
        number=invoice.invoice_number,
        title=messages.text(language, f"billing.kind.{invoice.kind.value}"),
        subtitle=f"{invoice.currency} {money(invoice.total)}",
        link=f"{services.settings.public_url}/invoices/{invoice.invoice_number}",
        facts=[(label, value) for label, value in facts if value],
        sections=sections,
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def usage_lines(used: DeviceUsage, words: Words) -> list[str]:
    """Return the evidence of one device's month: each stretch with the two readings at its ends."""
    lines = [
        words.messages.text(
            words.language,
            "billing.evidence.device",
            device=used.device_id,
            month=f"{used.month:%Y-%m}",
            mono=words.formats.number(used.mono),
            colour=words.formats.number(used.colour),
        )
    ]
    for row in used.segments:
        flag = words.messages.text(words.language, f"billing.flag.{row.flag.split()[0]}") if row.flag else ""
        lines.append(
            words.messages.text(
                words.language,
                "billing.evidence.segment",
                opening=_point(row.opening, words),
                closing=_point(row.closing, words),
                pages=words.formats.number(row.mono + row.colour),
                flag=flag,
            )
        )
    return lines


def price_section(price: RepairPrice, heading: str, words: Words) -> Section:
    """Return the lines of a repair's price with their formulas, and the rule where less is charged than that comes to."""
    totals = [(_t(words, "total"), f"CNY {money(price.total)}")]
    return Section(heading=heading, amounts=price_lines(price, words), totals=totals)


def price_lines(price: RepairPrice, words: Words) -> list[tuple[str, str]]:
    """Return each line of a repair's price as (what, formula and rule in words; amount)."""
    return [
        (
            " · ".join(
                filter(
                    None,
                    (
                        words.messages.unpacked(words.language, line.text).strip(),
                        line.formula,
                        words.text(f"billing.rule.{line.rule.value}") if line.rule else "",
                    ),
                )
            ),
            money(line.amount),
        )
        for line in price.lines
    ]


def receipt_paper(
    services: ApiServices, payment: Payment, invoice: Invoice, customer: Customer | None, words: Words
) -> Paper:
    """Return the receipt of one payment."""
    messages, language = services.messages, words.language
    number = f"R-{payment.payment_id:06d}"
    return Paper(
        number=number,
        title=_t(words, "receipt"),
        subtitle=f"{invoice.currency} {money(payment.amount)}",
        link=f"{services.settings.public_url}/invoices/{invoice.invoice_number}",
        facts=[
            (_t(words, "customer"), customer.name if customer else payment.customer_id),
            (_t(words, "invoice"), invoice.invoice_number),
            (_t(words, "channel"), messages.text(language, f"billing.channel.{payment.channel.value}")),
            (_t(words, "external"), payment.external_number),
            (_t(words, "paid_at"), words.formats.stamp(payment.paid_at)),
        ],
        sections=[
            Section(
                heading=_t(words, "receipt"),
                amounts=[
                    (_t(words, "amount"), f"{invoice.currency} {money(payment.amount)}"),
                    (_t(words, "outstanding"), f"{invoice.currency} {money(invoice.outstanding)}"),
                ],
            )
        ],
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def contract_paper(
    services: ApiServices, agreement: Agreement, customer: Customer | None, words: Words
) -> Paper:
    """Return the summary of a contract: terms in force, lines, clauses, consents."""
    messages, language, terms = services.messages, words.language, agreement.current
    lines = [
        messages.text(
            language,
            "billing.contract.line",
            line=line.line_id,
            plan=line.plan_id,
            edition=line.plan_edition,
            rent="–" if line.monthly_rent is None else money(line.monthly_rent),
            value=money(line.device_value),
        )
        for line in terms.lines
    ]
    consents = [
        " · ".join(
            filter(
                None, (_giver(row.given_by, customer), str(row.given_at.date()), row.channel, row.document)
            )
        )
        for row in agreement.consents
    ]
    sections = [Section(heading=_t(words, "contract_lines"), lines=lines)]
    if terms.clauses:
        sections.append(Section(heading=_t(words, "clauses"), lines=terms.clauses, numbered=True))
    if consents:
        sections.append(Section(heading=_t(words, "consents"), lines=consents))
    return Paper(
        number=agreement.contract_id,
        title=_t(words, "contract_summary"),
        subtitle=messages.text(language, f"billing.contract_state.{agreement.state.value}"),
        link=f"{services.settings.public_url}/contracts/{agreement.contract_id}",
        facts=[
            (_t(words, "customer"), customer.name if customer else agreement.customer_id),
            (_t(words, "term"), f"{terms.starts_on} – {agreement.last_day}"),
            (_t(words, "deposit"), f"CNY {money(terms.deposit)}"),
            (
                _t(words, "cycle"),
                messages.text(language, "billing.contract.months", months=terms.payment_cycle_months),
            ),
            (
                _t(words, "terms"),
                messages.text(
                    language,
                    "billing.contract.terms",
                    template=terms.template,
                    edition=terms.template_version,
                    version=terms.version,
                ),
            ),
            (_t(words, "policy"), terms.policy_version),
        ],
        sections=sections,
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def _giver(name: str, customer: Customer | None) -> str:
    """Return who agreed: the customer by name instead of by its id."""
    return customer.name if customer is not None and name == customer.customer_id else name


def price_list_paper(
    services: ApiServices, rows: tuple[PriceListRow, ...], version: str, since: date, words: Words
) -> Paper:
    """Return the public price list with the formula of each row."""
    messages, language = services.messages, words.language
    amounts = []
    for row in rows:
        name = messages.text(language, f"billing.item.{row.item}")
        part = f" + {money(row.part)}" if row.part else ""
        amounts.append((f"{name}: {row.formula}{part}", f"CNY {money(row.total)}"))
    return Paper(
        number=f"P-{version}",
        title=_t(words, "price_list"),
        subtitle=_t(words, "price_list_since").format(since=since),
        link=f"{services.settings.public_url}/api/v1/price-list",
        facts=[(_t(words, "formula"), messages.text(language, "billing.price_formula"))],
        sections=[Section(heading=_t(words, "price_list"), amounts=amounts)],
        foot=words.t("paper.made", at=words.formats.stamp(services.clock.now())),
    )


def _t(words: Words, key: str) -> str:
    return words.messages.text(words.language, f"billing.page.{key}")


def _point(point: MeterPoint, words: Words) -> str:
    source, text = source_of(point), f"billing.quality.{point.quality.value}"
    if point.quality is Quality.STATED and source is not None:
        text = f"billing.quality.stated_{source}"
    quality = words.messages.text(words.language, text, on=words.formats.day(point.at))
    total = words.formats.number(point.total) if point.total is not None else "?"
    return f"{total} ({words.formats.stamp(point.at)}, {quality})"
